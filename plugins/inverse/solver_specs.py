"""The solvers that come with the plugin, in words; their code is imported when one is set up over a denoiser."""

from __future__ import annotations

from reprozoo import Option, SolverSpec

STEPS = Option(int, "network evaluations; of order 3, 100 are 33 steps and one of order 1", 100, least=1)
ORDER = Option(int, "highest order of a DPM-Solver step (3)", None, (1, 2, 3))

DPS = SolverSpec(
    name="dps",
    summary="diffusion posterior sampling, deterministic and per sample",
    load="reprozoo_plugins.inverse.guided:load_posterior_sampling",
    memory=4,
    options={
        "steps": STEPS,
        "zeta": Option(float, "step size of the correction after each step (0.5 over the operator's A A^T)", least=0),
        "update": Option(
            str, "the step between corrections: DPM-Solver, or the mean of DDPM's", "dpm-solver", ("dpm-solver", "ddpm")
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
        "data_std": Option(float, "schedule=posterior: std of the data in every direction (infinite)", above=0),
        "clip": Option(bool, "clip estimates of the image to [-1, 1], as the original does", False),
    },
)
PROJECTION = SolverSpec(
    name="projection",
    summary="what was measured is put back after each step, as score_sde inpaints",
    load="reprozoo_plugins.inverse.guided:load_projection",
    options={"steps": STEPS, "order": ORDER},
)
SOLVERS = (DPS, PROJECTION)
