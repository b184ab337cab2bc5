"""Operators that act on rows and on columns alone: Y = R X C^T in every channel. Super-resolution and Gaussian blur."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from reprozoo import UsageError
from reprozoo.diffusion.observations import LinearOperator, Shape

CUBIC = -0.5  # Keys' parameter, as MATLAB's and Pillow's resizing have it
GAUSSIAN_RADIUS_STDS = 4.0


def apply_separable(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``rows`` (m, height) @ x @ ``columns`` (n, width)^T for x (..., height, width)."""
    return rows.to(x) @ x @ columns.to(x).T


class Separable(LinearOperator):
    """Y = R X C^T; subclasses make the float64 matrices ``rows`` (R) and ``columns`` (C)."""

    rows: Tensor
    columns: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return apply_separable(x, self.rows, self.columns)

    def adjoint(self, y: Tensor) -> Tensor:
        return apply_separable(y, self.rows.T, self.columns.T)


class SuperResolution(Separable):
    """Reduction by a whole factor: block means, or bicubic with antialiasing.

    Args:
        image_shape: of the images; ``factor`` divides height and width.
        factor: from 2.
        kernel: "average" or "bicubic".

    Raises:
        UsageError: the factor does not divide the size.
    """

    name: ClassVar[str] = "super-resolution"

    def __init__(self, image_shape: Shape, *, factor: int, kernel: str) -> None:
        channels, height, width = image_shape
        if factor < 2 or height % factor or width % factor:
            raise UsageError(
                f"super-resolution+factor={factor}: expected a factor of at least 2 that divides the {width}×{height} "
                "pixels of the images"
            )
        self.factor, self.kernel, self.image_shape = factor, kernel, image_shape
        self.measurement_shape = (channels, height // factor, width // factor)
        reduction = _block_means if kernel == "average" else _bicubic
        self.rows, self.columns = reduction(height, factor), reduction(width, factor)
        self.gram = 1 / factor**2 if kernel == "average" else None

    def picture(self, y: Tensor) -> Tensor:
        return functional.interpolate(y, scale_factor=self.factor, mode="nearest")

    def config(self) -> dict[str, Any]:
        return {
            "name": self.name, "image_shape": list(self.image_shape), "factor": self.factor, "kernel": self.kernel,
        }  # fmt: skip


class GaussianBlur(Separable):
    """Convolution with a Gaussian cut at four stds, the image reflected at its edges.

    Args:
        image_shape: of the images.
        std: in pixels.

    Raises:
        UsageError: ``std`` is not positive and below the size of the image.
    """

    name: ClassVar[str] = "gaussian-blur"

    def __init__(self, image_shape: Shape, *, std: float) -> None:
        _, height, width = image_shape
        if not 0 < std <= min(height, width):
            raise UsageError(
                f"gaussian-blur+std={std:g}: expected a std above 0 and up to the {min(height, width)} pixels of the "
                "images"
            )
        self.std, self.image_shape, self.measurement_shape = std, image_shape, image_shape
        offsets = torch.arange(-math.ceil(GAUSSIAN_RADIUS_STDS * std), math.ceil(GAUSSIAN_RADIUS_STDS * std) + 1)
        weights = torch.exp(-offsets.double().square() / (2 * std**2))
        weights /= weights.sum()
        self.rows, self.columns = (_convolution(size, weights) for size in (height, width))

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "image_shape": list(self.image_shape), "std": self.std}


def reflection(size: int, pad: int) -> Tensor:
    """(size + 2 pad, size) float64: padding by reflection, as a matrix; the edge itself is not repeated."""
    source = np.pad(np.arange(size), pad, mode="reflect")
    return functional.one_hot(torch.from_numpy(source), size).double()


def _convolution(size: int, weights: Tensor) -> Tensor:
    """(size, size): each output is ``weights`` over its neighbourhood of the reflected input."""
    pad = len(weights) // 2
    band = torch.zeros(size, size + 2 * pad, dtype=torch.float64)
    for i in range(size):
        band[i, i : i + len(weights)] = weights
    return band @ reflection(size, pad)


def _block_means(size: int, factor: int) -> Tensor:
    """(size / factor, size)."""
    return torch.eye(size // factor, dtype=torch.float64).repeat_interleave(factor, dim=1) / factor


def _bicubic(size: int, factor: int) -> Tensor:
    """(size / factor, size): Keys' cubic stretched by the factor, its weights summing to 1 at the edges too."""
    inputs = torch.arange(size, dtype=torch.float64) + 0.5
    outputs = (torch.arange(size // factor, dtype=torch.float64) + 0.5) * factor
    distance = ((inputs - outputs[:, None]) / factor).abs()
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance.square() + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    weights = torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))
    return weights / weights.sum(1, keepdim=True)
