"""The decoder of Stable Diffusion's autoencoder, for models that make its latents: diffusers' ``AutoencoderKL``.

Released latent models of U-ViT and DiT use it with the factor 0.18215. Images are decoded a few at a time, so that
memory does not grow with the batch; each depends on its own latents alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from reprozoo.diffusion.denoisers import load_weights

if TYPE_CHECKING:
    from reprozoo.zoo.weights.checkpoint import Checkpoint

LATENT_SCALE = 0.18215  # std of Stable Diffusion's latents is its inverse
DECODED_AT_ONCE = 4
# How attention was named before diffusers 0.13; the released autoencoders still are.
OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class LatentDecoder:
    """Latents to images.

    Args:
        config: of ``AutoencoderKL``, as in a diffusers folder.
        tensors: its state dict; old names of attention are understood.
        scale: factor between the autoencoder's latents and the model's.
        device: where it runs, in float32 whatever the model's precision.

    Raises:
        IntegrityError: the tensors are another network's.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        *,
        scale: float = LATENT_SCALE,
        device: torch.device | str = "cpu",
    ) -> None:
        build: Any = AutoencoderKL
        network = build(**config)
        load_weights(network, with_current_names(tensors), "the autoencoder")
        self.network: Any = network.to(device).eval().requires_grad_(False)
        self.scale = scale

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, device: torch.device | str = "cpu") -> LatentDecoder:
        """From a diffusers folder as ``read_checkpoint`` reads it: its configuration and its tensors."""
        return cls(checkpoint.init[""]["kwargs"], checkpoint.tensors, device=device)

    def __call__(self, latents: Tensor) -> Tensor:
        """(batch, channels, height, width) latents to (batch, 3, 8 height, 8 width) images in about [-1, 1]."""
        scaled = (latents / self.scale).float()
        starts = range(0, len(scaled), DECODED_AT_ONCE)
        return torch.cat([self.network.decode(scaled[i : i + DECODED_AT_ONCE]).sample for i in starts])


def with_current_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of diffusers, the old names of attention replaced by those in use since 0.13."""
    renamed = {}
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        head, _, last = module.rpartition(".")
        if ".attentions." in name and last in OLD_NAMES:
            name, tensor = f"{head}.{OLD_NAMES[last]}.{leaf}", tensor.flatten(1) if leaf == "weight" else tensor
        renamed[name] = tensor
    return renamed
