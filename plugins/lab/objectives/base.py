"""What every objective has in common: what it draws, whose losses it has, what it leaves beside the network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reprozoo import Sampler
from reprozoo.diffusion.kernels import Kernel, per_sample
from reprozoo.diffusion.samplers import make_sampler

Network = Callable[..., Tensor]  # (x, time[, classes]) of a denoiser, (noise) of a generator
Networks = Mapping[str, Network]  # "network" is the one that is trained; others are the objective's companions


@dataclass(frozen=True)
class Batch:
    """What one step trains on.

    Attributes:
        x0: (batch, channels, height, width) images in [-1, 1].
        draws: what the objective drew, rows in the order of ``x0``.
        classes: (batch, ...) as the network takes them; None for a network without classes.
        step: number of the step, from 0.
        seen: images seen before it.
    """

    x0: Tensor
    draws: tuple[Tensor, ...]
    classes: Tensor | None = None
    step: int = 0
    seen: int = 0

    def bound(self, network: Network) -> Network:
        """``network`` with the classes of this batch."""
        classes = self.classes
        return network if classes is None else lambda x, time: network(x, time, classes)


class Objective(ABC):
    """What a network is trained for; subclasses are frozen dataclasses of a recipe's options.

    Attributes:
        needs_teacher: whether the recipe must name a teacher.
        beside: the network that a recipe must describe beside the one that is trained: "critic", "encoder" or "".
        allies: companions that the network's own loss trains.
        rivals: companions that are trained by losses and an optimizer of their own.
        differentiated_twice: networks whose gradient a loss differentiates, which torch.compile does not support.
    """

    needs_teacher: ClassVar[bool] = False
    beside: ClassVar[str] = ""
    allies: ClassVar[tuple[str, ...]] = ()
    rivals: ClassVar[tuple[str, ...]] = ()
    differentiated_twice: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def draws(self, batch: int, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        """The random numbers of one step for ``batch`` images of ``shape``, each (batch, ...)."""

    @abstractmethod
    def losses(self, networks: Networks, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Names of networks, each with its mean loss; the optimizer of one steps before the next is computed.

        The last one is that of "network", which loss curves show.
        """

    @abstractmethod
    def sample(self, network: Network, noise: Tensor, *, steps: int) -> Tensor:
        """Images from unit noise, for a look at a network; ``steps`` where the objective leaves their number open."""

    def noise_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one noise that ``sample`` takes."""
        return image_shape

    def companions(self, network: nn.Module, given: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        """Networks beside ``network``, kept in checkpoints, by name; ``given`` are teacher, critic or encoder."""
        return dict(given)

    def after_step(  # noqa: B027  # most have nothing to do here
        self, network: nn.Module, companions: Mapping[str, nn.Module], average: Mapping[str, Tensor], seen: range
    ) -> None:
        """Change the companions that no loss trains.

        Args:
            network: as the step left it.
            average: moving averages of its weights, by name.
            seen: numbers of the images of the step.
        """

    def learning_rate_ratio(self, name: str) -> float:
        """Factor on the recipe's learning rate for the network ``name``."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class DenoisingObjective(Objective):
    """A kernel, a distribution of its times, and a target: the weighted squared error of the raw network.

    ``denoise`` turns the output back: it gives every trained network the same meaning, Karras's D(x, sigma), and so the
    core's samplers serve all. Kernels and conversions are the core's.
    """

    @property
    @abstractmethod
    def kernel(self) -> Kernel:
        """How noise is mixed into the images."""

    @abstractmethod
    def draw_times(self, batch: int, generator: torch.Generator) -> Tensor:
        """(batch,) times to train at."""

    @abstractmethod
    def target(self, x0: Tensor, noise: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """What the network should give for ``x = x0 + sigma * noise``."""

    @abstractmethod
    def predict(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """Call the network on ``x`` as its family does: its scaling of the input, its encoding of time."""

    @abstractmethod
    def denoise(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """The x0 that the network sees in ``x``."""

    def weight(self, sigma: Tensor) -> Tensor:
        """Factor on the squared error."""
        return torch.ones_like(sigma)

    def sampler(self, steps: int) -> Sampler:
        """What makes images for a look: Heun's method."""
        return make_sampler("heun", self.kernel, steps=steps)

    def draws(self, batch: int, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        t = self.draw_times(batch, generator)
        return t, torch.randn((batch, *shape), generator=generator, device=generator.device)

    def loss(self, network: Network, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Weighted mean squared error of every image: (batch,)."""
        sigma = self.kernel.sigma(t.double()).to(x0.dtype)
        x = x0 + per_sample(sigma, x0) * noise
        error = self.predict(network, x, sigma).float() - self.target(x0, noise, x, sigma)
        return self.weight(sigma) * error.square().mean(dim=(1, 2, 3))

    def losses(self, networks: Networks, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        t, noise = batch.draws
        yield "network", self.loss(batch.bound(networks["network"]), batch.x0, noise, t).mean()

    def sample(self, network: Network, noise: Tensor, *, steps: int) -> Tensor:
        def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
            return self.denoise(network, x.float(), sigma.float()).double()

        return self.sampler(steps)(denoiser, self.kernel.initial_state(noise.double())).float()
