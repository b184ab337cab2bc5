"""ADM: Dhariwal and Nichol 2021, "Diffusion Models Beat GANs on Image Synthesis" (arXiv:2105.05233).

Released networks: openai/guided-diffusion@22e0df81, MIT (code and weights). They predict noise on 1000 discrete levels,
and a variance that a deterministic sampler does not need. The original samples at random, in 250 steps of DDPM; here
the same network follows the probability flow (DDIM by default). No classifier guides it: that is another model.
"""

from collections.abc import Callable

from reprozoo import Family, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="adm",
            summary="ADM: guided-diffusion's U-Nets, noise prediction on discrete levels, without a classifier",
            load="reprozoo_plugins.adm.adapter:load",
            denoiser=True,
        )
    )
