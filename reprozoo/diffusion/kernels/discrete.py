"""``DiscreteVP``: a model trained on N discrete noise levels, made continuous as the original DPM-Solver does.

Source: LuChengTHU/dpm-solver@52bc3fbc ``dpm_solver_pytorch.py NoiseScheduleVP('discrete', betas=...)`` (MIT), whose
levels and interpolation this reproduces, in float64 where the original is float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.diffusion.kernels.base import Kernel

BETA_SHAPES: dict[str, Callable[[float, float, int], Tensor]] = {
    "linear": lambda start, end, count: torch.linspace(start, end, count, dtype=torch.float64),
    "scaled-linear": lambda start, end, count: torch.linspace(
        math.sqrt(start), math.sqrt(end), count, dtype=torch.float64
    ).square(),
    "cosine": lambda start, end, count: _cosine_betas(start, end, count),
}
SMALLEST_LOG_SNR = -5.1  # half the logSNR below which the original drops levels: cosine schedules end at -infinity


@dataclass(frozen=True)
class BetaSchedule:
    """``count`` betas by a formula.

    "linear" (DDPM) and "scaled-linear" (latent diffusion: linear square roots) go from ``start`` to ``end``; "cosine"
    (improved DDPM, arXiv:2102.09672, equation 17) has the offset ``start``, 0.008 there, and no beta above ``end``,
    0.999.
    """

    shape: str = "linear"
    start: float = 1e-4
    end: float = 0.02
    count: int = 1000

    def __post_init__(self) -> None:
        if self.shape not in BETA_SHAPES:
            raise UsageError(
                f"unknown shape of betas {self.shape!r}{did_you_mean(self.shape, BETA_SHAPES)}; "
                f"there are: {', '.join(BETA_SHAPES)}"
            )

    def values(self) -> Tensor:
        """(count,) float64."""
        return BETA_SHAPES[self.shape](self.start, self.end, self.count)


def _cosine_betas(offset: float, largest: float, count: int) -> Tensor:
    angles = (torch.linspace(0, 1, count + 1, dtype=torch.float64) + offset) / (1 + offset) * (math.pi / 2)
    alpha_bars = angles.cos().square()
    return (1 - alpha_bars[1:] / alpha_bars[:-1]).clamp(max=largest)


@dataclass(frozen=True)
class DiscreteVP(Kernel):
    """Variance preserving on N levels, log(alpha) linear between the times t_i = (i + 1) / N of neighbouring levels.

    Outside [1/N, 1] the outermost segments go on. Where a schedule ends in practically pure noise (half logSNR below
    -5.1: cosine schedules, not the linear ones), the original drops the last levels and spreads the others over
    [0, 1]; so does this class, and ``levels`` is then smaller than the number of betas. How a network labels its
    levels, e.g. (t - 1/N) * 1000, is the family's work.

    The derivatives jump at every level: adaptive solvers (rk45) lose an order of magnitude of accuracy here against
    the continuous ``VP`` that a linear schedule approximates, and tightening their tolerances hardly helps.

    Args:
        betas: a schedule by formula, or the betas themselves, each in (0, 1).

    Raises:
        UsageError: fewer than two betas, or one outside (0, 1).
    """

    name: ClassVar[str] = "discrete-vp"
    t_max = 1.0
    prior_std = 1.0

    betas: BetaSchedule | tuple[float, ...] = BetaSchedule()

    def __post_init__(self) -> None:
        if not isinstance(self.betas, BetaSchedule | tuple):
            raise UsageError(f"kernel {self.name}: expected a schedule of betas or a list of them, got {self.betas!r}")
        values = self._betas()
        if len(values) < 2 or not bool(((values > 0) & (values < 1)).all()):
            raise UsageError(f"kernel {self.name}: expected at least two betas, each between 0 and 1, got {self.betas}")
        if self.levels < 2:
            raise UsageError(f"kernel {self.name}: of {self.betas} fewer than two levels of noise are usable")

    def config(self) -> dict[str, Any]:
        betas = asdict(self.betas) if isinstance(self.betas, BetaSchedule) else list(self.betas)
        return {"name": self.name, "betas": betas}

    @property
    def levels(self) -> int:
        """N: the number of noise levels in use."""
        return len(self._log_alphas)

    @property
    def t_min(self) -> float:
        return 1 / self.levels

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(self._log_alpha(t))

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(torch.expm1(-2 * self._log_alpha(t)))

    def time(self, sigma: Tensor) -> Tensor:
        log_alpha = -0.5 * torch.log1p(sigma.square())
        times, values = self._times.to(sigma.device), self._log_alphas.to(sigma.device)
        right = torch.searchsorted(-values, -log_alpha).clamp(1, self.levels - 1)
        return times[right] + (log_alpha - values[right]) / _slopes(times, values)[right - 1]

    def dlog_alpha_dt(self, t: Tensor) -> Tensor:
        times, values = self._times.to(t.device), self._log_alphas.to(t.device)
        return _slopes(times, values)[self._segment(t)]

    def dsigma_dt(self, t: Tensor) -> Tensor:
        sigma = self.sigma(t)
        return -self.dlog_alpha_dt(t) * (1 + sigma.square()) / sigma

    def _betas(self) -> Tensor:
        if isinstance(self.betas, BetaSchedule):
            return self.betas.values()
        return torch.tensor(self.betas, dtype=torch.float64)

    @cached_property
    def _log_alphas(self) -> Tensor:
        """(N,) decreasing; the original's ``numerical_clip_alpha`` included."""
        log_alphas = 0.5 * torch.cumsum(torch.log1p(-self._betas()), 0)
        half_log_snr = log_alphas - 0.5 * torch.log(-torch.expm1(2 * log_alphas))
        return log_alphas[: len(log_alphas) - int((half_log_snr < SMALLEST_LOG_SNR).sum())]

    @cached_property
    def _times(self) -> Tensor:
        return torch.linspace(0, 1, self.levels + 1, dtype=torch.float64)[1:]

    def _segment(self, t: Tensor) -> Tensor:
        """Index of the segment of the interpolation that holds each ``t``."""
        return torch.searchsorted(self._times.to(t.device), t).clamp(1, self.levels - 1) - 1

    def _log_alpha(self, t: Tensor) -> Tensor:
        times, values = self._times.to(t.device), self._log_alphas.to(t.device)
        right = self._segment(t) + 1
        return values[right] + (t - times[right]) * _slopes(times, values)[right - 1]


def _slopes(times: Tensor, values: Tensor) -> Tensor:
    """(N - 1,) slope of each segment of a piecewise linear function."""
    return values.diff() / times.diff()
