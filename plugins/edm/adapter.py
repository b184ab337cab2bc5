"""From an EDM card to a map; imported only when one is loaded.

``network.architecture`` is "song-unet" (CIFAR-10, FFHQ; the default), "adm-unet" (ImageNet), or "guided-diffusion" for
OpenAI's networks of the second kind with their own names; the rest of the table is the network's arguments.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from reprozoo import LoadContext, load_weights
from reprozoo.diffusion.denoisers import EDMDenoiserMap
from reprozoo.diffusion.networks.adm_names import from_guided_diffusion
from reprozoo.diffusion.networks.adm_unet import ADMUNet
from reprozoo.diffusion.networks.song_unet import SongUNet

NETWORKS: dict[str, type[nn.Module]] = {"song-unet": SongUNet, "adm-unet": ADMUNet, "guided-diffusion": ADMUNet}
PRECONDITIONED = "model."  # NVIDIA's pickles hold the network inside its preconditioning
OPENAI_TIME_SCALE = 1000.0  # openai/consistency_models@e32b69ee ``cm/karras_diffusion.py denoise``


def load(context: LoadContext) -> EDMDenoiserMap:
    """Build the card's network, load its weights strictly, wrap it.

    Raises:
        UsageError: the card names an architecture that does not exist.
        IntegrityError: the file holds another network's weights.
    """
    architecture, config = context.architecture(NETWORKS, "song-unet")
    sigma_data = config.pop("sigma_data", 0.5)
    network = NETWORKS[architecture](**config)
    tensors, time_scale = network_tensors(context.tensors()), 1.0
    if isinstance(network, ADMUNet) and architecture == "guided-diffusion":
        tensors = from_guided_diffusion(network, tensors, context.card.id, qkv_order="projection-first")
        time_scale = OPENAI_TIME_SCALE
    load_weights(network, tensors, context.card.id)
    settings: dict[str, Any] = context.network_settings()
    return EDMDenoiserMap(network, sigma_data=sigma_data, time_scale=time_scale, **settings)


def network_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network's own tensors, where a file holds those of its preconditioning around it."""
    if not all(name.startswith(PRECONDITIONED) for name in tensors):
        return tensors
    return {name.removeprefix(PRECONDITIONED): tensor for name, tensor in tensors.items()}
