"""Inverse problems: an image is known through a linear measurement, and denoisers are asked for images that fit it.

Brings the problem "inverse", its operators and two solvers over any denoiser: diffusion posterior sampling (``dps``)
and projection onto the measurement. Operators and solvers of other plugins join them through the same hooks.

Papers: arXiv:2209.14687 (DPS), arXiv:2310.05264, appendix F (made deterministic, with DPM-Solver steps), and
arXiv:2011.13456, appendix I.2 (projection). Held against DPS2022/diffusion-posterior-sampling@effbde7325b2, which has
no licence: nothing of it is here. Deviations: no random numbers; the misfit is of each sample (the original takes one
norm over the batch, which couples its samples); steps, scale and norm are options (docs/inverse.md). No weights of a
third party are involved.
"""

from collections.abc import Callable

from reprozoo_plugins.inverse.operator_specs import OPERATORS
from reprozoo_plugins.inverse.solver_specs import SOLVERS

from reprozoo import OperatorSpec, ProblemSpec, SolverSpec, hookimpl


@hookimpl
def reprozoo_register_problems(register: Callable[[ProblemSpec], None]) -> None:
    register(
        ProblemSpec(
            "inverse",
            "images that fit a linear measurement of an image: inpainting, super-resolution, deblurring, colours",
            "reprozoo_plugins.inverse.problem:pose",
            check="reprozoo_plugins.inverse.problem:check",
        )
    )


@hookimpl
def reprozoo_register_operators(register: Callable[[OperatorSpec], None]) -> None:
    for spec in OPERATORS:
        register(spec)


@hookimpl
def reprozoo_register_solvers(register: Callable[[SolverSpec], None]) -> None:
    for spec in SOLVERS:
        register(spec)
