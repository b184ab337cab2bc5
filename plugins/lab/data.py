"""The images that a recipe trains on: of a data set, of a part of one, or made by a model.

What a model makes is a function of its card, its weights and the recipe, and in its last bits of device and versions,
so it need not be shipped. It is made once on a machine, is kept in the store, and is recorded by its digest; a smaller
set is the beginning of a larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reprozoo import IntegrityError, UsageError, images_of
from reprozoo.zoo.cards import UNKNOWN
from reprozoo.zoo.datasets import ImageDataset, load_dataset
from reprozoo.zoo.datasets.arrays import array_sha256

from .recipe import DataSpec, Recipe, find_recipe

BATCH = 128  # images that a model makes at once, which is part of what decides them
REPORTED = 8 * BATCH
HELD_OUT = 1000
PARTS = {"even": slice(0, None, 2), "odd": slice(1, None, 2)}

Images = NDArray[np.uint8]
Labels = NDArray[np.int64] | None
Report = Callable[[str], None]


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on, and how far it got is measured on.

    Attributes:
        images_u8: (n, channels, height, width) uint8.
        labels: (n,) int64, or None.
        held_out: makes up to ``HELD_OUT`` images of the same kind that are not among them, when they are needed.
    """

    images_u8: Tensor
    labels: Tensor | None = None
    held_out: Callable[[], tuple[Tensor, Tensor | None]] | None = None

    @property
    def digest(self) -> str:
        """sha256 of the pixels as (n, height, width, channels)."""
        return array_sha256(self.images_u8.numpy().transpose(0, 2, 3, 1))


def training_data(
    recipe: Recipe,
    place: str | None = None,
    *,
    device: str = "cpu",
    offline: bool = False,
    report: Report = lambda line: None,
) -> TrainingData:
    """The images of a recipe, checked against its digests.

    Args:
        place: folder or file of the data set's images, in place of its sources.
        device: where a model makes its images.

    Raises:
        IntegrityError: the images or labels are not those that the recipe names.
        UsageError: the recipe asks for a part that does not exist, or for images that a model makes and not ``place``.
    """
    spec = recipe.data
    if spec.part not in (None, *PARTS):
        raise UsageError(f"data.part is {spec.part!r}; it must be one of {', '.join(PARTS)}")
    if recipe.made_by is not None:
        if place is not None:
            raise UsageError(
                f"the images of {recipe.id} are made by {recipe.made_by}, and {place} cannot be in their place: leave "
                "out --data, or name another model with --teacher"
            )
        return _made(recipe, device=device, offline=offline, report=report)
    dataset = load_dataset(place or spec.name, "train", offline=offline)
    _check(dataset.name, "images", dataset.digest, spec.images_sha256, spec.name)
    labels = dataset.labels if spec.labels_sha256 or spec.classes is not None else None
    if spec.labels_sha256:
        if labels is None:
            raise UsageError(f"{dataset.name} has no labels, which the recipe needs")
        _check(dataset.name, "labels", array_sha256(labels.astype(np.uint8)), spec.labels_sha256, spec.name)
    images, labels = selected(dataset.images_u8, labels, spec)
    return TrainingData(_tensor(images), _tensor(labels), partial(_test_images, spec, offline))


def recipe_data(split: str, *, offline: bool = False) -> ImageDataset:
    """The data set ``recipe-data``, which has a split for every recipe: the images that it trains on.

    Raises:
        UsageError: no recipe is named.
    """
    if split == "train":
        raise UsageError(
            "recipe-data has a split for every recipe instead of train; name one, e.g. --split tiny-w32-n64"
        )
    data = training_data(Recipe.read(find_recipe(split)), offline=offline)
    labels = None if data.labels is None else data.labels.numpy()
    return ImageDataset(f"recipe-data {split}", data.images_u8.numpy(), labels)


def selected(images: Images, labels: Labels, spec: DataSpec) -> tuple[Images, Labels]:
    """What a recipe takes of a data set: its classes, every other image, the first ones, in this order."""
    rows = np.arange(len(images))
    if spec.classes is not None:
        if labels is None:
            raise UsageError("the recipe takes images of some classes, and the data set has no labels")
        rows = rows[np.isin(labels, spec.classes)]
    rows = rows[PARTS[spec.part]] if spec.part else rows
    rows = rows[: spec.limit]
    kept = labels if labels is not None and spec.labels_sha256 else None
    return np.ascontiguousarray(images[rows]), None if kept is None else kept[rows]


def _check(name: str, what: str, found: str, expected: str, wanted: str) -> None:
    if expected not in (UNKNOWN, found):
        raise IntegrityError(
            f"{name} holds other {what} than the recipe's {wanted}: sha256 {found}, expected {expected}"
        )


def _tensor(array: NDArray[np.uint8] | NDArray[np.int64] | None) -> Tensor:
    return None if array is None else torch.from_numpy(array)  # type: ignore[return-value]


def _test_images(spec: DataSpec, offline: bool) -> tuple[Tensor, Tensor | None]:
    """The first of the test split, of the same classes."""
    dataset = load_dataset(spec.name, "test", offline=offline)
    whole = DataSpec(
        name=spec.name, images_sha256=UNKNOWN, labels_sha256=spec.labels_sha256, classes=spec.classes, limit=HELD_OUT
    )
    images, labels = selected(dataset.images_u8, dataset.labels, whole)
    return _tensor(images), _tensor(labels)


def _made(recipe: Recipe, *, device: str, offline: bool, report: Report) -> TrainingData:
    spec = recipe.data
    if spec.limit is None or spec.classes is not None or spec.part is not None:
        raise UsageError(
            "data that a model makes needs data.limit, the number of its images, and has no parts or classes"
        )
    limit, model = spec.limit, recipe.made_by or ""
    make = partial(made_images, model, spec.first_noise, device=device, offline=offline, report=report)
    images = make(range(limit))
    _check(f"what {model} makes", "images", array_sha256(images.transpose(0, 2, 3, 1)), spec.images_sha256, spec.name)
    return TrainingData(_tensor(images), None, lambda: (_tensor(make(range(limit, limit + HELD_OUT))), None))


def made_images(
    model: str, first_noise: int, wanted: range, *, device: str = "cpu", offline: bool = False, report: Report = print
) -> Images:
    """What a model makes of noises ``first_noise`` + ``wanted`` of seed 0, from the store where it is there already.

    Whole batches are made, so that an image has the same bits whichever others are wanted with it.

    Args:
        model: map spec of an unconditional model.
    """
    start, stop = wanted.start // BATCH * BATCH, -(-wanted.stop // BATCH) * BATCH
    images = images_of(
        model, first=first_noise + start, num_samples=stop - start, batch_size=BATCH, device=device, offline=offline,
        progress=lambda event: _report(event, report),
    )  # fmt: skip
    return np.ascontiguousarray(images[wanted.start - start :][: len(wanted)])


def _report(event: Any, report: Report) -> None:
    """A line of the engine's progress, now and then."""
    if event.stage == "sampling" and event.done % REPORTED == 0 and event.done < event.total:
        report(f"{event.label}: making images, {event.done:,} of {event.total:,}")


def flipped(generator: torch.Generator, x0: Tensor) -> Tensor:
    """Half of ``x0`` mirrored."""
    mirrored = torch.rand(len(x0), generator=generator, device=generator.device) < 0.5
    return torch.where(mirrored.reshape(-1, 1, 1, 1), x0.flip(3), x0)


def batches(images: Tensor, size: int) -> Iterator[Tensor]:
    """``images`` in runs of ``size``."""
    return (images[start : start + size] for start in range(0, len(images), size))
