"""The images of a recipe: parts of data sets, and sets that a model makes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from reprozoo_plugins.lab import data
from reprozoo_plugins.lab.data import made_images, recipe_data, selected, training_data
from reprozoo_plugins.lab.recipe import DataSpec, Recipe

from reprozoo import IntegrityError, NoiseBank, UsageError, resolve
from reprozoo.engine.store import Store
from reprozoo.maps.images import to_uint8
from reprozoo.zoo.datasets import load_dataset
from tests.plugins.lab.runs import recipe
from tests.toys import Toy

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


@pytest.fixture
def place(tmp_path: Path) -> str:
    np.savez(tmp_path / "set.npz", images=IMAGES, labels=LABELS)
    return str(tmp_path / "set.npz")


def sha256(array: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def configured(**changes: Any) -> Recipe:
    plain = recipe()
    return replace(plain, data=replace(plain.data, images_sha256=sha256(IMAGES), **changes))


def test_images_are_checked_and_may_be_fewer(place: str) -> None:
    found = training_data(configured(limit=4), place)
    assert torch.equal(found.images_u8, torch.from_numpy(IMAGES[:4]).permute(0, 3, 1, 2))
    assert (found.labels, found.digest) == (None, sha256(IMAGES[:4]))
    plain = configured()
    other = replace(plain, data=replace(plain.data, images_sha256="0" * 64))
    with pytest.raises(IntegrityError, match="holds other images than the recipe's random: sha256"):
        training_data(other, place)


def test_labels_are_checked_and_kept_where_they_are_named(place: str) -> None:
    labels = training_data(configured(labels_sha256=sha256(LABELS.astype(np.uint8))), place).labels
    assert labels is not None
    assert labels.tolist() == LABELS.tolist()
    with pytest.raises(IntegrityError, match="holds other labels than the recipe's random"):
        training_data(configured(labels_sha256="0" * 64), place)


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({"classes": (1,)}, [1, 4, 7, 10]),
        ({"part": "even"}, [0, 2, 4, 6, 8, 10]),
        ({"part": "odd"}, [1, 3, 5, 7, 9, 11]),
        ({"classes": (0, 2), "part": "odd", "limit": 3}, [2, 5, 8]),
    ],
)
def test_parts_are_taken_in_order(changes: dict[str, Any], rows: list[int]) -> None:
    spec = DataSpec(name="random", images_sha256="unknown", **changes)
    images, labels = selected(IMAGES, LABELS, spec)
    assert (images == IMAGES[rows]).all()
    assert labels is None
    assert (selected(IMAGES, LABELS, replace(spec, labels_sha256="unknown"))[1] == LABELS[rows]).all()


def test_halves_are_disjoint_and_all_there_is() -> None:
    halves = [selected(IMAGES, None, DataSpec(name="", images_sha256="", part=part))[0] for part in ("even", "odd")]
    assert sorted(image.tobytes() for half in halves for image in half) == sorted(image.tobytes() for image in IMAGES)


def test_parts_that_do_not_exist_are_sentences(place: str) -> None:
    with pytest.raises(UsageError, match="part is 'left'; it must be one of even, odd"):
        training_data(configured(part="left"), place)
    with pytest.raises(UsageError, match="the data set has no labels"):
        selected(IMAGES, None, DataSpec(name="", images_sha256="", classes=(1,)))


class Counted:
    """Stands for a map recipe: a toy map, and how often it was loaded."""

    display_id, num_classes, weights_digest = "toy", None, None
    noise_shape = image_shape = Toy.noise_shape

    def __init__(self, gain: float = 0.5) -> None:
        self.gain, self.loads = gain, 0

    def identity(self) -> dict[str, float]:
        return {"gain": self.gain}

    def facts(self) -> dict[str, Any]:
        return {}

    def load(self) -> Toy:
        self.loads += 1
        return Toy(self.gain)


@pytest.fixture
def maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The only map of the zoo, which makes images in batches of eight, and a store of its own."""
    made = Counted()
    zoo = SimpleNamespace(resolve=lambda spec, **settings: made)
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path))
    monkeypatch.setattr(data, "images_of", partial(data.images_of, zoo=zoo))
    monkeypatch.setattr(data, "BATCH", 8)
    monkeypatch.setattr(data, "HELD_OUT", 5)
    return made


def test_made_images_are_the_maps_and_made_once(maker: Counted) -> None:
    images = made_images("toy", 1000, range(11), report=lambda line: None)
    expected = to_uint8(Toy()(NoiseBank(0).noise(range(1000, 1011), (3, 4, 4))))
    assert (images == expected.numpy()).all()
    assert (made_images("toy", 1000, range(3, 16))[:8] == images[3:]).all()
    assert maker.loads == 1
    made_images("toy", 1000, range(17), report=lambda line: None)
    assert maker.loads == 2


def test_another_maker_makes_others_and_damage_is_noticed(maker: Counted, tmp_path: Path) -> None:
    first = made_images("toy", 0, range(8), report=lambda line: None)
    maker.gain = 0.7
    assert not (made_images("toy", 0, range(8), report=lambda line: None) == first).all()
    maker.gain = 0.5
    for path in tmp_path.rglob("*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    with pytest.raises(IntegrityError, match="is damaged"):
        made_images("toy", 0, range(8), report=lambda line: None)
    Store().prune(broken=True)
    assert (made_images("toy", 0, range(8), report=lambda line: None) == first).all()
    assert maker.loads == 3


def test_training_data_that_a_model_makes(maker: Counted) -> None:
    plain = recipe()
    spec = replace(plain.data, name="model:toy", limit=6, first_noise=50)
    found = training_data(replace(plain, data=spec))
    assert (found.images_u8.numpy() == made_images("toy", 50, range(6))).all()
    assert found.held_out is not None
    assert (found.held_out()[0].numpy() == made_images("toy", 50, range(6, 11))).all()
    pinned = replace(spec, images_sha256=found.digest)
    assert torch.equal(training_data(replace(plain, data=pinned)).images_u8, found.images_u8)
    with pytest.raises(IntegrityError, match="what toy makes holds other images"):
        training_data(replace(plain, data=replace(spec, images_sha256="0" * 64)))
    with pytest.raises(UsageError, match=r"made by toy, and photos cannot be in their place: leave out --data"):
        training_data(replace(plain, data=spec), "photos")
    with pytest.raises(UsageError, match=r"needs data\.limit"):
        training_data(replace(plain, data=replace(spec, limit=None)))


def test_what_a_recipe_trains_on_is_a_data_set(maker: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = recipe()
    made = replace(plain, data=replace(plain.data, name="model:toy", limit=6))
    monkeypatch.setattr(data, "Recipe", SimpleNamespace(read=lambda path: made))
    monkeypatch.setattr(data, "find_recipe", lambda name: Path(name))
    found = load_dataset("recipe-data", "tiny")
    assert found.digest == training_data(made).digest
    assert found.name == "recipe-data tiny"
    assert recipe_data("tiny").labels is None
    asked: list[bool] = []
    monkeypatch.setattr(
        data, "training_data", lambda recipe, *, offline: asked.append(offline) or training_data(recipe)
    )
    load_dataset("recipe-data", "tiny", offline=True)
    assert asked == [True]
    assert resolve("theory-empirical+data=recipe-data+split=tiny").digests["data"] == found.digest
    with pytest.raises(UsageError, match="recipe-data has a split for every recipe"):
        load_dataset("recipe-data")
