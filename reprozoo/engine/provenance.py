"""Where a result comes from: what was asked for, noise, descriptor, versions, plugins."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

import reprozoo
from reprozoo.engine.checking import Materials
from reprozoo.engine.question import Question
from reprozoo.engine.result import SideRecord
from reprozoo.engine.scoring import Thresholds
from reprozoo.engine.setup import Setup
from reprozoo.engine.store import runs_of
from reprozoo.measures.descriptors import Descriptor

PACKAGES = ("torch", "numpy", "onnxruntime", "safetensors")


@dataclass(frozen=True)
class Givers:
    """Where plugins are looked up that gave a measure."""

    measures: Mapping[str, Any]

    @classmethod
    def of(cls, zoo: Any) -> Givers:
        plugins = getattr(zoo, "plugins", None)
        return cls(plugins.measures if plugins is not None else {})

    def of_measures(self, names: Iterable[str]) -> Iterator[Mapping[str, str]]:
        """The plugins of measures, but those that come with reprozoo."""
        for name in dict.fromkeys(names):
            found = self.measures.get(name)
            if found is not None and found.plugin.distribution != "reprozoo":
                yield found.plugin.provenance(f"measure {name}")


def resolved_question(question: Question, materials: Materials) -> dict[str, Any]:
    """What was asked, and under "objects" which parts of it were Python objects."""
    document = question.to_json()
    return document | ({"objects": materials.named} if materials.named else {})


def moment(started: float) -> dict[str, Any]:
    """When a result was made and how long it took."""
    return {"created": datetime.now(UTC).isoformat(timespec="seconds"), "elapsed_s": time.perf_counter() - started}


def descriptor_record(descriptor: Descriptor, thresholds: Thresholds) -> dict[str, Any]:
    """The descriptor's identity, with what a reader must know of it."""
    record = {**descriptor.identity(), "id": descriptor.id, "dim": descriptor.dim}
    record["threshold"] = thresholds.usual(descriptor)
    return record | ({"note": descriptor.note} if descriptor.note else {})


def environment(device: str) -> dict[str, Any]:
    """Versions, processor and device; nothing that names a user or a host."""
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


def noise_record(setup: Setup, shape: tuple[int, ...]) -> dict[str, Any]:
    """Spec, shape and sha256 of the noise; the digest is kept in the store, because drawing all noise takes time."""
    runs = [list(run) for run in runs_of(setup.indices)]
    entry = setup.store.entry("noise", {"noise": setup.noise.spec(), "shape": list(shape), "indices": runs})
    if entry.missing([0], block=1):
        digest = setup.noise.digest(setup.indices, shape)
        entry.put(0, np.frombuffer(bytes.fromhex(digest), np.uint8)[None])
    entry.touch()
    return {**setup.noise.spec(), "shape": list(shape), "sha256": entry.rows([0])[0].tobytes().hex()}


def plugins_used(
    records: Sequence[SideRecord], descriptors: Sequence[Descriptor], *others: Iterable[Mapping[str, str]]
) -> list[dict[str, Any]]:
    """The plugins that took part, each once, by name, with what it gave: families, cards, descriptors, data."""
    every = chain(_plugins_of(records), *(descriptor.plugins for descriptor in descriptors), *others)
    used: dict[str, dict[str, Any]] = {}
    for plugin in sorted(every, key=lambda plugin: (plugin["name"], plugin.get("gave", ""))):
        record = used.setdefault(plugin["name"], {**plugin, "gave": []})
        if plugin.get("gave") and plugin["gave"] not in record["gave"]:
            record["gave"].append(plugin["gave"])
    return list(used.values())


def _plugins_of(records: Iterable[SideRecord]) -> Iterator[Mapping[str, str]]:
    for record in records:
        if record.facts.get("plugin"):
            yield record.facts["plugin"]
        yield from record.facts.get("other_plugins", ())


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
