"""Variational autoencoders: the decoder is exported, the encoder trained with it.

Sources: Kingma and Welling 2014, arXiv:1312.6114; Rybkin et al. 2021, arXiv:2006.13202, section 3, for a variance of
the pixels that is the best one for each batch, which leaves no weight between the two terms to be chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .base import Batch, Network, Networks, Objective


@dataclass(frozen=True, kw_only=True)
class VAEObjective(Objective):
    """The negative evidence lower bound in nats a pixel, without its constant.

    Attributes:
        z_dim: length of the latent.
    """

    beside: ClassVar[str] = "encoder"
    allies: ClassVar[tuple[str, ...]] = ("encoder",)

    z_dim: int = 128

    def draws(self, batch: int, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(batch, self.z_dim, generator=generator, device=generator.device),)

    def losses(self, networks: Networks, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        (noise,) = batch.draws
        mean, log_variance = networks["encoder"](batch.x0).float().chunk(2, dim=1)
        log_variance = log_variance.clamp(-12, 6)  # beyond, its exponential is more than a step of Adam can mend
        found = networks["network"](mean + (0.5 * log_variance).exp() * noise).float()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        error = (found - batch.x0).square().mean()
        yield "network", 0.5 * error.log() + divergence / math.prod(batch.x0.shape[1:])

    def noise_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.z_dim,)

    def sample(self, network: Network, noise: Tensor, *, steps: int) -> Tensor:
        return network(noise)
