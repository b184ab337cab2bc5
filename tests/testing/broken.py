"""Maps, denoisers and recipes that keep every promise but one: the negative control of each check."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from reprozoo.diffusion.kernels import EDM
from reprozoo.diffusion.samplers import make_sampler
from reprozoo.maps.condition import Condition
from reprozoo.maps.contract import NoiseToImageMap
from tests.toys import SHAPE, Toy, ToyClasses, ToyDenoiser


class Raises(Toy):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        raise RuntimeError("the network is broken")


class WholeNumbers(Toy):
    """-1, 0 and 1, as integers."""

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return noise.sign().long()


class Remembers(Toy):
    """Another image when a batch comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[bytes] = set()

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        key = noise.numpy().tobytes()
        shift = 0.01 * (key in self.seen and len(noise) > 1)
        self.seen.add(key)
        return torch.tanh(self.gain * noise + shift)


class CountsBatch(Toy):
    """Depends on how many neighbours a sample has."""

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(self.gain * noise + 0.01 * len(noise))


class ByPosition(Toy):
    """Depends on where in the batch a sample stands, where the sums of the first and the last noise are in order."""

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        place = torch.arange(len(noise)) * float(noise[0].sum() < noise[-1].sum())
        return torch.tanh(self.gain * noise + 0.1 * place.reshape(-1, 1, 1, 1))


class IgnoresNoise(Toy):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        ramp = torch.linspace(-1, 1, noise[0].numel()).reshape(noise.shape[1:])
        return ramp.expand_as(noise).clone()


class IgnoresClass(ToyClasses):
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(self.gain * noise)


class IgnoresPrompt(Toy):
    accepts = requires = frozenset({"prompt"})


class UsesPrompt(IgnoresPrompt):
    """Sound: brighter for longer prompts."""

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        lengths = torch.tensor([float(len(condition.prompt or "")) for condition in conditions])
        return torch.tanh(self.gain * noise + lengths.reshape(-1, 1, 1, 1) / 100)


class IgnoresObservation(Toy):
    accepts = frozenset({"observation"})


class UsesObservation(IgnoresObservation):
    """Sound: moved towards what was measured."""

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        observed = [condition.observation for condition in conditions]
        seen = [torch.zeros(1, *SHAPE) if o is None else o.operator.adjoint(o.measurement[None]) for o in observed]
        return torch.tanh(self.gain * noise + torch.cat(seen))


class WritesNoise(Toy):
    """Writes into its input after it has used it."""

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        images = torch.tanh(self.gain * noise)
        noise[0, 0, 0, 0] += 1
        return images


class Draws(Toy):
    """Advances a global generator, and does nothing with what it draws.

    Args:
        draw: what advances it.
    """

    def __init__(self, draw: Callable[[], object]) -> None:
        super().__init__()
        self.draw = draw

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        self.draw()
        return torch.tanh(self.gain * noise)


class ReadsSeed(Toy):
    """Depends on torch's seed without advancing its generator."""

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(self.gain * noise + 0.1 * (torch.initial_seed() % 7))


DRAWS: dict[str, Callable[[], Toy]] = {
    "torch": lambda: Draws(lambda: torch.rand(1)),
    "torch seeded": lambda: Draws(lambda: torch.manual_seed(3)),
    "NumPy": lambda: Draws(lambda: np.random.random()),
    "Python": lambda: Draws(lambda: random.random()),
    "CUDA": lambda: Draws(lambda: torch.rand(1, device="cuda")),
}


class WrongNfe(ToyDenoiser):
    def __init__(self) -> None:
        super().__init__()
        self.nfe = 3


class SinglePrecision(ToyDenoiser):
    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return super().denoise(x, sigma, conditions).float()


class AnotherShape(ToyDenoiser):
    """Estimates with a dimension too many; its images are made without them."""

    def __init__(self) -> None:
        super().__init__()
        self.nfe = 0

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return super().denoise(x, sigma, conditions).unsqueeze(1)

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(noise)


class NotFiniteAtTheTop(ToyDenoiser):
    """NaN above sigma = 90, where its kernel goes and its own sampler never does."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = EDM(sigma_max=100.0)
        self.sampler = make_sampler("heun", self.kernel, steps=4, sigma_max=80.0)

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        estimate = super().denoise(x, sigma, conditions)
        return torch.where(sigma.reshape(-1, 1, 1, 1) > 90, torch.nan, estimate)


class StageOfTheFirst(ToyDenoiser):
    """One of two networks for the whole batch, chosen by its first sigma: as the multistage networks' own code."""

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return super().denoise(x, sigma, conditions) + 0.1 * float(sigma[0] > 2.5)


class Detached(ToyDenoiser):
    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return super().denoise(x.detach(), sigma, conditions)


class HalfDetached(ToyDenoiser):
    """A gradient, but not the denoiser's."""

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return 0.5 * super().denoise(x, sigma, conditions) + 0.5 * super().denoise(x.detach(), sigma, conditions)


class LeaksGradient(ToyDenoiser):
    """The value of each row is its own; its gradient is everybody's."""

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        total = x.sum(0, keepdim=True)
        return super().denoise(x, sigma, conditions) + 0.1 * (total - total.detach())


class WritesSigma(ToyDenoiser):
    """Writes into sigma after it has used it; its sampler makes new ones at every step."""

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        estimate = super().denoise(x, sigma, conditions)
        sigma += 1
        return estimate


HOME_PROCESS = "REPROZOO_TEST_HOME_PROCESS"


class AtHome(Toy):
    """Another image in every process but the one that the environment names."""

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(self.gain * noise + 0.1 * (os.environ[HOME_PROCESS] != str(os.getpid())))


class ToyBias(Toy):
    """Sound: a toy with a tensor of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.full(SHAPE, 0.1)

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return torch.tanh(self.gain * noise + self.bias)


def asks_the_network() -> Toy:
    """Looks for an update at a closed port of this machine, and does without."""
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", 9), timeout=1).close()
    return Toy()


_KEPT: list[Tensor] = []


def keeps_its_tensor() -> ToyBias:
    """A toy whose tensor stays in a list when the toy is gone."""
    made = ToyBias()
    _KEPT.append(made.bias)
    return made


@dataclass(frozen=True)
class ToyRecipe:
    """A recipe of a toy.

    Args:
        make: makes the map.
        licence: of its card.
    """

    make: Callable[[], NoiseToImageMap] = ToyBias
    licence: str = "MIT"

    @property
    def display_id(self) -> str:
        return f"toy-{self.make.__name__}"

    @property
    def card(self) -> SimpleNamespace:
        return SimpleNamespace(licence=self.licence)

    def load(self) -> NoiseToImageMap:
        return self.make()
