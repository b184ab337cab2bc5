"""From a VAE's card to a map; imported only when one is loaded.

``network.architecture`` is "simple-cnn" or "resnet", as of GANs; "flow-prior" (``FlowDecoder``: one of them behind a
learned prior); or "vampprior" (``GatedDecoder``; of a whole model's file only the decoder's mean is taken). The rest of
the table is the network's arguments.
"""

from __future__ import annotations

from torch import Tensor

from reprozoo import LoadContext, load_weights
from reprozoo.diffusion.denoisers import VectorToImageMap
from reprozoo.diffusion.networks.decoders import DECODERS, GatedDecoder

VAMPPRIOR_DECODER = ("p_x_layers.", "p_x_mean.")  # beside the encoder, the pseudo-inputs and the variance


def load(context: LoadContext) -> VectorToImageMap:
    """Build the card's decoder, load its weights strictly, wrap it.

    Raises:
        UsageError: the card names an architecture that does not exist.
        IntegrityError: the file holds another network's weights.
    """
    architecture, config = context.architecture(DECODERS)
    network = DECODERS[architecture](**config)
    tensors = context.tensors()
    if isinstance(network, GatedDecoder):
        tensors = _of_the_decoder(tensors)
    load_weights(network, tensors, context.card.id)
    return VectorToImageMap(network, dtype=context.dtype, **context.map_settings())


def _of_the_decoder(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name.startswith(VAMPPRIOR_DECODER)}
