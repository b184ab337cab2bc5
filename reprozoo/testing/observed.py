"""Observations to try a solver with: images of which the upper half is seen."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from reprozoo.diffusion.observations import LinearOperator, Observation, Shape


class UpperHalf(LinearOperator):
    """The upper half of an image, rounded down but at least a row."""

    name: ClassVar[str] = "upper-half"
    gram = 1.0

    def __init__(self, image_shape: Shape) -> None:
        self.image_shape = image_shape
        channels, self.height, width = image_shape
        self.measurement_shape = (channels, max(1, self.height // 2), width)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : self.measurement_shape[1]]

    def adjoint(self, y: Tensor) -> Tensor:
        return functional.pad(y, (0, 0, 0, self.height - self.measurement_shape[1]))

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "image_shape": list(self.image_shape)}


def example_observations(image_shape: Shape) -> tuple[Observation, ...]:
    """Of three images: ramps of grey from top to bottom, flat, and from bottom to top."""
    operator = UpperHalf(image_shape)
    ramp = torch.linspace(-0.5, 0.5, image_shape[1]).reshape(1, 1, -1, 1).expand(1, *image_shape)
    return tuple(Observation(operator.forward(slope * ramp)[0], operator) for slope in (1.0, 0.0, -1.0))
