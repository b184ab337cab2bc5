"""Denoisers by what their network predicts: F, eps, v, x0 or the velocity of a flow. Each a few lines of its paper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from reprozoo import Sampler
from reprozoo.diffusion.kernels import (
    EDM,
    VP,
    CosineVP,
    F_from_x0,
    Kernel,
    RectifiedFlow,
    at,
    edm_preconditioning,
    kernel_from_config,
    per_sample,
    v_from_x0,
    x0_from_eps,
    x0_from_F,
    x0_from_flow,
    x0_from_v,
)
from reprozoo.diffusion.samplers import make_sampler

from .base import DenoisingObjective, Network


@dataclass(frozen=True, kw_only=True)
class EDMObjective(DenoisingObjective):
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
        normals = torch.randn(batch, generator=generator, device=generator.device)
        return (normals * self.p_std + self.p_mean).exp()

    def target(self, x0: Tensor, noise: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        return F_from_x0(x, sigma, x0, sigma_data=self.sigma_data)

    def predict(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        c = edm_preconditioning(sigma, sigma_data=self.sigma_data)
        return network(per_sample(c.c_in, x) * x, c.c_noise)

    def denoise(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return x0_from_F(x, sigma, self.predict(network, x, sigma), sigma_data=self.sigma_data)


@dataclass(frozen=True, kw_only=True)
class TimedObjective(DenoisingObjective):
    """A network of the kernel's own state ``alpha * x``, told ``time_scale * t``; t is uniform from ``t_min`` on."""

    t_min: float = 1e-3
    time_scale: float = 999.0

    def draw_times(self, batch: int, generator: torch.Generator) -> Tensor:
        return torch.rand(batch, generator=generator, device=generator.device) * (1 - self.t_min) + self.t_min

    def network_time(self, sigma: Tensor, t: Tensor) -> Tensor:
        """What the network is told at (batch,) ``sigma``, which is the kernel's time ``t``; both float64."""
        return self.time_scale * t

    def predict(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        t = self.kernel.time(sigma.double())
        alpha = self.kernel.alpha(t).to(x.dtype)
        return network(per_sample(alpha, x) * x, self.network_time(sigma.double(), t).to(x.dtype))


@dataclass(frozen=True, kw_only=True)
class NoisePrediction(TimedObjective):
    """Prediction of the noise.

    With ``weight_power`` 0 the loss is the papers' plain error of the noise. That hardly sees errors at large sigma,
    where they are multiplied by sigma on their way to the image: a large network gets there in the end, a small one
    with a short training does not. With 2 the error above sigma 1 is that of the image ("truncated SNR" of Salimans and
    Ho 2022, arXiv:2202.00512, section 4), and gradients from large sigma drown those from small. With 1, where the
    error of the image is about the same at every large sigma, so is the gradient.

    Source: Song et al. 2021, arXiv:2011.13456, equation 33; Bao et al. 2022, arXiv:2209.12152, section 3.
    """

    weight_power: float = 0.0

    def target(self, x0: Tensor, noise: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        return noise

    def denoise(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return x0_from_eps(x, sigma, self.predict(network, x, sigma))

    def weight(self, sigma: Tensor) -> Tensor:
        return sigma.clamp(min=1.0) ** self.weight_power


@dataclass(frozen=True, kw_only=True)
class VPEpsObjective(NoisePrediction):
    """Under the continuous linear VP kernel."""

    beta_min: float = 0.1
    beta_max: float = 20.0

    @property
    def kernel(self) -> Kernel:
        return VP(self.beta_min, self.beta_max)


@dataclass(frozen=True, kw_only=True)
class EpsObjective(NoisePrediction):
    """Under the kernel of ``kernel_config``: name and parameters as a card writes them."""

    kernel_config: Mapping[str, Any] = field(default_factory=lambda: {"name": "vp"})

    @property
    def kernel(self) -> Kernel:
        return kernel_from_config(self.kernel_config)


@dataclass(frozen=True, kw_only=True)
class VObjective(TimedObjective):
    """Salimans and Ho 2022, arXiv:2202.00512, section 4: v = alpha eps - std x0; its plain error weighs x0 by SNR + 1.

    The kernel of ``kernel_config`` must preserve the variance.
    """

    kernel_config: Mapping[str, Any] = field(default_factory=lambda: {"name": "vp"})

    @property
    def kernel(self) -> Kernel:
        return kernel_from_config(self.kernel_config)

    def target(self, x0: Tensor, noise: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        return v_from_x0(x, sigma, x0)

    def denoise(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return x0_from_v(x, sigma, self.predict(network, x, sigma))


@dataclass(frozen=True, kw_only=True)
class X0Objective(TimedObjective):
    """Image prediction as progressive distillation has it: SNR weights, not below 1 ("truncated SNR").

    The kernel is cosine, and the network is told time_scale * atan(sigma) / (pi / 2), between the kernel's ends. Unlike
    the paper's, weights end at ``snr_max``: a small network cannot return an image with little noise to within that
    noise, what it is punished for makes its training unstable, and a sampler of a few steps never asks there.

    Source: arXiv:2202.00512, section 4; google-research@30adf0ec ``diffusion_distillation`` (Apache-2.0).
    """

    t_min: float = 0.0
    time_scale: float = 1000.0
    snr_max: float = 100.0

    @property
    def kernel(self) -> Kernel:
        return CosineVP()

    def network_time(self, sigma: Tensor, t: Tensor) -> Tensor:
        lowest, highest = (at(self.kernel.sigma, end) for end in (self.kernel.t_min, self.kernel.t_max))
        return sigma.clamp(lowest, highest).atan() * (2 / math.pi * self.time_scale)

    def target(self, x0: Tensor, noise: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        return x0

    def denoise(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return self.predict(network, x, sigma)

    def weight(self, sigma: Tensor) -> Tensor:
        return sigma.clamp(self.snr_max**-0.5, 1.0) ** -2

    def sampler(self, steps: int) -> Sampler:
        return make_sampler("ddim", self.kernel, steps=steps, spacing="time_uniform", clip_x0=True)


@dataclass(frozen=True, kw_only=True)
class FlowObjective(TimedObjective):
    """Rectified flow, Liu et al. 2022, arXiv:2209.03003, equation 1: the velocity of the straight path."""

    t_min: float = 0.0

    @property
    def kernel(self) -> Kernel:
        return RectifiedFlow()

    def target(self, x0: Tensor, noise: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        return noise - x0  # from x it would be a difference of two large numbers near t = 1

    def denoise(self, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return x0_from_flow(x, sigma, self.predict(network, x, sigma))

    def sampler(self, steps: int) -> Sampler:
        return make_sampler("euler", self.kernel, steps=steps, spacing="time_uniform")
