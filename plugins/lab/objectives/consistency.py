"""Consistency models: one network f that maps every point of a flow to the flow's end.

f(x, sigma) = c_skip x + c_out F(c_in x, ln(sigma) / 4), which is x itself at sigma_min. It is fitted by making f at one
noise level agree with f at the next lower one, at two points of (about) the same trajectory. Distillation takes the
second point from a teacher's step along its flow, training from the same image and the same noise.

Sources: Song et al. 2023, arXiv:2303.01469, algorithms 2 and 3; Song and Dhariwal 2023, arXiv:2310.14189, for the
pseudo-Huber distance (section 3.3) and all of the training without a teacher (sections 3.4 and 3.5).
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reprozoo import UsageError
from reprozoo.diffusion.kernels import consistency_preconditioning, edm_preconditioning, per_sample, x0_from_F
from reprozoo.diffusion.schedules import karras_sigmas

from ..ema import update_ema
from .base import Batch, Network, Networks, Objective

HUBER_RATIO = 0.00054  # of the square root of the number of pixels; arXiv:2310.14189, section 3.3


@dataclass(frozen=True, kw_only=True)
class ConsistencyObjective(Objective):
    """What distillation and training share."""

    sigma_data: float = 0.5
    sigma_min: float = 0.002
    sigma_max: float = 80.0

    def function(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """f(x, sigma) of the raw ``network``."""
        c = consistency_preconditioning(sigma, sigma_data=self.sigma_data, sigma_min=self.sigma_min)
        output = network(per_sample(c.c_in, x) * x, c.c_noise).float()
        return per_sample(c.c_skip, x) * x + per_sample(c.c_out, x) * output

    def companions(self, network: nn.Module, given: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        if any(getattr(module, "dropout", 0) for module in network.modules()):
            raise UsageError("a consistency model's two calls would drop different units; set dropout = 0")
        return super().companions(network, given)

    def sample(self, network: Network, noise: Tensor, *, steps: int) -> Tensor:
        sigma = noise.new_full((len(noise),), self.sigma_max)
        return self.function(network, self.sigma_max * noise, sigma)

    def levels(self, count: int, like: Tensor) -> Tensor:
        """(count,) increasing noise levels, spaced as EDM's."""
        sigmas = karras_sigmas(count, sigma_min=self.sigma_min, sigma_max=self.sigma_max, rho=7.0)[:-1]
        return sigmas.flip(0).to(like.device, like.dtype)

    def draws(self, batch: int, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        """Where between 0 and 1 each sample's pair of levels is, and the noise."""
        place = torch.rand(batch, generator=generator, device=generator.device)
        return place, torch.randn((batch, *shape), generator=generator, device=generator.device)

    @abstractmethod
    def pairs(self, networks: Networks, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(x, sigma) on the upper level of each sample's pair, and (x, sigma) on the lower one."""

    @abstractmethod
    def weight(self, sigma: Tensor, lower: Tensor) -> Tensor:
        """(batch,) factor on the distance."""

    def aim(self, networks: Networks) -> Network:
        """The network that says where the lower point goes; no gradient passes through it."""
        return networks["network"]

    def losses(self, networks: Networks, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        with torch.no_grad():
            x, sigma, x_lower, lower = self.pairs(networks, batch)
        found = self.function(batch.bound(networks["network"]), x, sigma)
        with torch.no_grad():
            aimed = self.function(batch.bound(self.aim(networks)), x_lower, lower)
        pixels = math.prod(found.shape[1:])
        constant = HUBER_RATIO * math.sqrt(pixels)
        distance = ((found - aimed).square().sum(dim=(1, 2, 3)) + constant**2).sqrt() - constant
        yield "network", (self.weight(sigma, lower) * distance).mean()


@dataclass(frozen=True, kw_only=True)
class ConsistencyDistillation(ConsistencyObjective):
    """From a teacher of EDM's kind, whose network has the same arguments: two points of its flow by a step of Heun's.

    Attributes:
        level_count: noise levels.
        target_decay: share that the moving average of the weights, which says where to aim, keeps in a step.
    """

    needs_teacher: ClassVar[bool] = True

    level_count: int = 18
    target_decay: float = 0.95

    def companions(self, network: nn.Module, given: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        return {**super().companions(network, given), "target": copy.deepcopy(network)}

    def after_step(
        self, network: nn.Module, companions: Mapping[str, nn.Module], average: Mapping[str, Tensor], seen: range
    ) -> None:
        weights = [weight.detach() for weight in network.parameters()]
        update_ema(list(companions["target"].parameters()), weights, self.target_decay)

    def aim(self, networks: Networks) -> Network:
        return networks["target"]

    def pairs(self, networks: Networks, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        place, noise = batch.draws
        levels = self.levels(self.level_count, place)
        index = (place * (self.level_count - 1)).long().clamp(max=self.level_count - 2)
        lower, sigma = levels[index], levels[index + 1]
        x = batch.x0 + per_sample(sigma, noise) * noise
        return x, sigma, self._step(batch.bound(networks["teacher"]), x, sigma, lower), lower

    def _step(self, teacher: Network, x: Tensor, sigma: Tensor, lower: Tensor) -> Tensor:
        """Heun's step of every sample between its own two levels."""

        def slope(x: Tensor, sigma: Tensor) -> Tensor:
            c = edm_preconditioning(sigma, sigma_data=self.sigma_data)
            output = teacher(per_sample(c.c_in, x) * x, c.c_noise).float()
            return (x - x0_from_F(x, sigma, output, sigma_data=self.sigma_data)) / per_sample(sigma, x)

        change = per_sample(lower - sigma, x)
        first = slope(x, sigma)
        return x + change * 0.5 * (first + slope(x + change * first, lower))

    def weight(self, sigma: Tensor, lower: Tensor) -> Tensor:
        return torch.ones_like(sigma)


@dataclass(frozen=True, kw_only=True)
class ConsistencyTraining(ConsistencyObjective):
    """Without a teacher: the lower point has the same image and noise; levels double while the training goes on.

    Attributes:
        first_levels, last_levels: number of levels at the start and from ``curriculum_images`` on.
        p_mean, p_std: of the logarithm of the noise level, as in EDM.
    """

    first_levels: int = 10
    last_levels: int = 160
    curriculum_images: int
    p_mean: float = -1.1
    p_std: float = 2.0

    def count(self, seen: int) -> int:
        """How many steps lie between sigma_min and sigma_max after ``seen`` images."""
        doublings = round(math.log2(self.last_levels / self.first_levels))
        done = int(seen * (doublings + 1) / self.curriculum_images)
        return min(self.first_levels << min(done, doublings), self.last_levels)

    def pairs(self, networks: Networks, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        place, noise = batch.draws
        levels = self.levels(self.count(batch.seen) + 1, place)
        chances = torch.erf((levels.log() - self.p_mean) / (math.sqrt(2) * self.p_std)).diff()
        edges = (chances / chances.sum()).cumsum(0)
        index = torch.bucketize(place, edges).clamp(max=len(levels) - 2)
        lower, sigma = levels[index], levels[index + 1]
        x, x_lower = (batch.x0 + per_sample(level, noise) * noise for level in (sigma, lower))
        return x, sigma, x_lower, lower

    def weight(self, sigma: Tensor, lower: Tensor) -> Tensor:
        return 1 / (sigma - lower)
