"""Variational autoencoders: the decoder alone, from a latent of unit noise to the mean of its pixels.

Kingma and Welling 2014, arXiv:1312.6114; with Fig 3 of arXiv:2310.05264, the VampPrior's code
(jmtomczak/vae_vampprior@bb6ff3e5, MIT), for which nobody has released weights. Its prior "vampprior" draws latents from
learned pseudo-inputs, which no noise given from outside can stand for: train it with the prior "standard". What its
decoder says of the variance of a pixel is not used: the image is the mean.
"""

from collections.abc import Callable

from reprozoo import Family, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="vae",
            summary="Decoders of variational autoencoders: from a latent of unit noise to the mean image",
            load="reprozoo_plugins.vae.adapter:load",
        )
    )
