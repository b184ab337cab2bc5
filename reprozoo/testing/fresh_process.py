"""A recipe in a process that never saw it before: unpickled, loaded without a network, run and let go.

One process answers for three checks (spawn, offline, memory), because starting one costs seconds.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo.testing.results import CheckFailed

if TYPE_CHECKING:
    from torch import Tensor

    from reprozoo.engine.executors import Recipe
    from reprozoo.maps.condition import Condition

# What Python does before it talks to another machine; the events of names looked up come before any connection.
NETWORK_EVENTS = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
OFFLINE = {"HF_HUB_OFFLINE": "1", "REPROZOO_OFFLINE": "1"}
START = "from reprozoo.testing.fresh_process import answer; answer()"


@dataclass
class Report:
    """What happened in the fresh process.

    Attributes:
        error: why there are no images, as a sentence; empty where there are.
        images: (batch, *image_shape) float32.
        reached_for: hosts that were asked for, in order.
        kept: what stayed in memory when the map had been let go.
    """

    error: str = ""
    images: Tensor | None = None
    reached_for: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def run_in_fresh_process(recipe: Recipe, noise: Tensor, conditions: Sequence[Condition]) -> Report:
    """Send a recipe to a new Python process, offline, and hear what became of it.

    Raises:
        CheckFailed: the recipe cannot be pickled, or the process died.
    """
    import torch

    try:
        request = pickle.dumps((recipe, noise, tuple(conditions), torch.get_num_threads()))
    except Exception as error:
        raise CheckFailed(
            f"the recipe cannot be pickled ({type(error).__name__}: {error}), so no other process can load it"
        ) from error
    environment = os.environ | OFFLINE | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "request").write_bytes(request)
        done = subprocess.run(
            [sys.executable, "-c", START, folder], env=environment, capture_output=True, text=True, check=False
        )
        if not (place / "report").exists():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise CheckFailed(f"the fresh process ended with code {done.returncode}: {last}")
        report: Report = pickle.loads((place / "report").read_bytes())
    return report


def answer() -> None:
    """The other side: read the request in the folder that the command line names, write the report there."""
    place, report = Path(sys.argv[1]), Report()
    sys.addaudithook(lambda event, arguments: _refuse_network(event, arguments, report.reached_for))
    try:
        report.images, report.kept = _load_and_run((place / "request").read_bytes())
    except (Exception, SystemExit) as error:
        report.error = f"{type(error).__name__}: {error}"
    unfinished = place / "unfinished"
    unfinished.write_bytes(pickle.dumps(report))
    unfinished.rename(place / "report")


def _load_and_run(request: bytes) -> tuple[Tensor, list[str]]:
    import torch

    from reprozoo.testing.memory import kept_after_release

    recipe, noise, conditions, threads = pickle.loads(request)
    torch.set_num_threads(threads)
    return kept_after_release(recipe.load, noise, conditions)


def _refuse_network(event: str, arguments: tuple[Any, ...], reached_for: list[str]) -> None:
    """An audit hook: nothing written in Python gets around it."""
    if event not in NETWORK_EVENTS:
        return
    place = arguments[1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else arguments[:2]
    if isinstance(place, str | bytes | None):
        return  # a socket of this machine, in the file system
    host = ":".join(str(part) for part in (place if isinstance(place, tuple) else (place,))[:2] if part is not None)
    reached_for.append(host)
    raise OSError(f"no network: this process may not reach {host}")
