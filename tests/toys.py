"""Small maps for tests: some that keep their contract, and three whose images nobody should see."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reprozoo.diffusion.denoisers import DenoiserMap
from reprozoo.diffusion.kernels import EDM
from reprozoo.diffusion.samplers import make_sampler
from reprozoo.maps.condition import Condition
from reprozoo.maps.contract import NoiseToImageMap

SHAPE = (3, 4, 4)


class Toy(NoiseToImageMap):
    """tanh of the noise times a gain: deterministic, rowwise, in range."""

    noise_shape = SHAPE
    image_shape = SHAPE

    def __init__(self, gain: float = 0.5) -> None:
        self.gain = gain

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(self.gain * noise)


class ToyClasses(Toy):
    """A conditional toy of ten classes."""

    accepts = requires = frozenset({"class_label"})
    num_classes = 10

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        labels = torch.tensor([float(condition.class_label or 0) for condition in conditions])
        return torch.tanh(self.gain * noise + labels.reshape(-1, 1, 1, 1) / 10)


class ToyDenoiser(DenoiserMap):
    """The exact denoiser of N(0, 0.04 I) under Heun."""

    def __init__(self, steps: int = 4) -> None:
        kernel = EDM()
        sampler = make_sampler("heun", kernel, steps=steps)
        super().__init__(noise_shape=SHAPE, image_shape=SHAPE, kernel=kernel, sampler=sampler)

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return x * (0.04 / (0.04 + sigma**2)).reshape(-1, 1, 1, 1)


class WrongShape(Toy):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(noise)[:, :1]


class OutOfRange(Toy):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return 3 * noise


class NotFinite(Toy):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.full_like(noise, torch.nan)
