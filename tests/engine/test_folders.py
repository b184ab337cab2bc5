"""Images made elsewhere, paired by index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reprozoo.base.errors import UsageError
from reprozoo.engine import score
from reprozoo.engine.store import Store
from tests.fakes import FakeZoo, run, some_images, two


def test_folders_are_scored_by_index_and_not_by_order(store: Store, tmp_path: Path) -> None:
    images = some_images()
    np.savez(tmp_path / "a.npz", images=images, indices=np.arange(12))
    np.savez(tmp_path / "b.npz", images=images[::-1], indices=np.arange(12)[::-1])
    options: dict[str, Any] = {"descriptor": "pixels", "zoo": FakeZoo(), "store": store}
    result = score(tmp_path / "a.npz", tmp_path / "b.npz", **options)
    assert result.pairs[0].rp.value == 1.0
    assert result.pairs[0].identical == 12
    assert np.array_equal(result.images(result.models[1].label, range(12)), images)
    by_row = score(images, images[::-1].copy(), **options)
    assert by_row.pairs[0].rp.value == 0.0
    assert by_row.models[0].label == "first"


def test_scores_of_folders_are_those_of_the_models_that_made_them(store: Store) -> None:
    direct = run(two(), store)
    a, b = (direct.images(label, range(70)) for label in "ab")
    again = score(a, b, descriptor="pixels", zoo=FakeZoo(), store=store)
    assert again.pairs[0].rp == direct.pairs[0].rp
    assert again.pairs[0].mean_absolute_error == direct.pairs[0].mean_absolute_error
    assert again.noise == {}


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (some_images(11), "has 12 images and .* 11; index 11 is only in first"),
        (some_images(12, shape=(3, 8, 9)), "nothing is resized"),
        (some_images().astype(np.float32), "expected .* uint8 images"),
    ],
)
def test_images_that_do_not_belong_together_are_refused(store: Store, second: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        score(some_images(), second, descriptor="pixels", zoo=FakeZoo(), store=store)
