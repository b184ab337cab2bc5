"""Samplers: deterministic integrators from noise to image, one a file, each a pure function and a class.

The functions (``euler``, ``heun``, ...) take a denoiser, a state in data units and a schedule; change one word to
change the solver. The classes are what cards and map specs name; ``make_sampler`` builds one, of those that come with
reprozoo by name, of a plugin's by its ``SamplerSpec``.
"""

from __future__ import annotations

from typing import Any

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.diffusion.kernels import Kernel
from reprozoo.diffusion.samplers.ddim import DDIM, ddim
from reprozoo.diffusion.samplers.dpm_solver import DPMSolver, dpm_solver_singlestep, dpm_solver_step, levels_of_steps
from reprozoo.diffusion.samplers.dpm_solver_pp import DPMSolverPP, dpm_solver_pp_multistep
from reprozoo.diffusion.samplers.euler import Euler, euler
from reprozoo.diffusion.samplers.heun import Heun, heun
from reprozoo.diffusion.samplers.rk45 import RK45, Rk45Solution, rk45
from reprozoo.diffusion.sampling import FixedStepSampler, Sampler, ScheduledSampler, evaluate
from reprozoo.diffusion.schedules import karras_sigmas, logsnr_sigmas, time_quadratic_sigmas, time_uniform_sigmas

CLASSES: dict[str, type[Sampler]] = {
    sampler.spec.name: sampler for sampler in (Euler, Heun, DDIM, DPMSolver, DPMSolverPP, RK45)
}

__all__ = [
    "DDIM",
    "RK45",
    "DPMSolver",
    "DPMSolverPP",
    "Euler",
    "FixedStepSampler",
    "Heun",
    "Rk45Solution",
    "Sampler",
    "ScheduledSampler",
    "ddim",
    "dpm_solver_pp_multistep",
    "dpm_solver_singlestep",
    "dpm_solver_step",
    "euler",
    "evaluate",
    "heun",
    "karras_sigmas",
    "levels_of_steps",
    "logsnr_sigmas",
    "make_sampler",
    "rk45",
    "time_quadratic_sigmas",
    "time_uniform_sigmas",
]


def make_sampler(name: str, kernel: Kernel, **options: Any) -> Sampler:
    """The sampler of reprozoo's own called ``name`` for models of ``kernel``, its options resolved.

    >>> make_sampler("heun", EDM()).nfe
    35

    Raises:
        UsageError: unknown name or option, or a value that the option does not allow; the sentence says what exists.
    """
    if name not in CLASSES:
        raise UsageError(f"unknown sampler {name!r}{did_you_mean(str(name), CLASSES)}; there are: {', '.join(CLASSES)}")
    return CLASSES[name](kernel=kernel, **options)
