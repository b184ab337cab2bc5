"""GANs: one network from a vector of unit noise to an image; what Fig 3 of arXiv:2310.05264 holds diffusion against.

Released networks: xyfJASON/gans-pytorch@b65b9366 (MIT, code and weights), whose SNGAN and WGAN-GP on CIFAR-10 share the
generator of DCGAN (arXiv:1511.06434). The paper does not name its GANs. Batch norm uses its running averages, so that
an image depends on its own noise alone. Noises of different length cannot be compared.
"""

from collections.abc import Callable

from reprozoo import Family, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="gan",
            summary="Generators of GANs: one network evaluation from a vector of noise to the image",
            load="reprozoo_plugins.gan.adapter:load",
        )
    )
