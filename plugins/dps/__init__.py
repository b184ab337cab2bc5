"""Inverse problems over any denoiser: diffusion posterior sampling (DPS), and projection onto the measurement.

Papers: arXiv:2209.14687 (DPS), arXiv:2310.05264, appendix F (made deterministic, with DPM-Solver steps), and
arXiv:2011.13456, appendix I.2 (projection). Held against DPS2022/diffusion-posterior-sampling@effbde7325b2, which has
no licence: nothing of it is here. Deviations: no random numbers; the misfit is of each sample (the original takes one
norm over the batch, which couples its samples); steps, scale and norm are options (docs/inverse.md). No weights of a
third party are involved.
"""

from collections.abc import Callable

from reprozoo import hookimpl
from reprozoo.zoo.plugins import Option, SolverSpec

STEPS = Option(int, "network evaluations; of order 3, 100 are 33 steps and one of order 1", 100)
ORDER = Option(int, "highest order of a DPM-Solver step (3)", None, (1, 2, 3))


@hookimpl
def reprozoo_register_solvers(register: Callable[[SolverSpec], None]) -> None:
    register(
        SolverSpec(
            name="dps",
            summary="diffusion posterior sampling, deterministic and per sample",
            load="reprozoo_plugins.dps.guided:load_posterior_sampling",
            memory=4,
            options={
                "steps": STEPS,
                "zeta": Option(float, "step size of the correction after each step (0.5 over the operator's A A^T)"),
                "update": Option(
                    str,
                    "the step between corrections: DPM-Solver, or the mean of DDPM's",
                    "dpm-solver",
                    ("dpm-solver", "ddpm"),
                ),
                "order": ORDER,
                "norm": Option(str, "the misfit ||y - A x0||: squared, or plain", "squared", ("squared", "plain")),
                "scale": Option(
                    str,
                    "units of the state that zeta is in: data, vp (the original's), or the model's own kernel",
                    "data",
                    ("data", "vp", "kernel"),
                ),
                "schedule": Option(
                    str,
                    "zeta at every step: constant, or what the posterior's flow asks for",
                    "constant",
                    ("constant", "posterior"),
                ),
                "data_std": Option(float, "schedule=posterior: std of the data in every direction (infinite)"),
                "clip": Option(bool, "clip estimates of the image to [-1, 1], as the original does", False),
            },
        )
    )
    register(
        SolverSpec(
            name="projection",
            summary="what was measured is put back after each step, as score_sde inpaints",
            load="reprozoo_plugins.dps.guided:load_projection",
            options={"steps": STEPS, "order": ORDER},
        )
    )
