"""The grid of images: which are shown, in which order, and that the pixels are the right ones."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from reprozoo.report import gallery
from reprozoo.report.gallery import Gallery, comparison_gallery, generalization_gallery
from tests.report import made_results as made


def sheet(page: Gallery, row: int) -> made.Pixels:
    """The sprite sheet of a row, (height, width, channels)."""
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(page.sheets[row]))))
    return picture[:, :, None] if picture.ndim == 2 else picture


def shown(page: Gallery, row: int, column: int, size: int) -> made.Pixels:
    """The tile that the page's CSS position selects, as (channels, size, size)."""
    position = [c for block in page.blocks for c in block][column].cells[row].position
    across, down = (float(part.rstrip("%")) / 100 for part in position.split())
    left = round(across * (page.sheet_columns - 1)) * size
    top = round(down * (page.sheet_rows - 1)) * size
    return sheet(page, row)[top : top + size, left : left + size].transpose(2, 0, 1)


@pytest.mark.parametrize("count", [1, 7, 10, 23])
def test_every_tile_is_the_image_of_its_noise(count: int) -> None:
    first = made.pictures(count, size=8)
    second = made.blended(first, made.pictures(count, seed=3, size=8))
    page = comparison_gallery(made.comparison({"a": first, "b": second}))
    assert page is not None
    columns = [column for block in page.blocks for column in block]
    assert sorted(column.index for column in columns) == list(range(count))
    for place, column in enumerate(columns):
        np.testing.assert_array_equal(shown(page, 0, place, 8), first[column.index])
        np.testing.assert_array_equal(shown(page, 1, place, 8), second[column.index])
        assert column.cells[1].alt == f"b, noise {column.index}"


def test_columns_go_from_least_to_most_similar() -> None:
    first = made.pictures(40, size=8)
    result = made.comparison({"a": first, "b": made.blended(first, made.pictures(40, seed=3, size=8))})
    page = comparison_gallery(result)
    assert page is not None
    values = [column.cells[1].similarity for block in page.blocks for column in block]
    assert values == sorted(values, key=lambda value: value or 0)
    similarities = result.pairs[0].similarities
    assert similarities is not None
    assert values == [float(v) for v in sorted(similarities)]


def test_at_most_a_hundred_noises_evenly_with_both_extremes() -> None:
    similarity = np.random.default_rng(0).normal(size=1000)
    rows = gallery.chosen_rows(similarity, limit=100)
    assert len(rows) == 100
    ranks = np.argsort(np.argsort(similarity))[rows]
    assert (ranks[0], ranks[-1]) == (0, 999)
    assert set(np.diff(ranks)) <= {10, 11}
    assert gallery.chosen_rows(similarity[:5], limit=100) == np.argsort(similarity[:5]).tolist()


def test_the_page_says_what_it_leaves_out() -> None:
    images = made.pictures(130, size=8)
    page = comparison_gallery(made.comparison({"a": images, "b": images}))
    assert page is not None
    assert page.note.startswith("100 of 130 noises are here, chosen evenly")
    everything = comparison_gallery(made.comparison({"a": images[:9], "b": images[:9]}))
    assert everything is not None
    assert everything.note.startswith("All 9 noises are here.")


def test_indices_of_the_result_are_used() -> None:
    images = made.pictures(6, size=8)
    asked: list[list[int]] = []

    def load(label: str, indices: list[int]) -> made.Pixels:
        asked.append(sorted(indices))
        return images[[index - 100 for index in indices]]

    page = comparison_gallery(made.comparison({"a": images, "b": images}, indices=[[100, 106]], image_loader=load))
    assert page is not None
    assert asked == [list(range(100, 106))] * 2


def test_baselines_are_rows_that_do_not_count_in_the_order() -> None:
    images = made.pictures(12, size=8)
    other = made.blended(images, made.pictures(12, seed=2, size=8))
    page = comparison_gallery(made.comparison({"a": images, "b": other}, baseline=other))
    assert page is not None
    assert page.rows == ["a", "b", "theory-gaussian"]
    assert page.data["sortable"] == 2
    assert set(page.data["pairs"]) == {"0,1", "0,2", "1,2"}
    assert page.choose_reference


def test_large_images_are_reduced_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "MAX_PIXEL_BYTES", 2 * 3 * 3 * 128 * 128)
    images = made.pictures(5, size=256)
    page = comparison_gallery(made.comparison({"a": images, "b": images}))
    assert page is not None
    assert sheet(page, 0).shape == (128, 3 * 128, 3)
    assert not page.pixelated
    assert "3 of 5 noises" in page.note
    assert "256 × 256 pixels and reduced" in page.note


@pytest.mark.parametrize(("channels", "shape"), [(1, (8, 16, 1)), (3, (8, 16, 3))])
def test_grey_and_colour(channels: int, shape: tuple[int, ...]) -> None:
    images = made.pictures(2, size=8, channels=channels)
    page = comparison_gallery(made.comparison({"a": images, "b": images}))
    assert page is not None
    assert sheet(page, 0).shape == shape


def test_no_gallery_without_images_or_values() -> None:
    images = made.pictures(4, size=8)
    result = made.comparison({"a": images, "b": images})
    assert comparison_gallery(replace(result, image_loader=None)) is None
    bare = [replace(pair, similarities=None) for pair in result.pairs]
    assert comparison_gallery(replace(result, pairs=bare)) is None
    assert generalization_gallery(made.generalization(images, images, image_loader=None)) is None


def test_nearest_training_images() -> None:
    train = made.pictures(30, size=8)
    page = generalization_gallery(made.generalization(train[5:12], train))
    assert page is not None
    assert page.rows == ["tiny-edm", "nearest training image"]
    for place, column in enumerate(column for block in page.blocks for column in block):
        np.testing.assert_array_equal(shown(page, 1, place, 8), train[column.index + 5])
        assert column.cells[1].alt == f"nearest training image, number {column.index + 5}"
