"""Kernels given by a formula: variance preserving, sub-VP, cosine, variance exploding, EDM, rectified flow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.kernels.base import Kernel, expect_increasing


def _linear_log_alpha(t: Tensor, beta_min: float, beta_max: float) -> Tensor:
    return -0.25 * t.square() * (beta_max - beta_min) - 0.5 * t * beta_min


def _linear_time(log_alpha: Tensor, beta_min: float, beta_max: float) -> Tensor:
    """Inverse of ``_linear_log_alpha``: the root of a quadratic, in the form that does not cancel near t = 0."""
    root = torch.sqrt(beta_min**2 - 4 * (beta_max - beta_min) * log_alpha)
    return -4 * log_alpha / (root + beta_min)


@dataclass(frozen=True)
class _LinearBeta(Kernel):
    """What the kernels of a beta linear in time share: the signal scale."""

    t_min = 1e-3
    t_max = 1.0
    prior_std = 1.0

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        expect_increasing(self.name, beta_min=self.beta_min, beta_max=self.beta_max)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(_linear_log_alpha(t, self.beta_min, self.beta_max))

    def dlog_alpha_dt(self, t: Tensor) -> Tensor:
        return -0.5 * (self.beta_min + t * (self.beta_max - self.beta_min))


@dataclass(frozen=True)
class VP(_LinearBeta):
    """Variance preserving, beta linear in time: alpha^2 + std^2 = 1.

    Source: arXiv:2011.13456, equation 33; ``t_min`` is that paper's sampling epsilon (trained from 1e-5 on).
    """

    name: ClassVar[str] = "vp"

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(torch.expm1(-2 * _linear_log_alpha(t, self.beta_min, self.beta_max)))

    def time(self, sigma: Tensor) -> Tensor:
        return _linear_time(-0.5 * torch.log1p(sigma.square()), self.beta_min, self.beta_max)

    def dsigma_dt(self, t: Tensor) -> Tensor:
        sigma = self.sigma(t)
        return -self.dlog_alpha_dt(t) * (1 + sigma.square()) / sigma


@dataclass(frozen=True)
class SubVP(_LinearBeta):
    """Sub-VP: the signal scale of ``VP``, with std = 1 - alpha^2, so that sigma = 1/alpha - alpha.

    Source: arXiv:2011.13456, equation 34.
    """

    name: ClassVar[str] = "sub-vp"

    def sigma(self, t: Tensor) -> Tensor:
        return -2 * torch.sinh(_linear_log_alpha(t, self.beta_min, self.beta_max))

    def time(self, sigma: Tensor) -> Tensor:
        return _linear_time(-torch.asinh(0.5 * sigma), self.beta_min, self.beta_max)

    def dsigma_dt(self, t: Tensor) -> Tensor:
        log_alpha = _linear_log_alpha(t, self.beta_min, self.beta_max)
        return -2 * torch.cosh(log_alpha) * self.dlog_alpha_dt(t)


@dataclass(frozen=True)
class CosineVP(Kernel):
    """Variance preserving with logSNR = -2 ln tan(a t + b), from ``logsnr_max`` at t = 0 to ``logsnr_min`` at t = 1.

    Source: arXiv:2202.00512; google-research@1d4d2f1a ``diffusion_distillation`` (Apache-2.0), schedule "cosine".
    """

    name: ClassVar[str] = "cosine-vp"
    t_min = 0.0
    t_max = 1.0
    prior_std = 1.0

    logsnr_min: float = -20.0
    logsnr_max: float = 20.0

    def __post_init__(self) -> None:
        if not -math.inf < self.logsnr_min < self.logsnr_max < math.inf:
            raise UsageError(
                f"kernel {self.name}: expected logsnr_min < logsnr_max, got {self.logsnr_min} and {self.logsnr_max}"
            )

    @property
    def _b(self) -> float:
        return math.atan(math.exp(-0.5 * self.logsnr_max))

    @property
    def _a(self) -> float:
        return math.atan(math.exp(-0.5 * self.logsnr_min)) - self._b

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(self._a * t + self._b)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.tan(self._a * t + self._b)

    def time(self, sigma: Tensor) -> Tensor:
        return (torch.atan(sigma) - self._b) / self._a

    def dlog_alpha_dt(self, t: Tensor) -> Tensor:
        return -self._a * self.sigma(t)

    def dsigma_dt(self, t: Tensor) -> Tensor:
        return self._a / self.alpha(t).square()


@dataclass(frozen=True)
class VE(Kernel):
    """Variance exploding: alpha = 1, sigma geometric in time. Defaults are those of score_sde on CIFAR-10.

    Source: arXiv:2011.13456, equation 31.
    """

    name: ClassVar[str] = "ve"
    t_min = 1e-5
    t_max = 1.0

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        expect_increasing(self.name, sigma_min=self.sigma_min, sigma_max=self.sigma_max)

    @property
    def prior_std(self) -> float:
        return self.sigma_max

    @property
    def _log_ratio(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_max * torch.exp(self._log_ratio * (t - 1))  # exactly sigma_max at t = 1

    def time(self, sigma: Tensor) -> Tensor:
        return 1 + torch.log(sigma / self.sigma_max) / self._log_ratio

    def dlog_alpha_dt(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def dsigma_dt(self, t: Tensor) -> Tensor:
        return self._log_ratio * self.sigma(t)


@dataclass(frozen=True)
class EDM(Kernel):
    """The kernel of EDM: alpha = 1 and the time is sigma itself. Source: arXiv:2206.00364, table 1."""

    name: ClassVar[str] = "edm"

    sigma_min: float = 0.002
    sigma_max: float = 80.0

    def __post_init__(self) -> None:
        expect_increasing(self.name, sigma_min=self.sigma_min, sigma_max=self.sigma_max)

    @property
    def t_min(self) -> float:
        return self.sigma_min

    @property
    def t_max(self) -> float:
        return self.sigma_max

    @property
    def prior_std(self) -> float:
        return self.sigma_max

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def time(self, sigma: Tensor) -> Tensor:
        return sigma

    def dlog_alpha_dt(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def dsigma_dt(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)


@dataclass(frozen=True)
class RectifiedFlow(Kernel):
    """The straight path x_t = (1 - t) x0 + t eps: alpha = 1 - t, sigma = t / (1 - t), from data (0) to noise (1).

    ``t_max`` is 1 - 1e-9, where sigma is still finite (about 1e9): rounded to float32 it is exactly 1, so a network
    sees the time it was trained with. Repositories that run time from noise to data use 1 - t.

    Source: arXiv:2209.03003.
    """

    name: ClassVar[str] = "rectified-flow"
    t_min = 0.0
    t_max = 1 - 1e-9
    prior_std = 1.0

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t / (1 - t)

    def time(self, sigma: Tensor) -> Tensor:
        return sigma / (1 + sigma)

    def dlog_alpha_dt(self, t: Tensor) -> Tensor:
        return -1 / (1 - t)

    def dsigma_dt(self, t: Tensor) -> Tensor:
        return 1 / (1 - t).square()
