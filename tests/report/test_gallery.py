"""The grid of images: which are shown, in which order, and that the pixels are the right ones."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reprozoo.engine.result import Comparison
from reprozoo.report import tiles
from reprozoo.report.findings import Findings
from reprozoo.report.gallery import Gallery, galleries
from tests.fakes import FakeRecipe
from tests.report.runs import Runs


def gallery(result: Comparison) -> Gallery:
    (only,) = galleries(Findings(result))
    return only


def columns(page: Gallery) -> list[Any]:
    return [column for block in page.blocks for column in block]


def shown(page: Gallery, row: int, column: int, size: int = 8) -> Any:
    """The tile that the page's CSS position selects, as (channels, size, size)."""
    encoded, across_count, down_count = page.sheets[row]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    sheet = picture[:, :, None] if picture.ndim == 2 else picture
    across, down = (float(part.rstrip("%")) / 100 for part in columns(page)[column].cells[row].position.split())
    left, top = round(across * (across_count - 1)) * size, round(down * (down_count - 1)) * size
    return sheet[top : top + size, left : left + size].transpose(2, 0, 1)


@pytest.mark.parametrize("count", [1, 7, 10, 23])
def test_every_tile_is_the_image_of_its_noise(runs: Runs, count: int) -> None:
    result = runs.compare(FakeRecipe("a", weights=1), FakeRecipe("b", weights=2, same=0.8), num_samples=count)
    page = gallery(result)
    assert page.rows == ["a", "b", "theory-gaussian"]
    assert sorted(column.index for column in columns(page)) == list(range(count))
    for place, column in enumerate(columns(page)):
        for row, label in enumerate(page.rows):
            np.testing.assert_array_equal(shown(page, row, place), result.images(label, [column.index])[0])
        assert column.cells[1].alt == f"b, noise {column.index}"


def test_columns_go_from_least_to_most_alike(runs: Runs) -> None:
    page = gallery(runs.two)
    (same,) = runs.two.select(measure="similarity", pairing="same", a="a", b="b")
    assert same.values is not None
    order = np.argsort(same.values[0], kind="stable").tolist()
    assert [column.index for column in columns(page)] == order
    assert [column.cells[1].value for column in columns(page)] == [f"{same.values[0][k]:.3f}" for k in order]


def test_columns_can_be_sorted_by_every_measure(runs: Runs) -> None:
    page = gallery(runs.pearson)
    assert [title for _, title in page.measures] == [
        facts.title
        for facts in sorted(runs.pearson.measures, key=lambda facts: [id for id, _ in page.measures].index(facts.id))
    ]
    by_id = {measure["id"]: measure for measure in page.data["measures"]}
    assert set(by_id) == {facts.id for facts in runs.pearson.measures}
    for m in runs.pearson.select(pairing="same", a="a", b="b"):
        assert m.values is not None
        recorded = by_id[m.measure]["pairs"]["0,1"]
        np.testing.assert_allclose(recorded, m.values[0][page.data["noises"]], rtol=1e-5)
        assert by_id[m.measure]["higher"] == (runs.pearson.facts(m.measure).closer == "higher")
    assert by_id["pearson"]["threshold"] == 0.9


@pytest.mark.parametrize("closer", [1, -1])
def test_each_pair_s_lowest_noises_are_always_shown(runs: Runs, monkeypatch: pytest.MonkeyPatch, closer: int) -> None:
    """Whatever the number of noises and pairs; here six pairs of 300 noises, of which a page holds 12."""
    monkeypatch.setattr(tiles, "MAX_NOISES", 12)
    result = many(runs)
    if closer < 0:  # led by a measure of which lower is closer
        distance = [m for m in result.measurements if m.measure.startswith(("feature", "mean"))]
        result = replace(result, measurements=distance)
    page = gallery(result)
    places = {column.index: k for k, column in enumerate(columns(page))}
    head = page.data["measures"][0]
    pairs = result.model_pairs()
    assert len(pairs) == 6
    for a, b in pairs:
        (m,) = result.select(measure=head["id"], pairing="same", a=a, b=b)
        assert m.values is not None
        lowest = np.argsort(m.values[0] if head["higher"] else -m.values[0], kind="stable")[:5].tolist()
        for index in lowest:
            for label in (a, b):
                place, row = places[index], page.rows.index(label)
                np.testing.assert_array_equal(shown(page, row, place), result.images(label, [index])[0])
    assert len(places) < 60
    assert "the 5 that are least alike of every pair" in page.note


def many(runs: Runs) -> Comparison:
    return runs.compare(*(FakeRecipe(f"m{k}", weights=k, same=0.6 + 0.1 * k) for k in range(4)), num_samples=300)


def test_a_column_that_does_not_fit_has_pictures_of_its_pairs(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "MAX_NOISES", 2)
    page = gallery(many(runs))
    missing = [cell for column in columns(page) for cell in column.cells if cell.position is None]
    assert missing
    whole = [c for c in columns(page) if all(cell.position is not None for cell in c.cells)]
    assert 2 <= len(whole) <= len(columns(page))
    assert "have a picture of every model, the others of pairs that are least alike there" in page.note


def test_other_noises_are_spread_evenly_over_the_ranks() -> None:
    closeness = np.random.default_rng(0).normal(size=1000)
    always = tiles.lowest_rows(closeness)
    rows = tiles.chosen_rows(closeness, always, limit=100)
    assert len(rows) == 100
    ranks = np.argsort(np.argsort(closeness))[rows]
    assert ranks.tolist() == sorted(ranks)
    assert (ranks[:5].tolist(), ranks[-1]) == ([0, 1, 2, 3, 4], 999)
    assert set(np.diff(ranks[5:])) <= {10, 11}
    assert tiles.chosen_rows(closeness[:5], [], limit=100) == np.argsort(closeness[:5]).tolist()
    assert tiles.chosen_rows(closeness, range(200), limit=100) == [i for i in np.argsort(closeness) if i < 200]


def test_the_page_says_what_it_leaves_out(runs: Runs) -> None:
    page = gallery(many(runs))
    assert "100 of 300 noises are here: the 5 that are least alike of every pair by similarity" in page.note
    assert gallery(runs.two).note.startswith("All 37 noises are here.")


def test_indices_of_the_result_are_used(runs: Runs) -> None:
    result = runs.compare(FakeRecipe("a", weights=1), FakeRecipe("b", weights=2), num_samples=6, first=100)
    page = gallery(result)
    assert sorted(column.index for column in columns(page)) == list(range(100, 106))


def test_baselines_are_rows_that_do_not_count_in_the_order(runs: Runs) -> None:
    page = gallery(runs.two)
    assert (page.data["sortable"], page.references, page.choose_reference) == (2, 3, True)
    assert set(page.data["measures"][0]["pairs"]) == {"0,1", "0,2", "1,2"}


def test_large_images_are_reduced_and_few(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "MAX_TILE", 4)
    monkeypatch.setattr(tiles, "NATIVE_TILE", 4)
    monkeypatch.setattr(tiles, "MAX_PIXEL_BYTES", 3 * 3 * 8 * 4 * 4)
    page = gallery(runs.two)
    assert not page.pixelated
    assert len(columns(page)) == 8
    encoded, across, down = page.sheets[0]
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (across * 4, down * 4)
    assert "8 × 8 pixels and reduced" in page.note


@pytest.mark.parametrize(("channels", "shape"), [(1, (8, 16)), (2, (8, 16)), (3, (8, 16, 3)), (5, (8, 16))])
def test_grey_colour_and_other_channels(channels: int, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, channels, 8, 8), dtype=np.uint8)
    assert np.asarray(Image.open(io.BytesIO(tiles.sprite_sheet(images, 2, 128)))).shape == shape


@pytest.mark.parametrize(("count", "shape", "size"), [(488, (3, 128, 128), 128), (1950, (3, 512, 512), 64),
                                                      (7800, (3, 32, 32), 32), (31200, (3, 32, 32), 24)])  # fmt: skip
def test_tiles_shrink_where_there_are_many(count: int, shape: tuple[int, ...], size: int) -> None:
    assert min(tiles.tile_size(count, shape), max(shape[1:])) == pytest.approx(size, abs=1)


def test_no_grid_without_images_or_values(runs: Runs) -> None:
    assert galleries(Findings(replace(runs.two, image_loader=None))) == []
    bare = [replace(m, values=None) for m in runs.two.measurements]
    assert galleries(Findings(replace(runs.two, measurements=bare))) == []


def test_a_side_whose_images_are_gone_is_left_out(runs: Runs) -> None:
    from reprozoo.base.errors import UsageError

    whole = runs.three.image_loader
    assert whole is not None

    def load(label: str, indices: Any) -> Any:
        if label == "b":
            raise UsageError("gone")
        return whole(label, indices)

    page = gallery(replace(runs.three, image_loader=load))
    assert page.rows == ["a", "a-name-that-is-rather-long", "theory-gaussian"]
    assert "The images of b are not in the store any more." in page.note


def test_without_the_data_set_generated_images_keep_their_values(runs: Runs) -> None:
    """As when a result is read again: the store has what models made, and no data sets."""
    from reprozoo.base.errors import UsageError

    whole = runs.copying.image_loader
    assert whole is not None

    def load(label: str, indices: Any) -> Any:
        if label != "a":
            raise UsageError("not here")
        return whole(label, indices)

    page = gallery(replace(runs.copying, image_loader=load))
    assert (page.rows, page.data["partners"]) == (["a"], {"0": 0})
    assert "not at hand here" in page.note
    (nearest,) = runs.copying.select(measure="similarity", pairing="nearest")
    assert nearest.values is not None
    assert [column.cells[0].value for column in columns(page)] == [
        f"{value:.3f}" for value in sorted(nearest.values[0])
    ]


def test_generated_images_stand_over_the_nearest(runs: Runs) -> None:
    page = gallery(runs.copying)
    assert page.rows == ["a", "nearest of the 35 training images"]
    (nearest,) = runs.copying.select(measure="similarity", pairing="nearest")
    assert nearest.partners is not None
    data = runs.copying.of_role("data")[0].label
    for place, column in enumerate(columns(page)):
        partner = int(nearest.partners[0][column.index])
        np.testing.assert_array_equal(shown(page, 0, place), runs.copying.images("a", [column.index])[0])
        np.testing.assert_array_equal(shown(page, 1, place), runs.copies[partner])
        assert column.cells[1].alt == f"nearest image of {data}, number {partner}"
    assert page.data["partners"] == {"0": 1, "1": 0}
    assert [title for _, title in page.measures] == ["similarity", "distance ratio"]
