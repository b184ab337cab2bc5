"""GANs: a generator and a critic, each with its own loss and optimizer.

Sources: Goodfellow et al. 2014, arXiv:1406.2661 (the non-saturating loss); Miyato et al. 2018, arXiv:1802.05957 (hinge,
with the spectral norm in the critic); Mescheder et al. 2018, arXiv:1801.04406 (R1); Karras et al. 2020,
arXiv:1912.04958, appendix B (R1 in some steps only).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from reprozoo import UsageError

from .base import Batch, Network, Networks, Objective

LOSSES = ("non-saturating", "hinge")


@dataclass(frozen=True, kw_only=True)
class GANObjective(Objective):
    """The critic steps first, then the generator on new noise.

    Attributes:
        z_dim: length of the noise.
        loss: "non-saturating" or "hinge".
        r1: weight of half the squared gradient of the critic at real images; 0 for none.
        r1_every: steps between two that have this term, which then counts as many times.
        critic_lr_ratio: learning rate of the critic over that of the generator.
    """

    beside: ClassVar[str] = "critic"
    rivals: ClassVar[tuple[str, ...]] = ("critic",)
    differentiated_twice: ClassVar[tuple[str, ...]] = ("critic",)  # by R1

    z_dim: int = 128
    loss: str = "non-saturating"
    r1: float = 0.0
    r1_every: int = 1
    critic_lr_ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise UsageError(f"loss is {self.loss!r}; it must be one of {', '.join(LOSSES)}")

    def draws(self, batch: int, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        """One noise for the critic's step, one for the generator's."""
        first, second = (torch.randn(batch, self.z_dim, generator=generator, device=generator.device) for _ in "12")
        return first, second

    def losses(self, networks: Networks, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        generator, critic = networks["network"], networks["critic"]
        noise, other_noise = batch.draws
        with torch.no_grad():
            fake = generator(noise)
        loss = self.critic_loss(critic(batch.x0).float(), critic(fake).float())
        if self.r1 and batch.step % self.r1_every == 0:
            loss = loss + self.r1_every * self.gradient_penalty(critic, batch.x0)
        yield "critic", loss
        score = critic(generator(other_noise)).float()
        yield "network", -score.mean() if self.loss == "hinge" else functional.softplus(-score).mean()

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Mean loss of scores (batch,) of real and of made images."""
        if self.loss == "hinge":
            return (functional.relu(1 - real) + functional.relu(1 + fake)).mean()
        return (functional.softplus(-real) + functional.softplus(fake)).mean()

    def gradient_penalty(self, critic: Network, images: Tensor) -> Tensor:
        """R1, in float32 whatever the rest is in."""
        with torch.autocast(images.device.type, enabled=False):
            images = images.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
        return 0.5 * self.r1 * gradient.square().sum(dim=(1, 2, 3)).mean()

    def noise_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.z_dim,)

    def sample(self, network: Network, noise: Tensor, *, steps: int) -> Tensor:
        return network(noise)

    def learning_rate_ratio(self, name: str) -> float:
        return self.critic_lr_ratio if name == "critic" else 1.0
