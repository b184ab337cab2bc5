"""What is done to loaded networks: 8-bit weights, compilation, and where they are while they do not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from reprozoo import UsageError


class Placement:
    """Where the components are.

    Args:
        components: by name; what has no weights is left alone.
        device: where they run.
        offload: None keeps all on the device; "model" brings a component there while it runs; "sequential" brings each
            layer (accelerate's hooks).

    Raises:
        UsageError: offloading on a CPU, or without the package it needs.
    """

    def __init__(self, components: Mapping[str, Any], device: torch.device, offload: str | None) -> None:
        self.modules = {name: part for name, part in components.items() if isinstance(part, nn.Module)}
        self.device, self.offload = device, offload
        if offload and device.type == "cpu":
            raise UsageError(f"offload={offload} is for GPUs, and this is the CPU: leave it out")
        if offload == "sequential":
            for module in self.modules.values():
                _hook_layers(module, device)
        elif not offload:
            for module in self.modules.values():
                module.to(device)

    @contextmanager
    def on_device(self, *names: str) -> Iterator[None]:
        """The named components are on the device while the block runs."""
        moving = [self.modules[name] for name in names if name in self.modules] if self.offload == "model" else []
        for module in moving:
            module.to(self.device)
        try:
            yield
        finally:
            for module in moving:
                module.to("cpu")


def quantize_network(network: nn.Module, name: str) -> None:
    """8-bit integers for the weights of linear layers, one scale an output channel; activations keep their precision,
    so an image does not depend on its batch.

    Raises:
        UsageError: torchao is not installed.
    """
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        raise UsageError(
            f"quantize=int8 for {name} needs torchao; install it with: pip install 'reprozoo[quantize]'"
        ) from error
    quantize_(network, Int8WeightOnlyConfig())


def compile_network(network: nn.Module) -> None:
    """``torch.compile`` in place; compiled at the first call, again for another batch size."""
    network.compile()


def _hook_layers(module: nn.Module, device: torch.device) -> None:
    try:
        from accelerate import cpu_offload
    except ImportError as error:
        raise UsageError(
            "offload=sequential needs accelerate; install it with: pip install 'reprozoo[offload]', or use "
            "offload=model, which needs nothing"
        ) from error
    cpu_offload(module, device)
