"""Where a result comes from: what was asked for, noise, descriptor, versions, plugins."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

import reprozoo
from reprozoo.engine.judging import Rules
from reprozoo.engine.results import ModelRun
from reprozoo.engine.setup import Setup
from reprozoo.engine.store import runs_of
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.maps.noise.files import NoiseFile
from reprozoo.measures.descriptors import Descriptor

PACKAGES = ("torch", "numpy", "onnxruntime", "safetensors")


def settings(
    specs: Sequence[str],
    setup: Setup,
    rules: Rules,
    *,
    descriptor: str | Descriptor,
    **others: Any,
) -> dict[str, Any]:
    """What was asked for, resolved where the request left it open."""
    return {
        "specs": list(specs),
        "num_samples": len(setup.indices),
        "seed": setup.noise.seed if isinstance(setup.noise, NoiseBank) else None,
        "noise_file": str(setup.noise.path) if isinstance(setup.noise, NoiseFile) else None,
        "descriptor": descriptor if isinstance(descriptor, str) else descriptor.id,
        "threshold": rules.threshold,
        "device": setup.device,
        "batch_size": setup.batch_size,
        **others,
    }


def provenance(
    setup: Setup,
    noise_shape: tuple[int, ...],
    rules: Rules,
    runs: Sequence[ModelRun],
    *,
    started: float,
    others: Iterable[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The fields that every result made from noise has.

    Args:
        started: of ``time.perf_counter``.
        others: plugins that gave anything besides the models and the descriptor.
    """
    return {
        "noise": _noise(setup, noise_shape),
        "conditions": setup.conditions.record(),
        "descriptor": descriptor_record(rules),
        "environment": environment(setup.device),
        "plugins": plugins_used([*_plugins_of(runs), *rules.descriptor.plugins, *others]),
        **moment(started),
    }


def moment(started: float) -> dict[str, Any]:
    """When a result was made and how long it took."""
    return {"created": datetime.now(UTC).isoformat(timespec="seconds"), "elapsed_s": time.perf_counter() - started}


def descriptor_record(rules: Rules) -> dict[str, Any]:
    """The descriptor's identity, with what a reader must know of it."""
    descriptor = rules.descriptor
    record = {**descriptor.identity(), "id": descriptor.id, "dim": descriptor.dim, "threshold": rules.threshold}
    return record | ({"note": descriptor.note} if descriptor.note else {})


def environment(device: str) -> dict[str, Any]:
    """Versions, processor and device; nothing that names a person or a host."""
    return {
        "reprozoo": reprozoo.__version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu": _processor(),
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "device": f"{device}: {torch.cuda.get_device_name(device)}" if device.startswith("cuda") else device,
    }


def _noise(setup: Setup, shape: tuple[int, ...]) -> dict[str, Any]:
    """Spec, shape and sha256 of the noise; the digest is kept in the store, because drawing all noise takes time."""
    runs = [list(run) for run in runs_of(setup.indices)]
    entry = setup.store.entry("noise", {"noise": setup.noise.spec(), "shape": list(shape), "indices": runs})
    if entry.missing([0], block=1):
        digest = setup.noise.digest(setup.indices, shape)
        entry.put(0, np.frombuffer(bytes.fromhex(digest), np.uint8)[None])
    entry.touch()
    return {**setup.noise.spec(), "shape": list(shape), "sha256": entry.rows([0])[0].tobytes().hex()}


def plugins_used(plugins: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The plugins that took part, each once, by name, with what it gave: families, cards, descriptors, data."""
    used: dict[str, dict[str, Any]] = {}
    for plugin in sorted(plugins, key=lambda plugin: (plugin["name"], plugin.get("gave", ""))):
        record = used.setdefault(plugin["name"], {**plugin, "gave": []})
        if plugin.get("gave") and plugin["gave"] not in record["gave"]:
            record["gave"].append(plugin["gave"])
    return list(used.values())


def _plugins_of(runs: Iterable[ModelRun]) -> Iterator[Mapping[str, str]]:
    for run in runs:
        if run.description.get("plugin"):
            yield run.description["plugin"]
        yield from run.description.get("other_plugins", ())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
