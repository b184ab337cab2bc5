"""Variational autoencoders: the decoder is exported, the encoder trained with it, and the prior if it is learned.

Sources: Kingma and Welling 2014, arXiv:1312.6114; Rybkin et al. 2021, arXiv:2006.13202, section 3, for a variance of
the pixels that is the best one for each batch, which leaves no weight between the two terms to be chosen; Chen et al.
2017, arXiv:1611.02731, section 3.2, for a prior that a flow makes of unit noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from reprozoo import UsageError

from .base import Batch, Network, Networks, Objective


@dataclass(frozen=True, kw_only=True)
class VAEObjective(Objective):
    """The negative evidence lower bound in nats a pixel, without its constant.

    The prior is unit noise, or what the flow of a ``FlowDecoder`` makes of it.

    Attributes:
        z_dim: length of the latent.
        variance: of a pixel in [-1, 1] around the decoder's mean; 0 for the best one of each batch.
    """

    beside: ClassVar[str] = "encoder"
    allies: ClassVar[tuple[str, ...]] = ("encoder",)

    z_dim: int = 128
    variance: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.variance < math.inf:
            raise UsageError(f"variance is {self.variance}; it must be a number above 0, or 0 for the best of a batch")

    def draws(self, batch: int, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(batch, self.z_dim, generator=generator, device=generator.device),)

    def losses(self, networks: Networks, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        (noise,) = batch.draws
        mean, log_variance = networks["encoder"](batch.x0).float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-12, 6)  # beyond, its exponential is more than a step of Adam can mend
        latent = mean + (0.5 * log_variance).exp() * noise
        network: Any = networks["network"]
        if hasattr(network, "noise_of"):
            found, (unit, volume) = network.decoder(latent), network.noise_of(latent)
            square, volume = unit.float().square(), volume.float()
        else:
            found, square, volume = network(latent), mean.square() + log_variance.exp(), mean.new_zeros(())
        divergence = (0.5 * (square - 1 - log_variance).sum(dim=1) - volume).mean()
        likelihood = self.reconstruction(found.float(), batch.x0)
        yield "network", likelihood + divergence / math.prod(batch.x0.shape[1:])

    def reconstruction(self, found: Tensor, images: Tensor) -> Tensor:
        """Mean of a pixel's negative log likelihood, without the constant of the best variance."""
        error = (found - images).square().mean()
        if self.variance:
            return 0.5 * (error / self.variance - 1 + math.log(self.variance))
        return 0.5 * error.log()

    def noise_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.z_dim,)

    def sample(self, network: Network, noise: Tensor, *, steps: int) -> Tensor:
        return network(noise)
