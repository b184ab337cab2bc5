"""EDM: Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models" (arXiv:2206.00364).

Released networks: NVlabs/edm@008a4e53, CC BY-NC-SA 4.0 (code and weights), and OpenAI's own training of the same for
its consistency models. Nothing of that code is here: the networks are ``reprozoo.diffusion.networks``, written from the
papers; the preconditioning and the sampler are the paper's table 1 and algorithm 1 with S_churn = 0. The VP and VE
networks both start from sigma 80; their names only say which network it is. The ImageNet network was trained in half
precision and the original runs it so on a GPU; here it runs in float32 everywhere unless ``--dtype`` says otherwise.
"""

from collections.abc import Callable

from reprozoo import Family, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="edm",
            summary="EDM: U-Nets with Karras's preconditioning, Heun's method from sigma 80",
            load="reprozoo_plugins.edm.adapter:load",
            denoiser=True,
        )
    )
