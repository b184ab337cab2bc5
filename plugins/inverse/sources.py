"""Observations by noise index: of one image for all noises, or of an image of its own for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reprozoo import Condition, NoiseBank, UsageError
from reprozoo.diffusion.observations import LinearOperator, Observation
from reprozoo.maps.conditions import Conditions, InTurn
from reprozoo.maps.images import from_uint8, read_image
from reprozoo.maps.noise.bank import NoiseSource
from reprozoo.zoo.datasets import load_dataset
from reprozoo.zoo.datasets.arrays import array_sha256
from reprozoo.zoo.datasets.files import IMAGE_SUFFIXES

# The noise of observations is apart from the noise that images are made from: its seeds begin here.
FIRST_OBSERVATION_SEED = 2**63 + 2**61
MOST_KEPT = 64  # observations; those of larger sets are made again each time, so that memory does not grow
GROUPS_BESIDE = 2**32  # more than any source of conditions has


@dataclass(frozen=True, eq=False)
class Observations:
    """A source of conditions (``conditions.Conditions``): noise i gets the observation of image i mod their number.

    Args:
        source: where the images come from, for messages.
        images_u8: (n, channels, height, width), the truth.
        operator: what is measured.
        noise_std: of the Gaussian noise in a measurement, in units of images in [-1, 1].
        seed: of that noise; None for the seed of the noise that images are made from. The noise in the observation of
            image k is the core's noise k of the seed: one image has one observation.
        beside: what the samples are conditioned on besides, e.g. class labels.
        first: number of the first image in its data set.
    """

    source: str
    images_u8: NDArray[np.uint8]
    operator: LinearOperator
    noise_std: float = 0.0
    seed: int | None = None
    beside: Conditions = field(default_factory=InTurn)
    first: int = 0

    def at(self, index: int) -> Condition:
        return replace(self.beside.at(index), observation=self._observation(self.number(index)))

    def every(self) -> Sequence[Condition]:
        """Those beside with the first observation, which stands for all."""
        return tuple(
            replace(condition, observation=self._observation(0)) for condition in self.beside.every() or [Condition()]
        )

    def groups(self, indices: Sequence[int]) -> NDArray[np.int64]:
        numbers = np.array([self.number(index) for index in indices], np.int64)
        return numbers * GROUPS_BESIDE + self.beside.groups(indices)

    def name(self, group: int) -> str:
        number, other = divmod(group, GROUPS_BESIDE)
        return ", ".join(filter(None, (f"image {number}", self.beside.name(other))))

    def bound(self, noise: NoiseSource, num_classes: Sequence[int | None]) -> Self:
        seed = noise.seed if self.seed is None else self.seed
        return replace(self, seed=seed, beside=self.beside.bound(noise, num_classes))

    def to_json(self) -> dict[str, Any]:
        return {"observation": self.identity(), **self.beside.to_json()}

    def record(self) -> dict[str, Any]:
        return {"observation": self.identity(), **self.beside.record()}

    def number(self, index: int) -> int:
        """Which image the noise ``index`` has."""
        return index % len(self.images_u8)

    def truths(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """(len(indices), channels, height, width) the images that were observed."""
        return self.images_u8[[self.number(index) for index in indices]]

    def measurements(self, indices: Sequence[int]) -> Tensor:
        """(len(indices), *measurement_shape) float32."""
        return torch.stack([self._observation(self.number(index)).measurement for index in indices])

    def pictures(self, indices: Sequence[int]) -> Tensor:
        """(len(indices), channels, height, width) float32 in [-1, 1]: the measurements for a reader."""
        return self.operator.picture(self.measurements(indices)).clamp(-1, 1)

    def identity(self) -> dict[str, Any]:
        """Everything that decides the observations; the images by their digest, wherever they lay."""
        noise = {"noise_std": self.noise_std, "seed": self.seed, "first": self.first} if self.noise_std else {}
        observed = {"images": len(self.images_u8), "images_sha256": self.digest, "operator": self.operator.config()}
        return observed | noise

    @cached_property
    def digest(self) -> str:
        """sha256 of the images."""
        return array_sha256(self.images_u8)

    @cached_property
    def _made(self) -> dict[int, Observation]:
        return {}

    def _observation(self, number: int) -> Observation:
        if number in self._made:
            return self._made[number]
        made = self._make(number)
        if len(self.images_u8) <= MOST_KEPT:
            self._made[number] = made
        return made

    def _make(self, number: int) -> Observation:
        image = from_uint8(torch.from_numpy(self.images_u8[number : number + 1]))
        measurement = self.operator.forward(image)[0]
        if self.noise_std:
            bank = NoiseBank((FIRST_OBSERVATION_SEED + (self.seed or 0)) % 2**64)
            measurement = measurement + self.noise_std * bank.noise([self.first + number], measurement.shape)[0]
        return Observation(measurement, self.operator, self.noise_std)


def observe(
    what: str | Path,
    operator: LinearOperator,
    *,
    noise_std: float = 0.0,
    seed: int | None = None,
    beside: Conditions | None = None,
    offline: bool = False,
) -> Observations:
    """The observations of an image file, or of the images of a data set.

    Args:
        what: an image; or a data set's name, folder or file, with a split and the number of one image where wanted:
            "cifar10:test", "cifar10:test:7".
        operator: for images of the models' shape.
        noise_std, seed, beside: as ``Observations`` has them.
        offline: fetch nothing.

    Raises:
        UsageError: nothing of that name, no images, images of another size than the operator's, or a bad noise.
        UnavailableError, IntegrityError: the data set cannot be had.
    """
    if not 0 <= noise_std < float("inf"):
        raise UsageError(f"the noise of an observation has a std of at least 0, got {noise_std:g}")
    images, first = _images(str(what), operator.image_shape[0], offline)
    if images.shape[1:] != operator.image_shape:
        channels, height, width = images.shape[1:]
        wanted = operator.image_shape
        raise UsageError(
            f"the images of {what} are {width}×{height} with {channels} channels and the models make {wanted[2]}×"
            f"{wanted[1]} with {wanted[0]}; nothing is resized: resize them first, or choose other models"
        )
    return Observations(str(what), images, operator, noise_std, seed, beside or InTurn(), first)


def _images(what: str, channels: int, offline: bool) -> tuple[NDArray[np.uint8], int]:
    """(n, channels, height, width) pixels, and the number of the first."""
    path = Path(what)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return read_image(path, channels=channels).numpy()[None], 0
    if path.exists():
        return load_dataset(path).images_u8, 0
    name, _, rest = what.partition(":")
    split, _, number = rest.partition(":")
    images = load_dataset(name, split or None, offline=offline).images_u8
    if number and (not number.isdecimal() or int(number) >= len(images)):
        raise UsageError(f"{what}: expected the number of an image from 0 to {len(images) - 1}, got {number!r}")
    return (images[int(number) : int(number) + 1], int(number)) if number else (images, 0)
