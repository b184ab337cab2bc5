"""Multistage: Zhang et al. 2023, "Improving Training Efficiency of Diffusion Models via Multi-Stage Framework and
Tailored Multi-Decoder Architecture" (arXiv:2312.09181).

Released networks: LucasYFL/Multistage_Diffusion@9b5df663, no licence of its own; its two code bases derive from
score_sde (Apache-2.0) and EDM (CC BY-NC-SA 4.0). One encoder is shared by all noise levels, and each range of levels
has its own decoder. The decoder is chosen for each sample; the original chooses it by the first of the batch, which
is the same where all samples are at one level, as in its samplers.
"""

from collections.abc import Callable

from reprozoo import Family, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="multistage",
            summary="Multistage diffusion: one encoder, a decoder for each range of noise levels",
            load="reprozoo_plugins.multistage.adapter:load",
            denoiser=True,
        )
    )
