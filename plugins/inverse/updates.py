"""The steps between corrections: what moves the state from one noise level to the next.

``SingleStep`` is DPM-Solver as the paper of this project has it, ``Ancestral`` the mean of DDPM's ancestral step, which
is the original's update with its noise left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from torch import Tensor

from reprozoo import Denoiser
from reprozoo.diffusion.kernels import Kernel
from reprozoo.diffusion.samplers import dpm_solver_step, levels_of_steps, make_sampler


class Step(Protocol):
    """One step; the estimate at its start is given, because the correction's gradient comes from the same evaluation.

    Attributes:
        start, end: noise levels.
        further_calls: denoiser calls besides that of the estimate.
    """

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...

    @property
    def further_calls(self) -> int: ...

    def __call__(self, denoiser: Denoiser, x: Tensor, x0: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class SingleStep:
    """A step of DPM-Solver, of order ``len(levels) - 1``."""

    levels: Sequence[float]

    @property
    def start(self) -> float:
        return self.levels[0]

    @property
    def end(self) -> float:
        return self.levels[-1]

    @property
    def further_calls(self) -> int:
        return len(self.levels) - 2

    def __call__(self, denoiser: Denoiser, x: Tensor, x0: Tensor) -> Tensor:
        return dpm_solver_step(denoiser, x, x0, self.levels)


@dataclass(frozen=True)
class Ancestral:
    """The mean of q(x_t | x_s, x0), in data units: x0 + (t / s)^2 (x - x0) for noise levels s and then t.

    With alpha^2 = 1 / (1 + sigma^2) the two coefficients of arXiv:2006.11239, equation 7, divided by alpha_t, are
    1 - (t / s)^2 and (t / s)^2. The state has less noise than its level says from the second step on: without the noise
    that is left out here it is not a sampler.
    """

    start: float
    end: float
    further_calls: int = 0

    def __call__(self, denoiser: Denoiser, x: Tensor, x0: Tensor) -> Tensor:
        return x0 + (self.end / self.start) ** 2 * (x - x0)


def dpm_solver_steps(kernel: Kernel, *, evaluations: int, order: int) -> list[Step]:
    """``evaluations`` network evaluations in steps of at most ``order``; 100 of order 3 are 33 and one of order 1.

    Raises:
        UsageError: as the sampler dpm-solver says.
    """
    sampler = make_sampler("dpm-solver", kernel, steps=evaluations, order=order)
    levels: list[float] = sampler.sigmas.tolist()  # type: ignore[attr-defined]  # it has fixed steps
    return [SingleStep(part) for part in levels_of_steps(levels, sampler.orders)]  # type: ignore[attr-defined]


def ancestral_steps(kernel: Kernel, *, evaluations: int) -> list[Step]:
    """As many steps at ddim's levels (uniform in time; Karras's where the time is sigma), the last one to no noise.

    Raises:
        UsageError: as the sampler ddim says, whose levels these are.
    """
    levels: list[float] = make_sampler("ddim", kernel, steps=evaluations).sigmas.tolist()  # type: ignore[attr-defined]
    return [Ancestral(start, end) for start, end in pairwise(levels)]
