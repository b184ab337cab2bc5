"""DPM-Solver, singlestep, orders 1 to 3: an exponential integrator in half the logSNR.

It holds the noise estimate constant over a step, to first order, or the image estimate, which is the singlestep form of
DPM-Solver++; at order 1 the two are the same.

Source: arXiv:2206.00927, algorithms 1 and 2; arXiv:2211.01095, algorithm 1, and the order 3 that goes with it;
LuChengTHU/dpm-solver@52bc3fbc ``dpm_solver_pytorch.py`` (MIT), with ``algorithm_type='dpmsolver'`` or 'dpmsolver++',
``solver_type='dpmsolver'``, ``method='singlestep'``. Deviations: the state is x_t / alpha (data units), where alpha
cancels from every formula and ``sigma_t * expm1(h)`` is the difference of two sigmas; so the result is x_t / alpha at
``t_end``, which for VP at 1e-3 is larger by a factor 1 + 5.5e-5. The state is float64, the original's float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.sampler_specs import DPM_SOLVER
from reprozoo.diffusion.sampling import FixedStepSampler, default_t_end, evaluate, expect_gentle_start, expect_t_end
from reprozoo.diffusion.schedules import singlestep_orders, singlestep_sigmas

if TYPE_CHECKING:
    from reprozoo.diffusion.kernels import Kernel
    from reprozoo.maps.contract import Denoiser


def dpm_solver_singlestep(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor | Sequence[float],
    orders: Sequence[int],
    *,
    estimate: str = "noise",
) -> Tensor:
    """Steps of the given orders; a step of order k begins at one level, evaluates at k levels and ends k levels on.

    Args:
        denoiser: (x, sigma) -> x0.
        x: (batch, ...) float64 state at ``sigmas[0]``.
        sigmas: decreasing, positive noise levels, inner ones included, ``sum(orders) + 1`` of them
            (``schedules.singlestep_sigmas``).
        orders: of each step, 1, 2 or 3.
        estimate: what a step extrapolates, "noise" or "image".

    Returns:
        The state at the last level.

    Raises:
        UsageError: ``sigmas`` and ``orders`` do not fit each other.
    """
    levels = torch.as_tensor(sigmas).tolist()
    if len(levels) != sum(orders) + 1 or not set(orders) <= _STEPS[estimate].keys():
        raise UsageError(
            f"expected steps of order 1, 2 or 3 and {sum(orders) + 1} sigmas for the orders {list(orders)}, "
            f"got {len(levels)} sigmas"
        )
    for step_levels in levels_of_steps(levels, orders):
        x0 = evaluate(denoiser, x, step_levels[0])
        x = dpm_solver_step(denoiser, x, x0, step_levels, estimate=estimate)
    return x


def levels_of_steps(levels: Sequence[float], orders: Sequence[int]) -> Iterator[Sequence[float]]:
    """The levels of each step: of order k, k + 1 of them, the last of one being the first of the next."""
    first = 0
    for order in orders:
        yield levels[first : first + order + 1]
        first += order


def dpm_solver_step(
    denoiser: Denoiser, x: Tensor, x0: Tensor, levels: Sequence[float], *, estimate: str = "noise"
) -> Tensor:
    """One step, of order ``len(levels) - 1``.

    Args:
        denoiser: called ``order - 1`` times.
        x: (batch, ...) float64 state at ``levels[0]``.
        x0: the denoiser's estimate there; a caller that steers the steps has its gradient from the same evaluation.
        levels: decreasing, positive.
        estimate: as in ``dpm_solver_singlestep``.

    Returns:
        The state at ``levels[-1]``.
    """
    return _STEPS[estimate][len(levels) - 1](denoiser, x, x0, *levels)


def _eps(denoiser: Denoiser, x: Tensor, sigma: float) -> Tensor:
    return (x - evaluate(denoiser, x, sigma)) / sigma


def _first(denoiser: Denoiser, x: Tensor, x0: Tensor, s: float, t: float) -> Tensor:
    return x + (t - s) * ((x - x0) / s)


def _second(denoiser: Denoiser, x: Tensor, x0: Tensor, s: float, s1: float, t: float) -> Tensor:
    r1 = math.log(s / s1) / math.log(s / t)
    eps = (x - x0) / s
    eps1 = _eps(denoiser, x + (s1 - s) * eps, s1)
    return x + (t - s) * eps + (0.5 / r1) * (t - s) * (eps1 - eps)


def _third(denoiser: Denoiser, x: Tensor, x0: Tensor, s: float, s1: float, s2: float, t: float) -> Tensor:
    h, h1, h2 = (math.log(s / level) for level in (t, s1, s2))
    eps = (x - x0) / s
    eps1 = _eps(denoiser, x + (s1 - s) * eps, s1)
    inner = (s - s2) / h2 - s2  # sigma_s2 * (expm1(h2) / h2 - 1)
    eps2 = _eps(denoiser, x + (s2 - s) * eps - (h2 / h1) * inner * (eps1 - eps), s2)
    outer = (s - t) / h - t  # sigma_t * (expm1(h) / h - 1)
    return x + (t - s) * eps - (h / h2) * outer * (eps2 - eps)


def _second_of_image(denoiser: Denoiser, x: Tensor, x0: Tensor, s: float, s1: float, t: float) -> Tensor:
    r1 = math.log(s / s1) / math.log(s / t)
    phi1 = t / s - 1  # expm1(-h)
    x01 = evaluate(denoiser, (s1 / s) * x + (1 - s1 / s) * x0, s1)
    return (t / s) * x - phi1 * x0 - (0.5 / r1) * phi1 * (x01 - x0)


def _third_of_image(denoiser: Denoiser, x: Tensor, x0: Tensor, s: float, s1: float, s2: float, t: float) -> Tensor:
    h, h1, h2 = (math.log(s / level) for level in (t, s1, s2))
    x01 = evaluate(denoiser, (s1 / s) * x + (1 - s1 / s) * x0, s1)
    inner = (s2 / s - 1) / h2 + 1  # expm1(-h2) / h2 + 1
    x02 = evaluate(denoiser, (s2 / s) * x + (1 - s2 / s) * x0 + (h2 / h1) * inner * (x01 - x0), s2)
    outer = (t / s - 1) / h + 1
    return (t / s) * x + (1 - t / s) * x0 + (h / h2) * outer * (x02 - x0)


_STEPS: dict[str, dict[int, Callable[..., Tensor]]] = {
    "noise": {1: _first, 2: _second, 3: _third},
    "image": {1: _first, 2: _second_of_image, 3: _third_of_image},
}


class DPMSolver(FixedStepSampler):
    """``dpm_solver_singlestep`` with exactly ``steps`` evaluations: 100 at order 3 are 33 steps of order 3, 1 of 1."""

    spec = DPM_SOLVER

    steps: int
    order: int
    spacing: str
    t_end: float
    estimate: str
    denoise_final: bool

    def __init__(self, *, kernel: Kernel, **options: Any) -> None:
        super().__init__(kernel=kernel, **options)
        self._resolve(t_end=default_t_end(kernel))
        expect_t_end(self.name, kernel, self.t_end)
        if max(self.orders) > 1:
            expect_gentle_start(self.name, self.sigmas)

    @cached_property
    def orders(self) -> list[int]:
        """Order of each step."""
        return singlestep_orders(self.steps, self.order)

    @cached_property
    def sigmas(self) -> Tensor:
        return singlestep_sigmas(self.kernel, self.orders, spacing=self.spacing, t_end=self.t_end)

    @property
    def nfe(self) -> int:
        return self.steps + self.denoise_final

    def integrate(self, denoiser: Denoiser, x: Tensor) -> Tensor:
        x = dpm_solver_singlestep(denoiser, x, self.sigmas, self.orders, estimate=self.estimate)
        return evaluate(denoiser, x, float(self.sigmas[-1])) if self.denoise_final else x
