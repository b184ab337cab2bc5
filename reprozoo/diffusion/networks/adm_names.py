"""Names of ``ADMUNet`` weights in the checkpoints of guided-diffusion and of OpenAI's consistency models.

Nested lists in the order of use, e.g. ``input_blocks.3.1.qkv.weight``. Everything is converted exactly: the rows of the
attention's three projections change places, and the table of classes becomes a linear layer.

Source: openai/guided-diffusion@22e0df81 ``guided_diffusion/unet.py`` and openai/consistency_models@e32b69ee
``cm/unet.py`` (MIT).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from reprozoo.base.errors import IntegrityError
from reprozoo.diffusion.networks.adm_unet import ADMBlock, ADMUNet

BLOCK = {
    "in_layers.0": "norm0", "in_layers.2": "conv0", "emb_layers.1": "affine",
    "out_layers.0": "norm1", "out_layers.3": "conv1", "skip_connection": "skip",
}  # fmt: skip
ATTENTION = {"norm": "norm2", "qkv": "qkv", "proj_out": "proj"}
ENDS = {"time_embed.0": "map_layer0", "time_embed.2": "map_layer1", "out.0": "out_norm", "out.2": "out_conv"}
# How the rows of a joint projection are ordered: guided-diffusion's networks hold the three of a head together
# (``QKVAttentionLegacy``), those of the consistency models all heads of the query first.
QKV_ORDERS = ("head-first", "projection-first")


def from_guided_diffusion(
    network: ADMUNet, tensors: Mapping[str, Tensor], what: str, *, qkv_order: str = "head-first"
) -> dict[str, Tensor]:
    """The state dict of ``network`` from tensors with guided-diffusion's names.

    Args:
        what: whose they are, for messages.
        qkv_order: one of ``QKV_ORDERS``.

    Raises:
        IntegrityError: a tensor is missing, or there is one that the network has no place for.
    """
    rest = dict(tensors)
    own = network.state_dict()
    state = {name: tensor for name, tensor in own.items() if name.endswith("resample_filter")}
    for theirs, ours in _layers(network):
        for part in ("weight", "bias"):
            if f"{ours}.{part}" in own:
                state[f"{ours}.{part}"] = _take(rest, f"{theirs}.{part}", what)
    for name, block in network.named_modules():
        if isinstance(block, ADMBlock) and block.heads:
            state |= _projections(state, name, block.heads, qkv_order)
    if network.map_label is not None:
        state["map_label.weight"] = _take(rest, "label_emb.weight", what).T
    if rest:
        raise IntegrityError(f"{what} holds {next(iter(rest))}, for which its card's network has no place")
    return state


def _layers(network: ADMUNet) -> Iterator[tuple[str, str]]:
    """(name there, name here) of every layer with a weight and a bias."""
    yield from ENDS.items()
    for index, (name, layer) in enumerate(network.enc.items()):
        yield from _of_layer(f"input_blocks.{index}", 0, f"enc.{name}", layer)
    index = -1
    place = 0  # in its output block: an upsampling block is the last part of the block before it
    for name, layer in network.dec.items():
        there = f"output_blocks.{index}"
        if "_in" in name:
            there, place = "middle_block", 0 if name.endswith("in0") else 2
        elif "_block" in name:
            index, place = index + 1, 0
            there = f"output_blocks.{index}"
        yield from _of_layer(there, place, f"dec.{name}", layer)
        place += 2 if isinstance(layer, ADMBlock) and layer.heads else 1


def _of_layer(there: str, place: int, here: str, layer: torch.nn.Module) -> Iterator[tuple[str, str]]:
    if not isinstance(layer, ADMBlock):
        yield f"{there}.{place}", here
        return
    for parts, offset in ((BLOCK, 0), (ATTENTION, 1)):
        for theirs, ours in parts.items():
            yield f"{there}.{place + offset}.{theirs}", f"{here}.{ours}"


def _projections(state: Mapping[str, Tensor], name: str, heads: int, order: str) -> dict[str, Tensor]:
    """The projections of one attention as 1x1 convolutions, their rows ordered (head, channel, q|k|v)."""
    if order not in QKV_ORDERS:
        raise ValueError(f"qkv_order is {order!r}; it must be one of {', '.join(QKV_ORDERS)}.")
    converted = {}
    for part in ("weight", "bias"):
        rows = state[f"{name}.qkv.{part}"]
        shape = (heads, 3, -1) if order == "head-first" else (3, heads, -1)
        moved = rows.reshape(*shape, *rows.shape[1:])
        moved = (moved if order == "head-first" else moved.transpose(0, 1)).transpose(1, 2)
        converted[f"{name}.qkv.{part}"] = moved.reshape(rows.shape)
    for layer in ("qkv", "proj"):
        weight = converted.get(f"{name}.{layer}.weight", state[f"{name}.{layer}.weight"])
        converted[f"{name}.{layer}.weight"] = weight.reshape(*weight.shape[:2], 1, 1)
    return converted


def _take(tensors: dict[str, Tensor], name: str, what: str) -> Tensor:
    if name not in tensors:
        raise IntegrityError(f"{what} lacks {name}, which its card's network needs")
    return tensors.pop(name)
