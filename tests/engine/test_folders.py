"""Images made elsewhere, paired by index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reprozoo
from reprozoo import score
from reprozoo.base.errors import UsageError
from reprozoo.engine.store import Store
from tests.fakes import FakeZoo, found, logged, run, some_images, two


def test_folders_are_scored_by_index_and_not_by_order(store: Store, tmp_path: Path) -> None:
    images = some_images()
    np.savez(tmp_path / "a.npz", images=images, indices=np.arange(12))
    np.savez(tmp_path / "b.npz", images=images[::-1], indices=np.arange(12)[::-1])
    options: dict[str, Any] = {"descriptor": "pixels", "zoo": FakeZoo(), "store": store}
    result = score(tmp_path / "a.npz", tmp_path / "b.npz", **options)
    assert result.score("rp").value == 1.0
    assert found(result, "max_abs").equal == 12
    assert np.array_equal(result.images(result.models[1].label, range(12)), images)
    by_row = score(images, images[::-1].copy(), **options)
    assert by_row.score("rp").value == 0.0
    assert by_row.models[0].label == "side 1"


def test_sets_of_images_have_labels_of_their_own(store: Store) -> None:
    images = some_images()
    result = score({"before": images, "after": images}, descriptor="pixels", zoo=FakeZoo(), store=store)
    assert [side.label for side in result.models] == ["before", "after"]
    assert result.score("rp", "before", "after").value == 1.0


def test_scores_of_folders_are_those_of_the_models_that_made_them(store: Store) -> None:
    direct = run(two(), store)
    a, b = (direct.images(label, range(70)) for label in "ab")
    again = score(a, b, descriptor="pixels", zoo=FakeZoo(), store=store)
    assert again.score("rp") == direct.score("rp")
    assert found(again, "mean_abs").distribution == found(direct, "mean_abs").distribution
    assert found(again, "mean_abs").scores == found(direct, "mean_abs").scores
    assert again.noise == {}


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (some_images(11), "has 12 images and .* 11; index 11 is only in side 1"),
        (some_images(12, shape=(3, 8, 9)), "nothing is resized"),
        (some_images().astype(np.float32), "expected .* uint8 images"),
    ],
)
def test_images_that_do_not_belong_together_are_refused(store: Store, second: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        score(some_images(), second, descriptor="pixels", zoo=FakeZoo(), store=store)


def test_folders_can_be_compared_with_each_other_on_a_part_of_their_indices(store: Store, tmp_path: Path) -> None:
    images = some_images()
    np.savez(tmp_path / "a.npz", images=images)
    result = reprozoo.compare(
        tmp_path / "a.npz", images, descriptor="pixels", zoo=FakeZoo(), store=store, first=3, num_samples=5
    )
    assert result.noise_indices == [3, 4, 5, 6, 7]
    assert found(result, "max_abs").equal == 5


def test_images_of_another_size_than_a_models_are_refused_before_anything_is_sampled(store: Store, log: Path) -> None:
    with pytest.raises(UsageError, match="images of model are 3×8×8, of mine 3×9×9; nothing is resized"):
        reprozoo.compare(
            {"model": "a", "mine": some_images(5, shape=(3, 9, 9))}, zoo=two(log), store=store, descriptor="pixels"
        )
    assert logged(log) == 0


def test_a_folder_without_the_first_index_is_refused(store: Store) -> None:
    options = {"descriptor": "pixels", "zoo": FakeZoo(), "store": store}
    with pytest.raises(UsageError, match="side 1 has indices up to 11, and --first is 12"):
        reprozoo.compare(some_images(), some_images(), first=12, **options)
