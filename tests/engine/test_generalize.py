"""One model against its training set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reprozoo import generalize
from reprozoo.base.errors import UsageError
from reprozoo.engine.progress import ProgressEvent
from reprozoo.engine.store import Store
from reprozoo.zoo.datasets import load_dataset
from tests.fakes import FakeRecipe, FakeZoo, found, logged, run, some_images, two


def data_set(tmp_path: Path, images: Any) -> Path:
    np.savez(tmp_path / "train.npz", images=images)
    return tmp_path / "train.npz"


def options_of(store: Store, **changed: Any) -> dict[str, Any]:
    """A few noises, by pixels."""
    return {"zoo": two(), "store": store, "num_samples": 8, "descriptor": "pixels", "device": "cpu", **changed}


def test_a_generator_that_copies_has_gl_0_and_is_memorized(store: Store, tmp_path: Path) -> None:
    made = run(two(), store).images("a", range(70))
    train = data_set(tmp_path, np.concatenate([some_images(30), made[::-1]]))
    result = generalize("a", data=train, **options_of(store, num_samples=70))
    assert (result.score("gl", "a").value, result.data["count"]) == (0.0, 100)
    assert result.score("memorization").value == 1.0
    for measure in ("similarity", "distance_ratio"):
        neighbours = found(result, measure, "nearest")
        assert neighbours.partners is not None
        assert neighbours.partners[0].tolist() == [30 + 69 - i for i in range(70)]
    assert np.array_equal(result.images(result.of_role("data")[0].label, [30]), made[69:])


def test_a_generator_of_new_images_has_gl_1(store: Store, tmp_path: Path, log: Path) -> None:
    options = options_of(store, zoo=two(log), num_samples=70, data=data_set(tmp_path, some_images(50)))
    result = generalize("a", **options)
    assert result.score("gl", "a").value == 1.0
    assert result.score("memorization").value == 0.0
    among_themselves = found(result, "similarity", "nearest-other")
    assert among_themselves.distribution.quantiles["1"] < 0.5
    assert (among_themselves.score("gl").value, among_themselves.count) == (1.0, 50)
    made = logged(log)
    events: list[ProgressEvent] = []
    generalize("a", **options, progress=events.append)
    assert logged(log) == made
    assert {event.stage for event in events} == {"scoring", "searching"}  # the training features are kept too


def test_the_nearest_other_image_of_a_data_set_is_never_itself(store: Store, tmp_path: Path) -> None:
    train = data_set(tmp_path, some_images(20))
    among_themselves = found(generalize("a", data=train, **options_of(store)), "similarity", "nearest-other")
    assert among_themselves.own is not None
    assert among_themselves.partners is not None
    assert among_themselves.own.tolist() == list(range(20))
    assert (among_themselves.partners[0] != among_themselves.own).all()


def test_training_images_that_are_alike_have_a_gl_of_their_own(store: Store, tmp_path: Path) -> None:
    """What a score of the model is to be read against: here each of 10 of 50 images is there twice."""
    train = data_set(tmp_path, np.concatenate([some_images(40), some_images(10)]))
    result = generalize("a", data=train, **options_of(store))
    assert found(result, "similarity", "nearest-other").score("gl").value == 0.6


def test_images_of_another_size_than_the_data_have_no_pixel_distance(store: Store, tmp_path: Path) -> None:
    train = data_set(tmp_path, some_images(20, shape=(3, 4, 4)))
    result = generalize("a", data=train, **options_of(store))
    assert result.select(measure="distance_ratio") == []
    assert found(result, "similarity", "nearest").count == 8  # the others are reported
    assert any("No pixel distances" in warning for warning in result.warnings)


def test_generalize_of_one_model_alone(store: Store) -> None:
    with pytest.raises(UsageError, match="generalize takes one model, got 2"):
        generalize("a", "b", **options_of(store))


def test_a_card_that_does_not_name_its_data_is_a_sentence(store: Store) -> None:
    with pytest.raises(UsageError, match="does not say what it was trained on"):
        generalize("a", **options_of(store))


def test_the_training_data_are_those_that_the_card_names(store: Store, tmp_path: Path) -> None:
    """Data set and split; another split of it may be asked for."""
    for split, count in (("a", 3), ("b", 5)):
        (tmp_path / split).mkdir()
        for number, image in enumerate(some_images(count)):
            Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / split / f"{number}.png")
    zoo = FakeZoo(FakeRecipe("m", training=str(tmp_path), split="b"))
    options = options_of(store, zoo=zoo)
    assert generalize("m", **options).data["count"] == 5
    assert generalize("m", split="a", **options).data["count"] == 3
    assert generalize("m", data=tmp_path, **options).data["count"] == 8


def test_other_images_than_the_card_recorded_are_a_warning(store: Store, tmp_path: Path) -> None:
    train = data_set(tmp_path, some_images(20))
    digest = load_dataset(train).digest

    def warned(recorded: str, *, data: Path | None = None) -> bool:
        zoo = FakeZoo(FakeRecipe("m", training=str(train), images_sha256=recorded))
        result = generalize("m", data=data, **options_of(store, zoo=zoo))
        assert result.data["split"] == "train"
        assert result.data["is_training_set"] == (recorded == digest)
        return any("a copy may not be recognised" in warning for warning in result.warnings)

    assert warned("0" * 64)
    assert not warned(digest)
    assert not warned("0" * 64, data=train)  # a set of one's own choice


def test_one_training_image_is_too_few_for_memorization(store: Store, tmp_path: Path) -> None:
    train = data_set(tmp_path, some_images(1))
    result = generalize("a", data=train, **options_of(store))
    assert result.select(measure="distance_ratio") == []
    assert result.select(pairing="nearest-other") == []
    assert any("there is one image" in warning for warning in result.warnings)
