"""DiT: Peebles and Xie 2022, "Scalable Diffusion Models with Transformers" (arXiv:2212.09748).

Two kinds, told apart by whether their card has classes:

- arXiv:2310.05264's own, trained on CIFAR-10 pixels in LucasYFL/Multistage_Diffusion@9b5df663 (its files on DiT are CC
  BY-NC 4.0; nothing of them is here): S/8, the time alone as condition, noise prediction under the VP kernel, the time
  given as 999 t. Its checkpoints hold an embedding of classes that the network never reads; it is left out.
- DiT-XL/2 on latents of ImageNet (facebookresearch/DiT@ed81ce22, code and weights CC BY-NC 4.0): its state dict or the
  diffusers folder of the Hub. The original's sampling script is stochastic (DDPM in 250 steps); here the same noise
  prediction is integrated deterministically. The card's sampler, DPM-Solver of order 1 at uniform times with a final
  denoising, is the original code's own DDIM without noise.

Guidance is the original's: unconditional + scale * (conditional - unconditional) on the first three of the four latent
channels, which its authors left as it was for reproducibility; ``+guided_channels=4`` guides all.
"""

from collections.abc import Callable

from reprozoo import Family, Option, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="dit",
            summary="DiT: diffusion transformers with adaLN-Zero, on pixels (time only) or latents (classes, guidance)",
            load="reprozoo_plugins.dit.adapter:load",
            libraries=("diffusers",),  # the autoencoder of latent models
            options={
                "guidance_scale": Option(
                    float, "latents: unconditional + scale * (conditional - unconditional); 1 is no guidance", 1.0
                ),
                "guided_channels": Option(
                    int, "latents: how many channels are guided, 3 in the original, 4 for all", 3
                ),
            },
            denoiser=True,
        )
    )
