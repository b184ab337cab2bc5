"""From a U-ViT card to a map; imported only when one is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from reprozoo import LoadContext, load_weights
from reprozoo.diffusion.denoisers import GuidedEpsDenoiserMap
from reprozoo.diffusion.networks.uvit import UViT

TIME_SCALE = 999.0  # pixel networks are told 999 t, latent ones 1000 t (baofff/U-ViT@ce551708)


class UViTMap(GuidedEpsDenoiserMap):
    """eps(alpha x, time_scale t) as a denoiser.

    Args:
        network: a ``UViT``.
        centered: False where the network was trained on pixels in [0, 1], which are its data units then.
        decoder: from latents to images, for latent networks.
        settings: those of ``GuidedEpsDenoiserMap``.
    """

    def __init__(
        self,
        network: UViT,
        *,
        centered: bool = True,
        decoder: Callable[[Tensor], Tensor] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(network, **settings)
        self.centered, self.decoder = centered, decoder

    def decode(self, x0: Tensor) -> Tensor:
        if self.decoder is not None:
            return self.decoder(x0)
        return x0 if self.centered else 2 * x0 - 1


def load(context: LoadContext) -> UViTMap:
    """Build the card's network, load its weights strictly, wrap it."""
    config = dict(context.card.network)
    own = {"time_scale": config.pop("time_scale", TIME_SCALE), "centered": config.pop("centered", True)}
    network = UViT(**config)
    names = [name for name, _ in network.named_parameters()]  # in the original's order
    load_weights(network, context.tensors(parameter_names=names), context.card.id)
    return UViTMap(
        network,
        decoder=_decoder(context) if "vae" in context.files else None,
        guidance=context.options["guidance_scale"],
        null_class=context.card.num_classes
        if config.get("num_classes", -1) > (context.card.num_classes or 0)
        else None,
        **own,
        **context.network_settings(),
    )


def _decoder(context: LoadContext) -> Callable[[Tensor], Tensor]:
    from reprozoo.diffusion.networks.autoencoder import LatentDecoder  # diffusers: not for pixel networks

    return LatentDecoder.from_checkpoint(context.checkpoint("vae"), device=context.device)
