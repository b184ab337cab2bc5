"""``SamplerSpec``: a sampler in words, with its options; those that come with reprozoo. Imports no framework.

A map spec is checked against these records alone; a sampler's code is imported when a model is loaded. A sampler's
class takes its options from its own record, so that each is written once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from reprozoo.base.options import Option

TIME_SPACINGS = ("logsnr", "time_uniform", "time_quadratic")
SPACINGS = ("karras", *TIME_SPACINGS)
SPACING_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "karras": ("sigma_min", "sigma_max", "rho"),
    **dict.fromkeys(TIME_SPACINGS, ("t_end",)),
}


@dataclass(frozen=True)
class SamplerSpec:
    """A sampler by name, as cards and map specs write it: ``MODEL+sampler=NAME+option=value``.

    Args:
        name: as specs write it.
        summary: one line.
        load: "package.module:Class", called with (kernel, **options) as keywords; returns a ``Sampler``.
        options: settable as ``+option=value``; those of every schedule are in ``schedule_options``.
        output_version: raise it when the images of unchanged models and options change; it invalidates the store.
    """

    name: str
    summary: str
    load: str
    options: Mapping[str, Option] = field(default_factory=dict)
    output_version: int = 1


def schedule_options(*, steps: int = 18, spacing: str | None = "karras") -> dict[str, Option]:
    """The options of every ``ScheduledSampler``: how many steps, and where.

    Args:
        steps: the default.
        spacing: the default; None for "time_uniform", and "karras" where the kernel's time is sigma itself.
    """
    by_kernel = " (time_uniform; karras where the kernel's time is sigma itself)" if spacing is None else ""
    return {
        "steps": Option(int, "solver steps", steps, least=1),
        "spacing": Option(str, f"how the noise levels are spaced{by_kernel}", spacing, SPACINGS),
        "sigma_min": Option(
            float, "karras: last level before 0 (0.002, or the kernel's smallest if larger)", above=0
        ),
        "sigma_max": Option(float, "karras: first level (80, or the kernel's largest if smaller)", above=0),
        "rho": Option(float, "karras: how much the steps crowd towards sigma_min (7)", above=0),
        "t_end": Option(float, "other spacings: the last time (the kernel's smallest)", least=0),
    }  # fmt: skip


_DENOISE_FINAL = Option(bool, "replace the last state by the denoiser's estimate, one more evaluation", False)
_ORDER = "highest order of a step"
_FROM_KERNEL = "the last time (0.001, or the kernel's smallest if larger)"

EULER = SamplerSpec(
    "euler",
    "Euler's method in sigma: first order, one evaluation a step",
    "reprozoo.diffusion.samplers.euler:Euler",
    schedule_options(),
)
HEUN = SamplerSpec(
    "heun",
    "Heun's method in sigma, EDM's sampler: second order, two evaluations a step",
    "reprozoo.diffusion.samplers.heun:Heun",
    schedule_options(),
)
DDIM = SamplerSpec(
    "ddim",
    "DDIM without noise: Euler's method at times of the kernel",
    "reprozoo.diffusion.samplers.ddim:DDIM",
    {
        **schedule_options(steps=50, spacing=None),
        "clip_x0": Option(bool, "clip every estimate of the image to [-1, 1]", False),
    },
)
DPM_SOLVER = SamplerSpec(
    "dpm-solver",
    "DPM-Solver, singlestep: orders 1 to 3",
    "reprozoo.diffusion.samplers.dpm_solver:DPMSolver",
    {
        "steps": Option(int, "network evaluations, denoise_final's not counted", 100, least=1),
        "order": Option(int, _ORDER, 3, (1, 2, 3)),
        "spacing": Option(str, "how the noise levels are spaced", "logsnr", TIME_SPACINGS),
        "t_end": Option(float, _FROM_KERNEL, least=0),
        "estimate": Option(
            str, "what a step extrapolates: noise, or image (DPM-Solver++ singlestep)", "noise", ("noise", "image")
        ),
        "denoise_final": _DENOISE_FINAL,
    },
)
DPM_SOLVER_PP = SamplerSpec(
    "dpm-solver++",
    "DPM-Solver++, multistep: orders 1 to 3, one evaluation a step",
    "reprozoo.diffusion.samplers.dpm_solver_pp:DPMSolverPP",
    {
        "steps": Option(int, "solver steps, one network evaluation each", 20, least=1),
        "order": Option(int, _ORDER, 2, (1, 2, 3)),
        **{name: option for name, option in schedule_options(spacing=None).items() if name != "steps"},
        "t_end": Option(float, f"other spacings: {_FROM_KERNEL}", least=0),
        "denoise_final": _DENOISE_FINAL,
    },
)
RK45 = SamplerSpec(
    "rk45",
    "Runge-Kutta of Dormand and Prince, 5(4), with steps that each image chooses",
    "reprozoo.diffusion.samplers.rk45:RK45",
    {
        "t_end": Option(float, _FROM_KERNEL, least=0),
        "rtol": Option(float, "relative error allowed in a step", 1e-5, least=100 * math.ulp(1.0)),
        "atol": Option(float, "absolute error allowed in a step", 1e-5, above=0),
        "denoise_final": _DENOISE_FINAL,
    },
)

BUILT_IN: Mapping[str, SamplerSpec] = {spec.name: spec for spec in (EULER, HEUN, DDIM, DPM_SOLVER, DPM_SOLVER_PP, RK45)}
