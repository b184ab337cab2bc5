"""U-ViT: Bao et al. 2022, "All are Worth Words: A ViT Backbone for Diffusion Models" (arXiv:2209.12152).

Released networks: baofff/U-ViT@ce551708, MIT. Three kinds, told apart by their cards:

- On pixels (CIFAR-10; ImageNet-64 with classes): noise prediction under the VP kernel, the time given as 999 t, sampled
  as the original's evaluation does: DPM-Solver, singlestep of order 3, equal steps of logSNR, 50 evaluations, to 1e-4.
- On latents (ImageNet 256 and 512): Stable Diffusion's discrete kernel and autoencoder, the time given as 1000 t (the
  levels count from 1), guided with class 1000 as "no class". The original's evaluation is DPM-Solver in its image form,
  singlestep of order 3 at uniform times, 50 evaluations.
- arXiv:2310.05264's own, trained in LucasYFL/Multistage_Diffusion@9b5df663: the same network and time, sampled with 20
  evaluations at uniform times to 1e-3. Its unconditional one was trained on pixels in [0, 1] (``centered = false``).
"""

from collections.abc import Callable

from reprozoo import Family, Option, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="uvit",
            summary="U-ViT: vision transformers with long skips, noise prediction on pixels or latents",
            load="reprozoo_plugins.uvit.adapter:load",
            libraries=("diffusers",),  # the autoencoder of latent models
            options={
                "guidance_scale": Option(
                    float,
                    "classifier-free guidance, conditional + scale * (conditional - unconditional); 0 is none",
                    0.0,
                ),
            },
            denoiser=True,
        )
    )
