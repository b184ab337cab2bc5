"""Results that the engine made, of maps of a few lines: what reports are tested on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reprozoo import compare, generalize, score
from reprozoo.engine.result import Comparison
from reprozoo.engine.store import Store
from reprozoo.measures.descriptors import Descriptor
from tests.fakes import FakeRecipe, FakeZoo, some_images
from tests.report.stranger import WithPearson

HOSTILE = "<script>document.title='owned'</script>"
THEORY = FakeRecipe("theory-gaussian", weights=9, same=0.5, family="theory-gaussian")
COMMON: dict[str, Any] = {"descriptor": "pixels", "device": "cpu", "progress": False}


class Blind(Descriptor):
    """Finds all images alike."""

    id, dim, threshold = "blind", 2, 0.9

    def identity(self) -> dict[str, Any]:
        return {"id": self.id}

    def describe(self, images_u8: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0]]).repeat(len(images_u8), 1)


@dataclass(frozen=True)
class Runs:
    """One store, and results in it, each made when it is first asked for."""

    folder: Path

    @cached_property
    def store(self) -> Store:
        return Store(self.folder / "store")

    def compare(self, *recipes: FakeRecipe, num_samples: int = 37, **options: Any) -> Comparison:
        """The models in this order, against the Gaussian theory, with a noise floor."""
        zoo = FakeZoo(*recipes, THEORY)
        given = {"baselines": ["theory-gaussian"], "noise_floor": 8, "num_samples": num_samples, **COMMON, **options}
        return compare([recipe.id for recipe in recipes], zoo=zoo, store=self.store, **given)

    @cached_property
    def two(self) -> Comparison:
        return self.compare(FakeRecipe("a", weights=1), FakeRecipe("b", weights=2, same=0.8))

    @cached_property
    def two_descriptors(self) -> Comparison:
        """One tells images of different noises apart, and one does not."""
        recipes = FakeRecipe("a", weights=1), FakeRecipe("b", weights=2, same=0.8)
        return self.compare(*recipes, descriptor=["pixels", Blind()])

    @cached_property
    def three(self) -> Comparison:
        return self.compare(*three_models())

    @cached_property
    def hostile(self) -> Comparison:
        """Names and a prompt that would be code where they are not escaped."""
        result = self.two
        sides = [replace(side, spec=HOSTILE, facts={**side.facts, HOSTILE: HOSTILE}) for side in result.sides]
        return replace(result, sides=sides, warnings=[HOSTILE], conditions={"in_turn": [{"prompt": HOSTILE}]})

    @cached_property
    def classes(self) -> Comparison:
        return self.compare(FakeRecipe("a", weights=1), FakeRecipe("b", weights=2, same=0.8), classes="0-2")

    @cached_property
    def variant(self) -> Comparison:
        return self.compare(FakeRecipe("a", weights=1), FakeRecipe("a+steps=9", weights=1, same=0.85))

    @cached_property
    def pearson(self) -> Comparison:
        zoo = FakeZoo(FakeRecipe("a", weights=1), FakeRecipe("b", weights=2), THEORY)
        zoo.plugins = WithPearson()  # type: ignore[attr-defined]
        return compare(
            ["a", "b"], zoo=zoo, store=self.store, num_samples=24, classes="0-1", measures=["pearson"], noise_floor=8,
            baselines=["theory-gaussian"], **COMMON,
        )  # fmt: skip

    @cached_property
    def folders(self) -> Comparison:
        images = {"before": some_images(12), "after": some_images(12, seed=1)}
        return score(images, zoo=FakeZoo(), store=self.store, descriptor="pixels", progress=False)

    def searched(self, images: np.ndarray[Any, Any], **recipe: Any) -> Comparison:
        """A model searched in some images; what its card names is in ``recipe``."""
        path = self.folder / "data" / f"{len(images)}-{int(images.sum())}.npz"
        path.parent.mkdir(exist_ok=True)
        np.savez(path, images=images)
        zoo = FakeZoo(FakeRecipe("a", weights=1, **recipe))
        return generalize("a", zoo=zoo, store=self.store, data=path, num_samples=20, **COMMON)

    @cached_property
    def copies(self) -> np.ndarray[Any, Any]:
        """Some images, and some that the model makes."""
        return np.concatenate([some_images(30), self.two.images("a", range(5))])

    @cached_property
    def copying(self) -> Comparison:
        """Of whom the images are the training images."""
        other = self.searched(self.copies, training="made")
        return self.searched(self.copies, training="made", images_sha256=other.data["images_sha256"])

    @cached_property
    def elsewhere(self) -> Comparison:
        """The same model among images that its card does not name."""
        return self.searched(some_images(15, seed=3), training="made", images_sha256="0" * 64)

    def __iter__(self) -> Any:
        names = ("two", "three", "hostile", "classes", "variant", "pearson", "folders", "copying", "elsewhere")
        return iter((name, getattr(self, name)) for name in names)


def three_models() -> list[FakeRecipe]:
    return [
        FakeRecipe("a", weights=1),
        FakeRecipe("b", weights=2, same=0.8),
        FakeRecipe("a-name-that-is-rather-long", weights=3, same=0.3),
    ]


def changed(result: Comparison, change: Callable[[Any], Any], **which: str) -> Comparison:
    """A result of the engine with some of its measurements changed: what no small model gives on demand."""
    chosen = result.select(**which)
    assert chosen, which
    return replace(result, measurements=[change(m) if m in chosen else m for m in result.measurements])
