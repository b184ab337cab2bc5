"""From a GAN's card to a map; imported only when one is loaded.

``network.architecture`` is "simple-cnn" (``ConvGenerator``) or "resnet" (``ResNetGenerator``); the rest of the table is
the network's arguments.
"""

from __future__ import annotations

from reprozoo import LoadContext, load_weights
from reprozoo.diffusion.denoisers import VectorToImageMap
from reprozoo.diffusion.networks.generators import GENERATORS


def load(context: LoadContext) -> VectorToImageMap:
    """Build the card's generator, load its weights strictly, wrap it.

    Raises:
        UsageError: the card names an architecture that does not exist.
        IntegrityError: the file holds another network's weights.
    """
    architecture, config = context.architecture(GENERATORS)
    network = GENERATORS[architecture](**config)
    load_weights(network, context.tensors(), context.card.id)
    return VectorToImageMap(network, dtype=context.dtype, **context.map_settings())
