"""score-SDE: Song et al. 2021, "Score-Based Generative Modeling through SDEs" (arXiv:2011.13456).

Released networks: yang-song/score_sde_pytorch@cb1f359f (code Apache-2.0; of the weights no licence is stated). They are
DDPM, DDPM++ and DDPM++ deep under the VP and sub-VP kernels, continuous (told 999 t) or, DDPM alone, on 1000 discrete
levels. All predict noise. The moving average of the weights is what is sampled.

Rows of arXiv:2310.05264: DDPMv1-v4 with DPM-Solver (LuChengTHU/dpm-solver@52bc3fbc: singlestep, order 3, logSNR), v5-v8
with the probability-flow ODE by RK45 (rtol = atol = 1e-5, down to t = 1e-3), each image with its own steps, where the
original shares them over the batch. The original's last denoising step is the sampler's option ``denoise_final``.
"""

from collections.abc import Callable

from reprozoo import Family, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="score_sde",
            summary="score-SDE: DDPM and DDPM++ U-Nets, noise prediction under the VP and sub-VP kernels",
            load="reprozoo_plugins.score_sde.adapter:load",
            denoiser=True,
        )
    )
