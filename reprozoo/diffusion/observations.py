"""What is known of an image in an inverse problem, for solvers and operators of any plugin.

An operator is a linear map from an image to what was seen of it, with its exact adjoint: ``LinearOperator``. It works
on each sample by itself, in the dtype and on the device of what it is given, and autograd goes through it. Its
``config`` is JSON of everything that decides the numbers it computes; two operators of equal config are the same
operator, wherever their file lay. An ``Observation`` is a measurement by one, and how noisy it is: it comes to a solver
in the conditions of its samples (``observations_of``), and ``ObservedBatch`` compares a batch of images with theirs.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from reprozoo.base.errors import UsageError

Shape = tuple[int, int, int]
MeasurementShape = tuple[int, ...]


class LinearOperator(ABC):
    """y = A x for images x.

    Attributes:
        name: as specs write it.
        image_shape: (channels, height, width) of x.
        measurement_shape: of y.
        gram: c where A A^T = c I, so that A^T / c is the pseudo-inverse; None where there is no such number.
    """

    name: ClassVar[str]
    image_shape: Shape
    measurement_shape: MeasurementShape
    gram: float | None = None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(batch, *image_shape) -> (batch, *measurement_shape)."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """(batch, *measurement_shape) -> (batch, *image_shape), with <A x, y> = <x, A^T y> for all x and y."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The operator as JSON, its name and image shape included."""

    def picture(self, y: Tensor) -> Tensor:
        """The measurement as an image for a reader: (batch, *image_shape); what was not seen is mid-grey."""
        return y if self.gram is None else self.adjoint(y) / self.gram


@dataclass(frozen=True, eq=False)
class Observation:
    """y = A x + noise_std * eps; two observations of the same numbers are equal.

    Args:
        measurement: y, (*operator.measurement_shape) float32 on the CPU, of images in [-1, 1].
        operator: A.
        noise_std: in units of images in [-1, 1].

    Raises:
        UsageError: a measurement of another shape, or not finite.
    """

    measurement: Tensor
    operator: LinearOperator
    noise_std: float = 0.0

    def __post_init__(self) -> None:
        expected, came = self.operator.measurement_shape, tuple(self.measurement.shape)
        if came != expected:
            raise UsageError(f"a measurement by {self.operator.name} has shape {expected}, got {came}")
        if self.measurement.dtype != torch.float32 or not torch.isfinite(self.measurement).all():
            raise UsageError("a measurement is float32 and finite")

    @cached_property
    def digest(self) -> str:
        """sha256 of everything: operator, noise and the measurement's bytes."""
        facts = {"operator": self.operator.config(), "noise_std": self.noise_std}
        sha256 = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        sha256.update(self.measurement.contiguous().numpy().astype("<f4", copy=False).tobytes())
        return sha256.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Observation) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@dataclass(frozen=True)
class ObservedRows:
    """The rows of a batch that share an operator and a noise level.

    Attributes:
        rows: (n,) places in the batch.
        measurements: (n, *measurement_shape) float64.
    """

    operator: LinearOperator
    rows: Tensor
    measurements: Tensor
    noise_std: float


class ObservedBatch:
    """The observations of a batch, ready to be compared with images: one forward call an operator.

    Args:
        observations: one a row.
        image_shape: of the images.
        device: where they are.

    Attributes:
        groups: the rows that share an operator and a noise level.
        noise_std: (batch,) float64.
        gram: (batch,) float64, c where A A^T = c I, and 1 where there is no such c.

    Raises:
        UsageError: an observation is of images of another shape.
    """

    def __init__(self, observations: Sequence[Observation], image_shape: tuple[int, ...], device: torch.device) -> None:
        for observation in observations:
            if observation.operator.image_shape != tuple(image_shape):
                raise UsageError(
                    f"the observation is of images of shape {observation.operator.image_shape}, the model makes "
                    f"{tuple(image_shape)}"
                )
        places: dict[str, list[int]] = {}
        for row, observation in enumerate(observations):
            key = json.dumps([observation.operator.config(), observation.noise_std], sort_keys=True)
            places.setdefault(key, []).append(row)
        self.groups = [_group(observations, rows, device) for rows in places.values()]
        grams = [1.0 if o.operator.gram is None else o.operator.gram for o in observations]
        self.gram = torch.tensor(grams, dtype=torch.float64, device=device)
        self.noise_std = torch.tensor([o.noise_std for o in observations], dtype=torch.float64, device=device)

    def misfits(self, images: Tensor) -> Tensor:
        """(batch,) ||y - A x|| of each row; differentiable, its gradient 0 where the misfit is 0."""
        norms = images.new_zeros(len(images))
        for group in self.groups:
            residual = group.measurements.to(images.dtype) - group.operator.forward(images[group.rows])
            norm = torch.linalg.vector_norm(residual.flatten(1), dim=1)
            norms = norms.index_put((group.rows,), norm)
        return norms

    def projected(self, x: Tensor, offset: Tensor) -> Tensor:
        """The nearest states to ``x`` whose measurements are those of the observations plus A ``offset``.

        Raises:
            UsageError: an operator has no A A^T = c I, so that the nearest state is not cheap.
        """
        for group in self.groups:
            operator = group.operator
            if operator.gram is None:
                raise UsageError(
                    f"projection needs an operator with A A^T = c I: a mask, means of blocks or grayscale; "
                    f"{operator.name} has none"
                )
            excess = operator.forward(x[group.rows] - offset[group.rows]) - group.measurements.to(x.dtype)
            x = x.index_put((group.rows,), x[group.rows] - operator.adjoint(excess) / operator.gram)
        return x


def _group(observations: Sequence[Observation], rows: Sequence[int], device: torch.device) -> ObservedRows:
    first = observations[rows[0]]
    measurements = torch.stack([observations[row].measurement for row in rows]).to(device, torch.float64)
    return ObservedRows(first.operator, torch.tensor(rows, device=device), measurements, first.noise_std)


def observations_of(conditions: Sequence[Any]) -> list[Observation]:
    """The observations in some conditions.

    Raises:
        UsageError: a condition holds none, or something else in its place.
    """
    found = [condition.observation for condition in conditions]
    for observation in found:
        if not isinstance(observation, Observation):
            raise UsageError(
                f"expected an observation (diffusion.observations.Observation) for every sample, got {observation!r}"
            )
    return found
