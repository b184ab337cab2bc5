"""From a consistency model's card to a map; imported only when one is loaded.

``network.architecture`` says whose network it is and with it the names in its file: "ncsnpp" (Flax, CIFAR-10),
"guided-diffusion" (OpenAI's torch files) or "unet2d" (diffusers' ``UNet2DModel``). The rest of the table is the
arguments of ``SongUNet``, ``ADMUNet`` or ``UNet2DModel``, and ``sigma_data``, ``sigma_min``, ``sigma_max``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo import Condition, LoadContext, NoiseToImageMap, load_weights
from reprozoo.diffusion.kernels import consistency_preconditioning, per_sample
from reprozoo.diffusion.networks.adm_names import from_guided_diffusion
from reprozoo.diffusion.networks.adm_unet import ADMUNet
from reprozoo.diffusion.networks.song_names import from_flax
from reprozoo.diffusion.networks.song_unet import SongUNet

OPENAI_TIME_SCALE = 1000.0  # openai/consistency_models@e32b69ee ``cm/karras_diffusion.py denoise``


class ConsistencyMap(NoiseToImageMap):
    """f(sigma_max * noise, sigma_max) of a network F.

    Args:
        network: (scaled x, time[, one-hot classes]) -> F.
        time_scale: the network is told time_scale * ln(sigma) / 4.
        sigma_data, sigma_min, sigma_max: std of the data, and the ends of the flow.
        context: shapes, classes, device and precision.
    """

    def __init__(
        self,
        network: nn.Module,
        context: LoadContext,
        *,
        time_scale: float = 1.0,
        sigma_data: float = 0.5,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
    ) -> None:
        card = context.card
        self.noise_shape, self.image_shape, self.num_classes = card.noise_shape, card.image_shape, card.num_classes
        if self.num_classes is not None:
            self.accepts = self.requires = frozenset({"class_label"})
        self.device, self.dtype = torch.device(context.device), getattr(torch, context.dtype)
        self.network = network.to(self.device, self.dtype).eval().requires_grad_(False)
        self.time_scale = time_scale
        self.sigma_data, self.sigma_min, self.sigma_max = sigma_data, sigma_min, sigma_max

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        x = noise.to(self.device, torch.float64) * self.sigma_max
        sigma = x.new_full((len(x),), self.sigma_max)
        return self.consistency(x, sigma, conditions).clamp(-1.0, 1.0)

    def consistency(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """f(x, sigma) for ``x`` (batch, ...) float64 in data units, ``sigma`` (batch,); at sigma_min ``x`` itself."""
        c = consistency_preconditioning(sigma, sigma_data=self.sigma_data, sigma_min=self.sigma_min)
        arguments = [(per_sample(c.c_in, x) * x).to(self.dtype), (self.time_scale * c.c_noise).float()]
        if self.num_classes is not None:
            labels = torch.tensor([condition.class_label for condition in conditions], device=self.device)
            arguments.append(functional.one_hot(labels, self.num_classes).to(self.dtype))
        output: Tensor = self.network(*arguments)
        return per_sample(c.c_skip, x) * x + per_sample(c.c_out, x) * output.to(torch.float64)


class DiffusersUNet(nn.Module):
    """diffusers' ``UNet2DModel`` with the call that the map expects."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        from diffusers import UNet2DModel

        self.unet = UNet2DModel(**config)

    def forward(self, x: Tensor, time: Tensor, classes: Tensor | None = None) -> Tensor:
        labels = None if classes is None else classes.argmax(1)
        output: Tensor = self.unet(x, time, class_labels=labels, return_dict=False)[0]
        return output


def load(context: LoadContext) -> ConsistencyMap:
    """Build the card's network, load its weights strictly, wrap it.

    Raises:
        UsageError: the card names an architecture that does not exist.
        IntegrityError: the file holds another network's weights.
    """
    architecture, config = context.architecture(ARCHITECTURES)
    ends = {name: config.pop(name) for name in ("sigma_data", "sigma_min", "sigma_max") if name in config}
    build, time_scale = ARCHITECTURES[architecture]
    return ConsistencyMap(build(context, config), context, time_scale=time_scale, **ends)


def _ncsnpp(context: LoadContext, config: dict[str, Any]) -> nn.Module:
    network = SongUNet(**config)
    load_weights(network, from_flax(network, context.tensors(), context.card.id), context.card.id)
    return network


def _guided_diffusion(context: LoadContext, config: dict[str, Any]) -> nn.Module:
    network = ADMUNet(**config)
    tensors = from_guided_diffusion(network, context.tensors(), context.card.id, qkv_order="projection-first")
    load_weights(network, tensors, context.card.id)
    return network


def _unet2d(context: LoadContext, config: dict[str, Any]) -> nn.Module:
    network = DiffusersUNet(**config)
    load_weights(network.unet, context.tensors(), context.card.id)
    return network


ARCHITECTURES: dict[str, tuple[Callable[[LoadContext, dict[str, Any]], nn.Module], float]] = {
    "ncsnpp": (_ncsnpp, 1.0),
    "guided-diffusion": (_guided_diffusion, OPENAI_TIME_SCALE),
    "unet2d": (_unet2d, OPENAI_TIME_SCALE),
}
