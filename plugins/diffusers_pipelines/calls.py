"""How each kind of network is called: (network, x, t, conditions) -> what its scheduler steps with.

``x`` (batch, *latents) is in the network's precision, ``t`` a timestep of the scheduler, and every condition a tensor
with one row a sample. Each repeats what its pipeline's ``__call__`` does in diffusers@0.42 between a step and the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Conditions = Mapping[str, Tensor]
Call = Callable[[Any, Tensor, Tensor, Conditions], Tensor]


def plain(network: Any, x: Tensor, t: Tensor, given: Conditions) -> Tensor:
    """``UNet2DModel``, with or without classes."""
    output: Tensor = network(x, t, class_labels=given.get("labels"), return_dict=False)[0]
    return output


def text(network: Any, x: Tensor, t: Tensor, given: Conditions) -> Tensor:
    """``UNet2DConditionModel`` of Stable Diffusion and latent diffusion."""
    output: Tensor = network(x, t, encoder_hidden_states=given["embeds"], return_dict=False)[0]
    return output


def sdxl(network: Any, x: Tensor, t: Tensor, given: Conditions) -> Tensor:
    """The same with a pooled embedding, and the size of the image: not cropped, as large as it is made."""
    height, width = (size * given["factor"] for size in x.shape[-2:])
    row = torch.stack([height[0], width[0], *[torch.zeros_like(height[0])] * 2, height[0], width[0]])
    added = {"text_embeds": given["pooled"], "time_ids": row.to(x.dtype).expand(len(x), 6)}
    output: Tensor = network(
        x, t, encoder_hidden_states=given["embeds"], added_cond_kwargs=added, return_dict=False
    )[0]  # fmt: skip
    return output


def dit(network: Any, x: Tensor, t: Tensor, given: Conditions) -> Tensor:
    """A class transformer; the learned variance is left out."""
    output: Tensor = network(x, timestep=t.expand(len(x)), class_labels=given["labels"], return_dict=False)[0]
    return output[:, : x.shape[1]]


def sd3(network: Any, x: Tensor, t: Tensor, given: Conditions) -> Tensor:
    output: Tensor = network(
        hidden_states=x, timestep=t.expand(len(x)), encoder_hidden_states=given["embeds"],
        pooled_projections=given["pooled"], return_dict=False,
    )[0]  # fmt: skip
    return output


def flux(network: Any, x: Tensor, t: Tensor, given: Conditions) -> Tensor:
    """Latents are packed into patches on the way in and unpacked on the way out; guidance is a condition."""
    batch, channels, height, width = x.shape
    rows, columns = height // 2, width // 2
    packed = x.reshape(batch, channels, rows, 2, columns, 2).permute(0, 2, 4, 1, 3, 5)
    ids = torch.zeros(rows, columns, 3, device=x.device, dtype=x.dtype)
    ids[..., 1] += torch.arange(rows, device=x.device)[:, None]
    ids[..., 2] += torch.arange(columns, device=x.device)
    output: Tensor = network(
        hidden_states=packed.reshape(batch, rows * columns, channels * 4),
        timestep=t.expand(batch).to(x.dtype) / 1000,
        guidance=given["guidance"].float() if network.config.guidance_embeds else None,
        pooled_projections=given["pooled"],
        encoder_hidden_states=given["embeds"],
        txt_ids=torch.zeros(given["embeds"].shape[1], 3, device=x.device, dtype=x.dtype),
        img_ids=ids.reshape(rows * columns, 3),
        return_dict=False,
    )[0]
    unpacked = output.reshape(batch, rows, columns, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return unpacked.reshape(batch, channels, height, width)


def pixart(network: Any, x: Tensor, t: Tensor, given: Conditions) -> Tensor:
    """PixArt; the alpha model of 1024 pixels is told resolution and aspect ratio. The learned variance is left out."""
    added: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
    if network.config.sample_size == 128 and network.use_additional_conditions:
        height, width = (size * given["factor"] for size in x.shape[-2:])
        added = {
            "resolution": torch.stack([height, width], 1).to(x.dtype),
            "aspect_ratio": (height / width)[:, None].to(x.dtype),
        }
    output: Tensor = network(
        x, encoder_hidden_states=given["embeds"], encoder_attention_mask=given["mask"], timestep=t.expand(len(x)),
        added_cond_kwargs=added, return_dict=False,
    )[0]  # fmt: skip
    return output[:, : x.shape[1]]


def sana(network: Any, x: Tensor, t: Tensor, given: Conditions) -> Tensor:
    output: Tensor = network(
        x, encoder_hidden_states=given["embeds"], encoder_attention_mask=given["mask"],
        timestep=t.expand(len(x)) * network.config.timestep_scale, return_dict=False,
    )[0]  # fmt: skip
    return output[:, : x.shape[1]]


CALLS: Mapping[str, Call] = {
    "plain": plain, "text": text, "sdxl": sdxl, "dit": dit, "sd3": sd3, "flux": flux, "pixart": pixart, "sana": sana,
}  # fmt: skip
