"""Colourisation: the colours are gone and the brightness is left."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from reprozoo import UsageError
from reprozoo.diffusion.observations import LinearOperator, Shape

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's "L"


class Grayscale(LinearOperator):
    """The luma of each pixel, one channel.

    Raises:
        UsageError: the images have no three channels.
    """

    name: ClassVar[str] = "grayscale"

    def __init__(self, image_shape: Shape) -> None:
        if image_shape[0] != len(LUMA):
            raise UsageError(f"grayscale needs images of 3 channels, and these have {image_shape[0]}")
        self.image_shape, self.measurement_shape = image_shape, (1, *image_shape[1:])
        self.weights = torch.tensor(LUMA, dtype=torch.float64).reshape(1, -1, 1, 1)
        self.gram = sum(weight**2 for weight in LUMA)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weights.to(x)).sum(1, keepdim=True)

    def adjoint(self, y: Tensor) -> Tensor:
        return y * self.weights.to(y)

    def picture(self, y: Tensor) -> Tensor:
        return y.expand(-1, len(LUMA), -1, -1)

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "image_shape": list(self.image_shape)}
