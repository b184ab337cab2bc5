"""Small maps for tests: one that keeps its contract, and ones that each break exactly one promise of it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from reprozoo.kernels import EDM
from reprozoo.maps import Condition, DenoiserMap, NoiseToImageMap
from reprozoo.samplers import make_sampler

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


class Raises(Toy):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        raise RuntimeError("the network is broken")


class Forgetful(Toy):
    """Differs from call to call without touching any global generator."""

    calls = 0

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        self.calls += 1
        return torch.tanh(self.gain * noise + 0.01 * self.calls)


class MixesBatch(Toy):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(self.gain * noise / noise.std())


class ByPosition(Toy):
    """Depends on where in the batch a sample stands; alone each stands first."""

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(self.gain * noise + 0.1 * torch.arange(len(noise)).reshape(-1, 1, 1, 1))


class IgnoresNoise(Toy):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        ramp = torch.linspace(-1, 1, noise[0].numel()).reshape(noise.shape[1:])
        return ramp.expand_as(noise).clone()


class WritesNoise(Toy):
    """Writes into its input after it has used it."""

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        images = torch.tanh(self.gain * noise)
        noise[0, 0, 0, 0] += 1
        return images


class DrawsTorch(Toy):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(self.gain * torch.randn_like(noise))


class DrawsPython(Toy):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        random.random()
        return torch.tanh(self.gain * noise)


class WrongNfe(ToyDenoiser):
    def __init__(self) -> None:
        super().__init__()
        self.nfe = 3
