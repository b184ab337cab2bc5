"""What a network is asked to predict: one class an objective, each a few lines of its paper's mathematics.

All objectives share one loss, the weighted mean squared error between the network's raw output and a target.
``denoise`` turns the output back: it gives every trained network the same meaning, Karras's D(x, sigma), and so the
core's samplers serve all. Kernels and conversions are the core's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reprozoo import UsageError
from reprozoo.kernels import EDM, VP, F_from_x0, Kernel, edm_preconditioning, per_sample, x0_from_eps, x0_from_F
from reprozoo.samplers import make_sampler

Network = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """A kernel, a distribution of its times, and a target."""

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

    def loss(self, network: Network, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Weighted mean squared error of every image: (batch,)."""
        sigma = self.kernel.sigma(t.double()).to(x0.dtype)
        x = x0 + per_sample(sigma, x0) * noise
        error = self.predict(network, x, sigma).float() - self.target(x0, noise, x, sigma)
        return self.weight(sigma) * error.square().mean(dim=(1, 2, 3))

    def sample(self, network: Network, noise: Tensor, *, steps: int) -> Tensor:
        """Images from unit noise by Heun's method, for a look at a network in training."""

        def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
            return self.denoise(network, x.float(), sigma.float()).double()

        sampler = make_sampler("heun", self.kernel, steps=steps)
        return sampler(denoiser, self.kernel.initial_state(noise.double())).float()


@dataclass(frozen=True, kw_only=True)
class EDMObjective(Objective):
    """Karras et al. 2022, arXiv:2206.00364, table 1 and equation 8: the raw network is F.

    The paper's weight times c_out squared is 1, so its loss is the plain error of F.
    """

    p_mean: float = -1.2
    p_std: float = 1.2
    sigma_data: float = 0.5
    sigma_min: float = 0.002
    sigma_max: float = 80.0

    @property
    def kernel(self) -> Kernel:
        return EDM(self.sigma_min, self.sigma_max)

    def draw_times(self, batch: int, generator: torch.Generator) -> Tensor:
        return (torch.randn(batch, generator=generator) * self.p_std + self.p_mean).exp()

    def target(self, x0: Tensor, noise: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        return F_from_x0(x, sigma, x0, sigma_data=self.sigma_data)

    def predict(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        c = edm_preconditioning(sigma, sigma_data=self.sigma_data)
        return network(per_sample(c.c_in, x) * x, c.c_noise)

    def denoise(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return x0_from_F(x, sigma, self.predict(network, x, sigma), sigma_data=self.sigma_data)


@dataclass(frozen=True, kw_only=True)
class VPEpsObjective(Objective):
    """Noise prediction under the continuous linear VP kernel; the network is told ``time_scale * t``.

    With ``weight_power`` 0 the loss is the papers' plain error of the noise. That hardly sees errors at large sigma,
    where they are multiplied by sigma on their way to the image: a large network gets there in the end, a small one
    with a short training does not. With 2 the error above sigma 1 is that of the image ("truncated SNR" of Salimans and
    Ho 2022, arXiv:2202.00512, section 4), and gradients from large sigma drown those from small. With 1, where the
    error of the image is about the same at every large sigma, so is the gradient.

    Source: Song et al. 2021, arXiv:2011.13456, equation 33; Bao et al. 2022, arXiv:2209.12152, section 3.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    t_min: float = 1e-3
    time_scale: float = 999.0
    weight_power: float = 0.0

    @property
    def kernel(self) -> Kernel:
        return VP(self.beta_min, self.beta_max)

    def draw_times(self, batch: int, generator: torch.Generator) -> Tensor:
        return torch.rand(batch, generator=generator) * (1 - self.t_min) + self.t_min

    def target(self, x0: Tensor, noise: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        return noise

    def predict(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        t = self.kernel.time(sigma.double())
        alpha = self.kernel.alpha(t).to(x.dtype)
        return network(per_sample(alpha, x) * x, (self.time_scale * t).to(x.dtype))

    def denoise(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return x0_from_eps(x, sigma, self.predict(network, x, sigma))

    def weight(self, sigma: Tensor) -> Tensor:
        return sigma.clamp(min=1.0) ** self.weight_power


OBJECTIVES: Mapping[str, type[Objective]] = {"edm": EDMObjective, "vp_eps": VPEpsObjective}


def objective(name: str, options: Mapping[str, Any]) -> Objective:
    """Build the objective of a recipe.

    Raises:
        UsageError: there is no such objective, or it has no such option.
    """
    if name not in OBJECTIVES:
        raise UsageError(f"unknown objective {name!r}; there are: {', '.join(OBJECTIVES)}")
    try:
        return OBJECTIVES[name](**options)
    except TypeError as error:
        raise UsageError(f"objective {name!r}: {error}") from error
