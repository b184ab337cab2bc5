"""One model against its training set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reprozoo.base.errors import UsageError
from reprozoo.engine import ProgressEvent, generalize
from reprozoo.engine.results import Generalization
from reprozoo.engine.store import Store
from reprozoo.zoo.datasets import load_dataset
from tests.fakes import FakeRecipe, FakeZoo, logged, run, some_images, two


def data_set(tmp_path: Path, images: Any) -> Path:
    np.savez(tmp_path / "train.npz", images=images)
    return tmp_path / "train.npz"


def test_a_generator_that_copies_has_gl_0_and_is_memorized(store: Store, tmp_path: Path) -> None:
    made = run(two(), store).images("a", range(70))
    train = data_set(tmp_path, np.concatenate([some_images(30), made[::-1]]))
    options: dict[str, Any] = {"zoo": two(), "store": store, "num_samples": 70, "descriptor": "pixels", "device": "cpu"}
    result = generalize("a", train, **options)
    assert (result.gl.value, result.train_count) == (0.0, 100)
    assert result.memorization is not None
    assert result.memorization.value == 1.0
    assert [n.train_index for n in result.neighbours] == [30 + 69 - i for i in range(70)]
    assert np.array_equal(result.images("train", [30]), made[69:])
    assert Generalization.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_a_generator_of_new_images_has_gl_1(store: Store, tmp_path: Path, log: Path) -> None:
    options: dict[str, Any] = {
        "zoo": two(log),
        "store": store,
        "num_samples": 70,
        "descriptor": "pixels",
        "device": "cpu",
    }
    result = generalize("a", data_set(tmp_path, some_images(50)), **options)
    assert result.gl.value == 1.0
    assert result.memorization is not None
    assert result.memorization.value == 0.0
    assert result.train is not None
    assert result.train.quantiles["1"] < 0.5
    assert result.train_gl is not None
    assert (result.train_gl.value, result.train_gl.count) == (1.0, 50)
    made = logged(log)
    events: list[ProgressEvent] = []
    generalize("a", tmp_path / "train.npz", **options, progress=events.append)
    assert logged(log) == made
    assert {event.stage for event in events} == {"scoring"}  # the training features are kept too


def test_training_images_that_are_alike_have_a_gl_of_their_own(store: Store, tmp_path: Path) -> None:
    """What a score of the model is to be read against: here each of 10 of 50 images is there twice."""
    train = data_set(tmp_path, np.concatenate([some_images(40), some_images(10)]))
    result = generalize("a", train, zoo=two(), store=store, num_samples=8, descriptor="pixels", device="cpu")
    assert result.train_gl is not None
    assert result.train_gl.value == 0.6


def test_images_of_another_size_than_the_data_have_no_pixel_distance(store: Store, tmp_path: Path) -> None:
    train = data_set(tmp_path, some_images(20, shape=(3, 4, 4)))
    result = generalize("a", train, zoo=two(), store=store, num_samples=8, descriptor="pixels", device="cpu")
    assert result.memorization is None
    assert any("No pixel distances" in warning for warning in result.warnings)


def test_a_card_that_does_not_name_its_data_is_a_sentence(store: Store) -> None:
    with pytest.raises(UsageError, match="does not say what it was trained on"):
        generalize("a", zoo=two(), store=store, num_samples=8, descriptor="pixels", device="cpu")


def test_the_training_data_are_those_that_the_card_names(store: Store, tmp_path: Path) -> None:
    """Data set and split; another split of it may be asked for."""
    for split, count in (("a", 3), ("b", 5)):
        (tmp_path / split).mkdir()
        for number, image in enumerate(some_images(count)):
            Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / split / f"{number}.png")
    zoo = FakeZoo(FakeRecipe("m", training=str(tmp_path), split="b"))
    options: dict[str, Any] = {"zoo": zoo, "store": store, "num_samples": 8, "descriptor": "pixels", "device": "cpu"}
    assert generalize("m", **options).train_count == 5
    assert generalize("m", split="a", **options).train_count == 3
    assert generalize("m", tmp_path, **options).train_count == 8


def test_other_images_than_the_card_recorded_are_a_warning(store: Store, tmp_path: Path) -> None:
    train = data_set(tmp_path, some_images(20))
    options: dict[str, Any] = {"store": store, "num_samples": 8, "descriptor": "pixels", "device": "cpu"}
    digest = load_dataset(train).digest

    def warned(recorded: str, *, data: Path | None = None) -> bool:
        zoo = FakeZoo(FakeRecipe("m", training=str(train), images_sha256=recorded))
        result = generalize("m", data, zoo=zoo, **options)
        assert result.dataset["split"] == "train"
        return any("a copy may not be recognised" in warning for warning in result.warnings)

    assert warned("0" * 64)
    assert not warned(digest)
    assert not warned("0" * 64, data=train)  # a set of one's own choice


def test_one_training_image_is_too_few_for_memorization(store: Store, tmp_path: Path) -> None:
    train = data_set(tmp_path, some_images(1))
    result = generalize("a", train, zoo=two(), store=store, num_samples=8, descriptor="pixels", device="cpu")
    assert result.memorization is None
    assert any("there is one training image" in warning for warning in result.warnings)
