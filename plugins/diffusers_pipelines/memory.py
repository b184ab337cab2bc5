"""How much memory a pipeline's weights take, known before they are read."""

from __future__ import annotations

import json
import os
from pathlib import Path

from reprozoo_plugins.diffusers_pipelines.classes import pipeline_class

from reprozoo import IntegrityError, LoadContext, UsageError
from reprozoo.zoo.weights import read_folder

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


def weights_bytes(context: LoadContext) -> dict[str, int]:
    """Bytes of each component's weights in the precision of the context, from the heads of its files."""
    folder = read_folder(context.files["weights"])
    kind = pipeline_class(str(context.card.network.get("pipeline")), context.card.id)
    variant = str(context.card.network.get("variant", ""))
    found = {}
    for name in kind.models:
        if name in folder.components:
            chosen = variant if folder.has_weights(name, variant) else ""
            numbers = sum(_numbers(file) for file in folder.weights_of(name, variant=chosen))
            found[name] = numbers * BYTES[context.dtype]
    return found


def check_memory(context: LoadContext) -> None:
    """Refuse a model whose weights alone do not fit, before it is read.

    Raises:
        UsageError: with what is needed, what is free, and what would help.
    """
    parts = weights_bytes(context)
    offload = context.options.get("offload")
    on_device = 0 if offload == "sequential" else max(parts.values()) if offload == "model" else sum(parts.values())
    free = free_bytes(context.device)
    if free is not None and on_device > free:
        gpu = not context.device.startswith("cpu")
        remedies = ["--dtype bfloat16"] if context.dtype == "float32" else []
        remedies += ["+offload=model"] if gpu and not offload else []
        raise UsageError(
            f"the weights of {context.card.id} take {on_device / 1e9:.1f} GB in {context.dtype} on {context.device}, "
            f"and {free / 1e9:.1f} GB are free; use {' or '.join([*remedies, 'another machine'])}"
        )


def free_bytes(device: str) -> int | None:
    """Memory that can be had on a device; None where nobody knows."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _numbers(path: Path) -> int:
    """How many numbers a safetensors file holds, read from its head."""
    try:
        with path.open("rb") as stream:
            head = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        return sum((entry["data_offsets"][1] - entry["data_offsets"][0]) // WIDTHS[entry["dtype"]]
                   for name, entry in head.items() if name != "__metadata__")  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
        raise IntegrityError(f"{path} is a damaged safetensors file: {type(error).__name__}: {error}") from error


WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
          "F8_E4M3": 1, "F8_E5M2": 1}  # fmt: skip
