"""DPM-Solver++, multistep, orders 1 to 3: an exponential integrator in half the logSNR, for the image estimate.

Source: arXiv:2211.01095, algorithm 2; LuChengTHU/dpm-solver@52bc3fbc ``dpm_solver_pytorch.py`` (MIT), with
``algorithm_type='dpmsolver++'``, ``solver_type='dpmsolver'``, ``method='multistep'``, no thresholding. Deviations: the
state is x_t / alpha (data units) in float64, see ``dpm_solver``; a step to sigma 0, which the original does not have,
is of first order, the only one that is defined on an infinite interval of logSNR.

Order 3 is the formula that the original, diffusers and k-diffusion share. Its term for the second derivative has half
the weight that a Taylor expansion gives it, so that on smooth flows its error falls only like that of order 2 (measured
in ``tests/samplers/test_orders.py``). It is kept: what runs under this name elsewhere should run here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.sampler_specs import DPM_SOLVER_PP
from reprozoo.diffusion.sampling import ScheduledSampler, evaluate
from reprozoo.diffusion.schedules import multistep_orders

if TYPE_CHECKING:
    from reprozoo.diffusion.kernels import Kernel
    from reprozoo.maps.contract import Denoiser


def dpm_solver_pp_multistep(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor | Sequence[float], *, order: int = 2
) -> Tensor:
    """One evaluation a step; orders above 1 use the image estimates of the one or two levels before.

    Args:
        denoiser: (x, sigma) -> x0.
        x: (batch, ...) float64 state at ``sigmas[0]``.
        sigmas: decreasing noise levels, at least ``order + 1``; the last may be 0.
        order: the highest order; the first steps and, below 10 steps, the last are lower (``multistep_orders``).

    Returns:
        The state at the last level.
    """
    levels = torch.as_tensor(sigmas).tolist()
    estimates: list[tuple[float, Tensor]] = []  # (log sigma, x0), newest last
    for k, (sigma, following) in zip(multistep_orders(len(levels) - 1, order), pairwise(levels), strict=True):
        estimates = [*estimates[-2:], (math.log(sigma), evaluate(denoiser, x, sigma))]
        x = _step(x, estimates[-k:], math.log(following)) if following > 0 else estimates[-1][1]
    return x


def _step(x: Tensor, estimates: Sequence[tuple[float, Tensor]], log_following: float) -> Tensor:
    """A step of order ``len(estimates)``: x0 extrapolated in logSNR by their differences."""
    log_sigma, x0 = estimates[-1]
    h = log_sigma - log_following
    phi1 = math.expm1(-h)
    x = math.exp(-h) * x - phi1 * x0
    if len(estimates) == 1:
        return x
    before, x0_before = estimates[-2]
    r0 = (before - log_sigma) / h
    slope = (x0 - x0_before) / r0
    if len(estimates) == 2:
        return x - 0.5 * phi1 * slope
    before2, x0_before2 = estimates[-3]
    r1 = (before2 - before) / h
    slope_before = (x0_before - x0_before2) / r1
    curvature = (slope - slope_before) / (r0 + r1)  # half of h^2 x0'', see the head of the module
    phi2 = phi1 / h + 1
    phi3 = phi2 / h - 0.5
    return x + phi2 * (slope + r0 * curvature) - phi3 * curvature


class DPMSolverPP(ScheduledSampler):
    """``dpm_solver_pp_multistep``; with spacing=karras it ends at sigma 0, with the others at ``t_end``."""

    spec = DPM_SOLVER_PP
    to_zero: ClassVar[bool] = False

    order: int
    denoise_final: bool

    def __init__(self, *, kernel: Kernel, **options: Any) -> None:
        super().__init__(kernel=kernel, **options)
        multistep_orders(self.steps, self.order)
        if self.denoise_final and self.spacing == "karras":
            raise UsageError(
                f"sampler {self.name}: denoise_final has no effect with spacing=karras, which already ends at sigma 0"
            )

    @property
    def nfe(self) -> int:
        return self.steps + self.denoise_final

    def integrate(self, denoiser: Denoiser, x: Tensor) -> Tensor:
        x = dpm_solver_pp_multistep(denoiser, x, self.sigmas, order=self.order)
        return evaluate(denoiser, x, float(self.sigmas[-1])) if self.denoise_final else x
