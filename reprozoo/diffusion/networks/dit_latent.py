"""DiT-XL/2 and its siblings on latents of ImageNet: diffusers' ``DiTTransformer2DModel``, corrected.

diffusers embeds the time at frequencies that end at exactly 1/10000 (``downscale_freq_shift=1``), the original at those
that end just above it (0): with random weights the outputs differ by 1.5 %. Its default epsilon of the second norm is
1e-5, the original's 1e-6. Both are set to the original's here, and the state dicts of either load.

Sources: Peebles and Xie 2022, arXiv:2212.09748; names of facebookresearch/DiT@ed81ce22's checkpoints (CC BY-NC 4.0; no
code of it is here) and their meaning as in diffusers' `scripts/convert_dit_to_diffusers.py` (Apache-2.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from diffusers import DiTTransformer2DModel
from diffusers.models.embeddings import Timesteps
from torch import Tensor, nn

NORM_EPS = 1e-6
# facebookresearch's names to diffusers'.
OUTSIDE = {
    "x_embedder.proj": "pos_embed.proj",
    "final_layer.adaLN_modulation.1": "proj_out_1",
    "final_layer.linear": "proj_out_2",
}
INSIDE = {
    "adaLN_modulation.1": "norm1.linear",
    "attn.proj": "attn1.to_out.0",
    "mlp.fc1": "ff.net.0.proj",
    "mlp.fc2": "ff.net.2",
}
IN_EVERY_BLOCK = {
    "t_embedder.mlp.0": "norm1.emb.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "norm1.emb.timestep_embedder.linear_2",
    "y_embedder.embedding_table": "norm1.emb.class_embedder.embedding_table",
}
FIXED = "pos_embed"  # sines and cosines by formula, in the original's file and not in diffusers'


class LatentDiT(nn.Module):
    """(x, timesteps, classes) -> the noise and, in the other half of the channels, its variance.

    Args:
        config: of ``DiTTransformer2DModel``.
    """

    def __init__(self, **config: Any) -> None:
        super().__init__()
        build: Any = DiTTransformer2DModel
        self.transformer: Any = build(**{"norm_eps": NORM_EPS, **config})
        for module in self.transformer.modules():
            if isinstance(module, Timesteps):
                module.downscale_freq_shift = 0

    @property
    def num_classes(self) -> int:
        """Of the data; this index itself stands for "no class"."""
        return int(self.transformer.config.num_embeds_ada_norm)

    def forward(self, x: Tensor, timesteps: Tensor, classes: Tensor) -> Tensor:
        """The raw network.

        Args:
            x: (batch, in_channels, sample_size, sample_size) noisy latents.
            timesteps: (batch,) 0 to 999; need not be whole.
            classes: (batch,) from 0 to ``num_classes``.
        """
        output: Tensor = self.transformer(x, timestep=timesteps, class_labels=classes).sample
        return output


def state_dict_from_original(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """facebookresearch/DiT's state dict under diffusers' names, which repeat the embeddings in every block.

    A state dict that has diffusers' names already is returned as it is.
    """
    if "x_embedder.proj.weight" not in tensors:
        return dict(tensors)
    depth = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
    converted: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name != FIXED:
            for new_name, part in _renamed(name, tensor, depth):
                converted[new_name] = part
    return converted


def _renamed(name: str, tensor: Tensor, depth: int) -> list[tuple[str, Tensor]]:
    module, _, leaf = name.rpartition(".")
    if module in IN_EVERY_BLOCK:
        return [(f"transformer_blocks.{i}.{IN_EVERY_BLOCK[module]}.{leaf}", tensor) for i in range(depth)]
    if (inside := re.fullmatch(r"blocks\.(\d+)\.(.+)", module)) is None:
        return [(f"{OUTSIDE.get(module, module)}.{leaf}", tensor)]
    block, part = f"transformer_blocks.{inside[1]}", inside[2]
    if part == "attn.qkv":
        return [(f"{block}.attn1.to_{q}.{leaf}", third) for q, third in zip("qkv", tensor.chunk(3), strict=True)]
    return [(f"{block}.{INSIDE.get(part, part)}.{leaf}", tensor)]
