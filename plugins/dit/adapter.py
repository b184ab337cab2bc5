"""From a DiT card to a map; imported only when one is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from reprozoo import EpsDenoiserMap, LoadContext, UsageError, load_weights
from reprozoo.diffusion.denoisers import GuidedEpsDenoiserMap
from reprozoo.diffusion.networks.dit import DiT

PIXEL_TIME_SCALE = 999.0  # LucasYFL/Multistage_Diffusion@9b5df663 ``models/utils.py get_noise_fn``
LATENT_LEVELS = 1000  # labels 0 to 999 at the kernel's times 1/1000 to 1
LATENT_CHANNELS = 4
UNREAD = "y_embedder.embedding_table.weight"


class LatentDiTMap(GuidedEpsDenoiserMap):
    """A latent DiT with its autoencoder's decoder.

    Args:
        network: a ``LatentDiT``.
        decoder: from latents to images.
        settings: those of ``GuidedEpsDenoiserMap``.
    """

    def __init__(self, network: nn.Module, *, decoder: Callable[[Tensor], Tensor], **settings: Any) -> None:
        super().__init__(network, **settings)
        self.decoder = decoder

    def decode(self, x0: Tensor) -> Tensor:
        return self.decoder(x0)


def load(context: LoadContext) -> EpsDenoiserMap:
    """Build the card's network, load its weights strictly, wrap it."""
    if not 1 <= context.options["guided_channels"] <= LATENT_CHANNELS:
        raise UsageError(f"guided_channels={context.options['guided_channels']}: expected 1 to {LATENT_CHANNELS}")
    return _pixels(context) if context.card.num_classes is None else _latents(context)


def _pixels(context: LoadContext) -> EpsDenoiserMap:
    if context.options["guidance_scale"] != 1:
        raise UsageError(f"{context.card.id} has no classes, so there is nothing to guide: leave out +guidance_scale=")
    network = DiT(**context.card.network)
    tensors = context.tensors(parameter_names=original_parameters(network))
    load_weights(network, {name: tensor for name, tensor in tensors.items() if name != UNREAD}, context.card.id)
    return EpsDenoiserMap(network, time_scale=PIXEL_TIME_SCALE, **context.network_settings())


def original_parameters(network: DiT) -> list[str]:
    """Names of the trained parameters of the original network, in its order, which positional averages follow."""
    names = [name for name, _ in network.named_parameters()]
    after = 1 + max(i for i, name in enumerate(names) if name.startswith("t_embedder."))
    return [*names[:after], UNREAD, *names[after:]]


def _latents(context: LoadContext) -> LatentDiTMap:
    from reprozoo.diffusion.networks.autoencoder import LatentDecoder  # diffusers: not for the pixel network
    from reprozoo.diffusion.networks.dit_latent import LatentDiT, state_dict_from_original

    network = LatentDiT(**context.card.network)
    load_weights(network.transformer, state_dict_from_original(context.tensors()), context.card.id)
    return LatentDiTMap(
        network,
        decoder=LatentDecoder.from_checkpoint(context.checkpoint("vae"), device=context.device),
        time_scale=LATENT_LEVELS,
        time_shift=1 / LATENT_LEVELS,
        guidance=context.options["guidance_scale"] - 1,
        null_class=network.num_classes,
        guided_channels=context.options["guided_channels"],
        **context.network_settings(),
    )
