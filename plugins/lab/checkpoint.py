"""Checkpoints that survive a crash, and the export of averaged weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reprozoo.base.files import whole_file

RUNNING = (".running_mean", ".running_var")  # of batch norms: averaged with the weights, exported as float32
REMEDY = "choose another folder with -o"


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain containers, so that loading executes nothing."""
    with whole_file(path, remedy=REMEDY) as temporary:
        torch.save(dict(state), temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, on the CPU."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def averaged_state(network: nn.Module, average: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a network whose parameters are the average; other buffers are the network's own."""
    return {name: average.get(name, value).detach() for name, value in network.state_dict().items()}


def export_weights(checkpoint: Path, output: Path) -> dict[str, Any]:
    """Write the averaged weights of a checkpoint as float16 safetensors; buffers stay float32.

    Returns:
        What the file's metadata says under the one key ``training`` (several would be written in a random order, and
        one checkpoint must give one file): recipe, images seen, steps, latest loss.
    """
    from safetensors.torch import save_file

    state = load_checkpoint(checkpoint)
    average: Mapping[str, Tensor] = state["average"]
    tensors = {
        name: _exported(name, average[name]) if name in average else value.contiguous()
        for name, value in state["network"].items()
    }
    training = {
        "recipe": json.loads(state["recipe"]),
        "images_seen": state["images_seen"],
        "steps": state["step"],
        "loss": state["loss"],
    }
    with whole_file(output, remedy=REMEDY) as temporary:
        save_file(tensors, temporary, metadata={"training": json.dumps(training, sort_keys=True)})
        temporary.chmod(0o644)  # safetensors makes files that only their owner can read
    return training


def _exported(name: str, value: Tensor) -> Tensor:
    return (value.float() if name.endswith(RUNNING) else value.half()).contiguous()
