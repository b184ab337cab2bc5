"""From a score-SDE card to a map; imported only when one is loaded.

``network.architecture`` is score_sde's own name of the network, "ddpm" or "ncsnpp" (DDPM++ is a configuration of that);
the rest of the table is the arguments of ``DDPMUNet`` or ``SongUNet``. A file may be score_sde's checkpoint, or
NVIDIA's copy of one (``baseline-cifar10-32x32-uncond-vp.pkl``), which holds the same weights under EDM's names.
"""

from __future__ import annotations

from torch import Tensor, nn

from reprozoo import EpsDenoiserMap, LoadContext, load_weights
from reprozoo.diffusion.kernels import DiscreteVP
from reprozoo.diffusion.networks.ddpm_unet import DDPMUNet
from reprozoo.diffusion.networks.song_names import from_score_sde, score_sde_parameters
from reprozoo.diffusion.networks.song_unet import SongUNet

CONTINUOUS_TIME_SCALE = 999.0  # yang-song/score_sde_pytorch@cb1f359f ``models/utils.py get_score_fn``
DISCRETE_LEVELS = 1000  # labels 0 to 999 at the kernel's times 1/1000 to 1, as in DPM-Solver's ``model_wrapper``
EDM_PREFIX = "model."
UNREAD = "sigmas"  # a table of noise levels that the network saves and, but for NCSN, never reads


def load(context: LoadContext) -> EpsDenoiserMap:
    """Build the card's network, load its weights strictly, wrap it.

    Raises:
        UsageError: the card names an architecture that does not exist.
        IntegrityError: the file holds another network's weights.
    """
    architecture, config = context.architecture(("ddpm", "ncsnpp"))
    network = _ddpm(context, config) if architecture == "ddpm" else _ncsnpp(context, config)
    discrete = isinstance(context.kernel, DiscreteVP)
    return EpsDenoiserMap(
        network,
        time_scale=DISCRETE_LEVELS if discrete else CONTINUOUS_TIME_SCALE,
        time_shift=1 / DISCRETE_LEVELS if discrete else 0.0,
        **context.network_settings(),
    )


def _ddpm(context: LoadContext, config: dict[str, object]) -> nn.Module:
    network = DDPMUNet(**config)  # type: ignore[arg-type]
    tensors = context.tensors(parameter_names=[name for name, _ in network.named_parameters()])
    load_weights(network, {name: t for name, t in tensors.items() if name != UNREAD}, context.card.id)
    return network


def _ncsnpp(context: LoadContext, config: dict[str, object]) -> nn.Module:
    network = SongUNet(**config)  # type: ignore[arg-type]
    tensors: dict[str, Tensor] = context.tensors(parameter_names=score_sde_parameters(network))
    if any(name.startswith(f"{EDM_PREFIX}map_layer0.") for name in tensors):
        tensors = {name.removeprefix(EDM_PREFIX): tensor for name, tensor in tensors.items()}
    else:
        tensors = from_score_sde(network, tensors, context.card.id)
    load_weights(network, tensors, context.card.id)
    return network
