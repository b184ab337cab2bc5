"""Progressive distillation: Salimans and Ho 2022, arXiv:2202.00512.

Code: google-research@1d4d2f1a ``diffusion_distillation`` (Apache-2.0), whose checkpoints are Flax's. The released
networks are improved DDPM's U-Net under a cosine kernel and predict the image, where arXiv:2310.05264 speaks of DDPM++
and of DDPMv3 as teacher. A student is sampled by DDIM with exactly the number of steps that it was distilled to, its
estimate clipped at every step; another number is refused.
"""

from collections.abc import Callable

from reprozoo import Family, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="progressive",
            summary="Progressive distillation: few-step students, image prediction under the cosine kernel",
            load="reprozoo_plugins.progressive.adapter:load",
            denoiser=True,
        )
    )
