"""Maps of a few lines, for tests of everything around maps: store, executor, engine."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reprozoo import compare, score
from reprozoo.base.errors import UsageError
from reprozoo.engine.result import Comparison, Measurement
from reprozoo.engine.store import Store
from reprozoo.maps.condition import Condition
from reprozoo.maps.contract import NoiseToImageMap
from reprozoo.measures.descriptors.pixels import Pixels

SHAPE = (3, 8, 8)
SLOW_SAMPLES, SLOW_SCORED = 960, 700


class FakeMap(NoiseToImageMap):
    """Noise times a gain plus a bias that the weights decide: equal weights, equal images.

    Args:
        weights: seed of the bias.
        same: how much of the image is the noise's; the rest is the weights'.
        log: file that gets one line for each batch, its size.
        drift: added to every pixel for each image beside it in the batch: a model whose bits depend on the batch.
        fail_above: batches larger than this run out of memory.
    """

    noise_shape = SHAPE
    image_shape = SHAPE
    accepts = frozenset({"class_label"})
    num_classes = 10

    def __init__(self, recipe: FakeRecipe) -> None:
        self.recipe = recipe
        self.bias = torch.randn(SHAPE, generator=torch.Generator().manual_seed(recipe.weights))

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        recipe = self.recipe
        if recipe.fail_above is not None and len(noise) > recipe.fail_above:
            raise torch.OutOfMemoryError("fake: out of memory")
        if recipe.error:
            raise RuntimeError(recipe.error)
        time.sleep(recipe.seconds_a_batch)
        if recipe.log is not None:
            with open(recipe.log, "a") as log:
                log.write(f"{len(noise)}\n")
        labels = torch.tensor([float(condition.class_label or 0) for condition in conditions])
        images = recipe.same * noise + (1 - recipe.same) * self.bias + 0.05 * labels.reshape(-1, 1, 1, 1)
        return (0.4 * images + recipe.drift * len(noise)).clamp(-1, 1)


@dataclass(frozen=True)
class FakeRecipe:
    """As ``MapRecipe``, for ``FakeMap``."""

    id: str = "fake"
    weights: int = 0
    same: float = 0.9
    log: Path | None = None
    seconds_a_batch: float = 0.0
    drift: float = 0.0
    fail_above: int | None = None
    error: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    claimed_weights: int | None = None  # what the card says; ``weights`` is what the loader hands out
    training: str = "unknown"
    split: str = "train"
    images_sha256: str = ""
    source: str = "hub"
    classes: int | None = 10
    family: str = "fake"
    card: str = ""  # its id, where two recipes are options of one
    shape: tuple[int, int, int] = SHAPE
    device: str = "cpu"
    dtype: str = "float32"

    @property
    def display_id(self) -> str:
        return self.id

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self.shape

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.shape

    @property
    def num_classes(self) -> int | None:
        return self.classes

    @property
    def weights_digest(self) -> str:
        weights = self.weights if self.claimed_weights is None else self.claimed_weights
        return hashlib.sha256(str(weights).encode()).hexdigest()

    def identity(self) -> dict[str, Any]:
        return {"weights": self.weights_digest, "same": self.same, "drift": self.drift, "options": self.options,
                "dtype": self.dtype, "device": self.device}  # fmt: skip

    def facts(self) -> dict[str, Any]:
        training = {"dataset": self.training, "split": self.split}
        training |= {"images_sha256": self.images_sha256} if self.images_sha256 else {}
        card: dict[str, Any] = {"family": self.family, "training": training, "weights": [{"kind": self.source}]}
        card |= {"id": self.card} if self.card else {}
        plugin = {"name": "fakes", "distribution": "tests", "version": "0", "gave": "family fake"}
        return {"spec": self.id, "card": card, "options": self.options, "plugin": plugin}

    def check_conditions(self, conditions: Sequence[Condition]) -> None:
        for ignored in ("prompt",) if self.classes else ("prompt", "class_label"):
            if any(getattr(condition, ignored) is not None for condition in conditions):
                raise UsageError(f"{self.id} would ignore the {ignored.replace('_', ' ')}")

    def load(self) -> FakeMap:
        return FakeMap(self)


class FakeZoo:
    """Recipes by id."""

    def __init__(self, *recipes: FakeRecipe) -> None:
        self.recipes = {recipe.id: recipe for recipe in recipes}

    def resolve(self, text: str, *, device: str = "cpu", dtype: str = "float32", offline: bool = False) -> FakeRecipe:
        if text not in self.recipes:
            raise UsageError(f"no model is called {text!r}")
        return replace(self.recipes[text], device=device, dtype=dtype)


def logged(log: Path) -> int:
    """Images that maps with this log have made."""
    return sum(map(int, log.read_text().split())) if log.exists() else 0


def snapshot(root: Path) -> dict[str, bytes]:
    """Every data file below a directory."""
    files = sorted(root.rglob("*.safetensors"))
    return {os.fspath(path.relative_to(root)): path.read_bytes() for path in files}


def slow_compare(log: Path, store: Path) -> None:
    """A run of about a second, to be killed; at module level, so that another process can import it."""
    torch.set_num_threads(1)
    recipes = [FakeRecipe(name, weights=i, log=log, seconds_a_batch=0.004) for i, name in enumerate("ab")]
    compare(
        ["a", "b"], zoo=FakeZoo(*recipes), store=Store(store), num_samples=SLOW_SAMPLES, batch_size=16,
        descriptor="pixels", noise_floor=0, device="cpu", baselines=[],
    )  # fmt: skip


class LoggingPixels(Pixels):
    """Writes down how many images it describes."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def describe(self, images_u8: Tensor) -> Tensor:
        with open(self.log, "a") as log:
            log.write(f"{len(images_u8)}\n")
        time.sleep(0.01)
        return super().describe(images_u8)


def slow_score(log: Path, store: Path) -> None:
    """Images that another process scores at the same time."""
    torch.set_num_threads(1)
    sides = some_images(SLOW_SCORED), some_images(SLOW_SCORED, seed=1)
    score(*sides, zoo=FakeZoo(), store=Store(store), descriptor=LoggingPixels(log), progress=False)


def run(zoo: FakeZoo, store: Store, **options: Any) -> Comparison:
    """Compare everything in the zoo on few noises, by pixels, without the noise floor."""
    given = {"num_samples": 70, "descriptor": "pixels", "noise_floor": 0, "device": "cpu", "baselines": []}
    return compare(list(zoo.recipes), zoo=zoo, store=store, **{**given, **options})


def found(result: Comparison, measure: str = "similarity", pairing: str = "same", **sides: str) -> Measurement:
    """The only measurement of its kind."""
    (measurement,) = result.select(measure=measure, pairing=pairing, **sides)
    return measurement


def two(log: Path | None = None, **options: Any) -> FakeZoo:
    """Two models of different weights."""
    return FakeZoo(FakeRecipe("a", weights=1, log=log, **options), FakeRecipe("b", weights=2, log=log, **options))


def some_images(count: int = 12, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
