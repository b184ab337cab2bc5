"""From an ADM card to a map; imported only when one is loaded. ``network`` is the arguments of ``ADMUNet``."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from reprozoo import EpsDenoiserMap, LoadContext, UsageError, load_weights
from reprozoo.diffusion.kernels import DiscreteVP
from reprozoo.diffusion.networks.adm_names import from_guided_diffusion
from reprozoo.diffusion.networks.adm_unet import ADMUNet


class ADMMap(EpsDenoiserMap):
    """eps(alpha x, level, one-hot class), the learned variance dropped."""

    def predict_eps(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        one_hot = None if labels is None else functional.one_hot(labels, self.num_classes or 0).to(self.dtype)
        return super().predict_eps(x, sigma, one_hot)


def load(context: LoadContext) -> ADMMap:
    """Build the card's network, load its weights strictly, wrap it.

    Raises:
        UsageError: the card's kernel has no levels.
        IntegrityError: the file holds another network's weights.
    """
    kernel = context.kernel
    if not isinstance(kernel, DiscreteVP):
        raise UsageError(
            f"{context.card.id}: the networks of ADM know discrete levels alone; expected kernel discrete-vp"
        )
    config = dict(context.card.network)
    qkv_order = config.pop("qkv_order", "head-first")
    network = ADMUNet(**config)
    tensors = from_guided_diffusion(network, context.tensors(), context.card.id, qkv_order=qkv_order)
    load_weights(network, tensors, context.card.id)
    # Labels 0, 1, ... at the kernel's times 1/levels, 2/levels, ...
    return ADMMap(network, time_scale=kernel.levels, time_shift=1 / kernel.levels, **context.network_settings())
