"""Between a model's data units and images in [-1, 1]; they differ where a network was trained on pixels in [0, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from reprozoo import DenoiserMap, UsageError


@dataclass(frozen=True)
class Units:
    """image = slope * x + offset, elementwise."""

    slope: float = 1.0
    offset: float = 0.0

    def images(self, x: Tensor) -> Tensor:
        return self.slope * x + self.offset

    def states(self, images: Tensor) -> Tensor:
        return (images - self.offset) / self.slope


def units_of(base: DenoiserMap) -> Units:
    """The units that ``base.decode`` goes to.

    Raises:
        UsageError: it is more than a change of units, as a decoder of latents is.
    """
    if base.noise_shape == base.image_shape:
        ramp = torch.linspace(0, 1, math.prod(base.noise_shape), dtype=torch.float64).reshape(1, *base.noise_shape)
        with torch.no_grad():
            images = base.decode(ramp.to(base.device)).to(ramp)
        first, last = float(images.flatten()[0]), float(images.flatten()[-1])
        units = Units(last - first, first)
        if units.slope and torch.allclose(images, units.images(ramp)):
            return units
    raise UsageError(
        f"{base.display_name} decodes what its denoiser works on, and an observation is of the image: models of "
        "latents are not solved here; choose a model of pixels"
    )
