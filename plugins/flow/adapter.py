"""From a rectified flow's card to a map; imported only when one is loaded.

``network.architecture`` is "song-unet" or "dit"; ``time_scale`` is what the network's time is multiplied by; the rest
of the table is the network's arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from reprozoo import Condition, LoadContext, NetworkDenoiserMap, load_weights
from reprozoo.diffusion.kernels import per_sample, x0_from_flow
from reprozoo.diffusion.networks.dit import DiT
from reprozoo.diffusion.networks.song_unet import SongUNet

NETWORKS: dict[str, type[nn.Module]] = {"song-unet": SongUNet, "dit": DiT}
TIME_SCALE = 999.0


class FlowMap(NetworkDenoiserMap):
    """The velocity of x_t = (1 - t) x0 + t eps at ``time_scale * t``.

    Args:
        network: (x_t, time) -> eps - x0.
        time_scale: see the module.
        settings: those of ``NetworkDenoiserMap``.
    """

    def __init__(self, network: nn.Module, *, time_scale: float = TIME_SCALE, **settings: Any) -> None:
        super().__init__(network, **settings)
        self.time_scale = time_scale

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        t = self.kernel.time(sigma)
        state = per_sample(self.kernel.alpha(t), x) * x
        return x0_from_flow(x, sigma, self.run_network(state, self.time_scale * t))


def load(context: LoadContext) -> FlowMap:
    """Build the card's network, load its weights strictly, wrap it.

    Raises:
        UsageError: the card names an architecture that does not exist.
        IntegrityError: the file holds another network's weights.
    """
    architecture, config = context.architecture(NETWORKS)
    time_scale = config.pop("time_scale", TIME_SCALE)
    network = NETWORKS[architecture](**config)
    load_weights(network, context.tensors(), context.card.id)
    return FlowMap(network, time_scale=time_scale, **context.network_settings())
