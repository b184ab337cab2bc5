"""Motion blur: the mean over a straight line."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from reprozoo_plugins.inverse.separable import apply_separable, reflection
from torch import Tensor
from torch.nn import functional

from reprozoo import UsageError
from reprozoo.diffusion.observations import LinearOperator, Shape


class MotionBlur(LinearOperator):
    """Convolution with a line one pixel wide, the image reflected at its edges.

    Args:
        image_shape: of the images.
        length: of the line, in pixels.
        angle: of the line, in degrees, counter-clockwise from the right.

    Raises:
        UsageError: the line is shorter than a pixel or longer than the image.
    """

    name: ClassVar[str] = "motion-blur"

    def __init__(self, image_shape: Shape, *, length: float, angle: float) -> None:
        _, height, width = image_shape
        if not 1 <= length <= min(height, width) or not math.isfinite(angle):
            raise UsageError(
                f"motion-blur+length={length:g}+angle={angle:g}: expected a length from 1 to the "
                f"{min(height, width)} pixels of the images, and an angle in degrees"
            )
        self.length, self.angle = length, angle
        self.image_shape = self.measurement_shape = image_shape
        self.kernel = line_kernel(length, angle)
        self.pad = self.kernel.shape[0] // 2
        self.rows, self.columns = reflection(height, self.pad), reflection(width, self.pad)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(apply_separable(x, self.rows, self.columns), self._weights(x), groups=x.shape[1])

    def adjoint(self, y: Tensor) -> Tensor:
        padded = functional.conv_transpose2d(y, self._weights(y), groups=y.shape[1])
        return apply_separable(padded, self.rows.T, self.columns.T)

    def config(self) -> dict[str, Any]:
        return {
            "name": self.name, "image_shape": list(self.image_shape), "length": self.length, "angle": self.angle,
        }  # fmt: skip

    def _weights(self, x: Tensor) -> Tensor:
        return self.kernel.to(x).expand(x.shape[1], 1, -1, -1)


def line_kernel(length: float, angle: float) -> Tensor:
    """(odd, odd) float64 weights that sum to 1: 1 minus each pixel's distance to the line, or 0."""
    reach = math.ceil(length / 2)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    across, up = offsets[None, :], -offsets[:, None]  # rows of an image go down
    direction = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    half = (length - 1) / 2  # pixels have a width of their own
    along = (across * direction[0] + up * direction[1]).clamp(-half, half)
    distance = torch.hypot(across - along * direction[0], up - along * direction[1])
    weights = (1 - distance).clamp(min=0)
    return weights / weights.sum()
