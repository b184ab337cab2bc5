"""Consistency models: Song et al. 2023 (arXiv:2303.01469), in one step from sigma 80.

Released networks: openai/consistency_models_cifar10@d086e77d (Flax, NCSN++; code Apache-2.0, weights for research),
openai/consistency_models@e32b69ee (torch, ImageNet 64x64 and LSUN 256x256; MIT), and the latter's diffusers folders,
whose revisions before the group-norm fix are wrong. Distilled (CD) and trained alone (CT) differ in weights only.

The map is f(80 * noise, 80), with the boundary parameterisation f(x, sigma) = c_skip x + c_out F(c_in x,
ln(sigma)/4), c_skip = s^2 / ((sigma - e)^2 + s^2), c_out = s (sigma - e) / sqrt(sigma^2 + s^2), s = 0.5, e = 0.002.
It is no denoiser: it aims at the end of the flow, not at the mean of what could be there, so no other sampler may run
it. Where a network has classes, the label must be given: the originals draw it at random.
"""

from collections.abc import Callable

from reprozoo import Family, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="consistency",
            summary="Consistency models: one network evaluation from sigma 80 to the image",
            load="reprozoo_plugins.consistency.adapter:load",
        )
    )
