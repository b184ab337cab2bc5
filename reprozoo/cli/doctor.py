"""``doctor``: what works on this machine, what would fail, and why. It changes nothing and fetches nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby

import click

from reprozoo import __version__
from reprozoo.base.errors import ReprozooError, UsageError
from reprozoo.cli.common import json_option, print_json
from reprozoo.cli.table import Cell, print_table
from reprozoo.engine.display import size

PACKAGES = ("torch", "numpy", "onnxruntime", "safetensors", "huggingface-hub", "diffusers", "transformers")
NEEDED = ("torch", "numpy", "onnxruntime", "safetensors")
LITTLE_ROOM = 2_000_000_000
VARIABLES = (
    "REPROZOO_HOME", "REPROZOO_OFFLINE", "REPROZOO_DISABLE_PLUGINS", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE",
    "HF_ENDPOINT", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ``status`` is "ok", "note" (works, but know this) or "fail" (something will not work)."""

    area: str
    name: str
    status: str
    detail: str


@click.command(short_help="Say what works here, what would fail and why.")
@click.option("--strict", is_flag=True, help="Exit with 2 when something would fail.")
@json_option
def doctor(*, strict: bool, as_json: bool) -> None:
    """Say what works here, what would fail and why: environment, devices, places, plugins, descriptors, models.

    Nothing is fetched and nothing is changed.
    """
    findings = examine()
    if as_json:
        print_json({"reprozoo": __version__, "findings": [asdict(finding) for finding in findings]})
    else:
        _print_findings(findings)
    failed = [finding.name for finding in findings if finding.status == "fail"]
    if strict and failed:
        raise UsageError(f"would fail: {', '.join(failed)}")


def examine() -> list[Finding]:
    """Look at everything; what raises while being looked at is a finding too."""
    findings: list[Finding] = []
    for area, look in AREAS.items():
        try:
            findings += look()
        except Exception as error:
            findings.append(Finding(area, "examination", "fail", f"{type(error).__name__}: {error}"))
    return findings


def _environment() -> Iterator[Finding]:
    area = "environment"
    yield Finding(area, "reprozoo", "ok", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Finding(area, "processors", "ok", f"{_usable_cores()} usable, {platform.machine()}")
    for package in PACKAGES:
        try:
            yield Finding(area, package, "ok", version(package))
        except PackageNotFoundError:
            needed = package in NEEDED
            detail = "not installed; models cannot be run" if needed else "not installed; families that need it fail"
            yield Finding(area, package, "fail" if needed else "note", detail)
    for name in VARIABLES:
        if os.environ.get(name):
            yield Finding(area, name, "ok", os.environ[name])
    if os.environ.get("HF_TOKEN"):
        yield Finding(area, "HF_TOKEN", "ok", "set")


def _devices() -> Iterator[Finding]:
    import torch

    area = "devices"
    yield Finding(area, "cpu", "ok", f"{torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield Finding(area, f"cuda:{index}", "ok", f"{properties.name}, {size(properties.total_memory)}")
    if torch.cuda.is_available():
        yield Finding(area, "auto", "ok", "is cuda")
    else:
        built = torch.version.cuda is not None
        why = "no usable GPU was found" if built else "this torch was built without CUDA"
        yield Finding(area, "auto", "ok", f"is cpu: {why}")
    if torch.backends.mps.is_available():
        yield Finding(area, "mps", "ok", "use --device mps")


def _places() -> Iterator[Finding]:
    from reprozoo.base import paths

    area = "places"
    places = {
        "store": paths.store_home(),
        "weights": paths.weights_home(),
        "data sets": paths.datasets_home(),
        "Hub cache": paths.hub_cache(),
    }
    for name, place in places.items():
        existing = next(p for p in (place, *place.absolute().parents) if p.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            yield Finding(
                area, name, "fail", f"{place} cannot be written; set REPROZOO_HOME (or HF_HOME) to a place that can"
            )
            continue
        free = shutil.disk_usage(existing).free
        little = free < LITTLE_ROOM
        yield Finding(
            area, name, "note" if little else "ok", f"{place}, {size(free)} free" + (": little" if little else "")
        )


def _plugins() -> Iterator[Finding]:
    from reprozoo.zoo.plugins import installed_plugins, plugin_cards

    area = "plugins"
    plugins = installed_plugins()
    plugin_cards(plugins)  # a plugin whose cards cannot be read is broken
    for record in plugins.records:
        level = {"ok": "note" if record.warnings else "ok", "disabled": "note"}.get(record.status, "fail")
        detail = "; ".join([record.error or f"{record.distribution} {record.version}", *record.warnings])
        yield Finding(area, record.name, level, detail)
    if not plugins.records:
        yield Finding(
            area, "none", "fail", "no plugin is installed, so there is no model; install reprozoo with its plugins"
        )


def _descriptors() -> Iterator[Finding]:
    from reprozoo.measures.descriptors import descriptor_names, load_descriptor
    from reprozoo.zoo.resolving import default_zoo

    area = "descriptors"
    zoo = default_zoo()
    for name in descriptor_names(zoo.registry, zoo.plugins):
        try:
            load_descriptor(name, registry=zoo.registry, plugins=zoo.plugins, offline=True)
        except ReprozooError as error:
            fetchable = error.exit_code == 4
            detail = f"not on this machine; `reprozoo pull {name}` fetches it" if fetchable else str(error)
            yield Finding(area, name, "note" if fetchable else "fail", detail)
        else:
            yield Finding(area, name, "ok", "ready")


def _models() -> Iterator[Finding]:
    from reprozoo.cli.models import STATUSES, status_of
    from reprozoo.zoo.resolving import default_zoo

    area = "models"
    zoo = default_zoo()
    statuses = {card.id: status_of(zoo, card) for card in zoo.registry.models.values()}
    for status, count in sorted(Counter(statuses.values()).items()):
        ids = [name for name, found in statuses.items() if found == status]
        shown = ", ".join(ids[:8]) + (", …" if count > 8 else "")
        level = "fail" if status == "missing" else "ok" if status in READY else "note"
        yield Finding(area, status, level, f"{count}, {STATUSES[status]}: {shown}")
    if not statuses:
        yield Finding(area, "none", "fail", "no card was found; see the plugins above")


READY = ("formula", "bundled", "cached")
AREAS: dict[str, Callable[[], Iterator[Finding]]] = {
    "environment": _environment,
    "devices": _devices,
    "places": _places,
    "plugins": _plugins,
    "descriptors": _descriptors,
    "models": _models,
}


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _print_findings(findings: list[Finding]) -> None:
    styles = {"ok": "good", "note": "note", "fail": "bad"}
    rows: list[list[Cell]] = []
    for area, group in groupby(findings, key=lambda finding: finding.area):
        rows.append(["", (area, "bold"), ""])
        rows += [[(f.status, styles[f.status]), f"  {f.name}", f.detail] for f in group]
    print_table(rows)
    failed = sum(finding.status == "fail" for finding in findings)
    click.echo("nothing would fail" if not failed else f"{failed} of {len(findings)} would fail: see above", err=True)
