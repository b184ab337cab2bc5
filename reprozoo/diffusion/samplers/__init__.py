"""Samplers: deterministic integrators from noise to image, one a file, each a pure function and a record of options.

The functions (``euler``, ``heun``, ...) take a denoiser, a state in data units and a schedule; change one word to
change the solver. The classes are what cards and map specs name: ``SAMPLERS`` is the table, ``make_sampler`` builds one
from its name and options.
"""

from __future__ import annotations

from typing import Any

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.diffusion.kernels import Kernel
from reprozoo.diffusion.samplers.base import (
    SPACING_OPTIONS,
    SPACINGS,
    FixedStepSampler,
    Sampler,
    SamplerOption,
    evaluate,
)
from reprozoo.diffusion.samplers.ddim import DDIM, ddim
from reprozoo.diffusion.samplers.dpm_solver import DPMSolver, dpm_solver_singlestep, dpm_solver_step, levels_of_steps
from reprozoo.diffusion.samplers.dpm_solver_pp import DPMSolverPP, dpm_solver_pp_multistep
from reprozoo.diffusion.samplers.euler import Euler, euler
from reprozoo.diffusion.samplers.heun import Heun, heun
from reprozoo.diffusion.samplers.rk45 import RK45, Rk45Solution, rk45
from reprozoo.diffusion.samplers.schedules import (
    karras_sigmas,
    logsnr_sigmas,
    time_quadratic_sigmas,
    time_uniform_sigmas,
)

SAMPLERS: dict[str, type[Sampler]] = {
    sampler.name: sampler for sampler in (Euler, Heun, DDIM, DPMSolver, DPMSolverPP, RK45)
}

__all__ = [
    "DDIM",
    "RK45",
    "SAMPLERS",
    "SPACINGS",
    "SPACING_OPTIONS",
    "DPMSolver",
    "DPMSolverPP",
    "Euler",
    "FixedStepSampler",
    "Heun",
    "Rk45Solution",
    "Sampler",
    "SamplerOption",
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
    "sampler_options",
    "time_quadratic_sigmas",
    "time_uniform_sigmas",
]


def make_sampler(name: str, kernel: Kernel, **options: Any) -> Sampler:
    """The sampler called ``name`` for models of ``kernel``, its options resolved.

    >>> make_sampler("heun", EDM()).nfe
    35

    Raises:
        UsageError: unknown name or option, or a value that the option does not allow; the sentence says what exists.
    """
    known = sampler_options(name)
    for option in options:
        if option not in known:
            raise UsageError(
                f"sampler {name} has no option {option!r}{did_you_mean(option, known)}; it has: {', '.join(known)}"
            )
    return SAMPLERS[name](kernel=kernel, **options)


def sampler_options(name: str) -> dict[str, SamplerOption]:
    """Kind, default, help and choices of each option of the sampler called ``name``.

    Raises:
        UsageError: there is no such sampler; the sentence lists those that exist.
    """
    if name not in SAMPLERS:
        raise UsageError(
            f"unknown sampler {name!r}{did_you_mean(str(name), SAMPLERS)}; there are: {', '.join(SAMPLERS)}"
        )
    return SAMPLERS[name].options()
