"""From a multistage card to a map; imported only when one is loaded.

``network.architecture`` says which of the two code bases the checkpoint is from: "score-sde" (noise prediction under
the VP kernel) or "edm" (EDM's preconditioning). ``network.stages`` are the kernel's times (t, or sigma) above which the
second, third, ... decoder takes over; the rest of the table is the arguments of ``MultistageUNet``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from reprozoo import EpsDenoiserMap, LoadContext, NetworkDenoiserMap, UsageError, load_weights
from reprozoo.diffusion.denoisers import EDMDenoiserMap
from reprozoo.diffusion.networks.multistage_unet import MultistageUNet
from reprozoo.diffusion.networks.song_names import from_score_sde, score_sde_parameters
from reprozoo.zoo.cards import UNKNOWN

TIME_SCALE = 999.0
STAGE_SCALE = 1000.0  # sic: the original compares 999 t with 1000 times the limits (models/ncsnpp_multistage.py)
PRECONDITIONED = "model."  # NVIDIA-style pickles hold the network inside its preconditioning


def load(context: LoadContext) -> NetworkDenoiserMap:
    """Build the card's network, load its weights strictly, wrap it.

    Raises:
        UsageError: the card names an architecture that does not exist.
        IntegrityError: the file holds another network's weights.
    """
    architecture, config = context.architecture(NETWORKS)
    if unknown := [name for name, value in config.items() if value == UNKNOWN]:
        raise UsageError(f"{context.card.id}: nobody has published its {' and '.join(unknown)}; write them into a card")
    return NETWORKS[architecture](context, config)


def _score_sde(context: LoadContext, config: dict[str, Any]) -> EpsDenoiserMap:
    starts = [STAGE_SCALE * t for t in config.pop("stages")]
    network = MultistageUNet(stage_starts=starts, shared_middle=True, **config)
    tensors = context.tensors(parameter_names=score_sde_parameters(network))
    load_weights(network, from_score_sde(network, tensors, context.card.id), context.card.id)
    return EpsDenoiserMap(network, time_scale=TIME_SCALE, **context.network_settings())


def _edm(context: LoadContext, config: dict[str, Any]) -> EDMDenoiserMap:
    sigma_data = config.pop("sigma_data", 0.5)
    starts = [math.log(sigma) / 4 for sigma in config.pop("stages")]
    network = MultistageUNet(stage_starts=starts, **config)
    tensors = {name.removeprefix(PRECONDITIONED): tensor for name, tensor in context.tensors().items()}
    load_weights(network, tensors, context.card.id)
    return EDMDenoiserMap(network, sigma_data=sigma_data, **context.network_settings())


NETWORKS: dict[str, Callable[[LoadContext, dict[str, Any]], NetworkDenoiserMap]] = {
    "score-sde": _score_sde,
    "edm": _edm,
}
