"""Weights: fetch a file once, verify it always, read it without executing anything.

``fetch`` promises a local file whose sha256 is the one that its card names or, where the card does not know it, the one
that was seen first; anything else is an ``IntegrityError`` with both digests. Half a file is never handed out: a file
appears under its final name whole, verified and synced, or not at all, and two processes may fetch it at once.

The public names are imported when they are first used: a list of models asks for the status of files and reads none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprozoo.zoo.weights.cache import Progress, content_digest, sha256_of
    from reprozoo.zoo.weights.checkpoint import Checkpoint
    from reprozoo.zoo.weights.fetching import FetchedFile, fetch, fetch_all, status
    from reprozoo.zoo.weights.folders import DiffusersFolder, read_folder
    from reprozoo.zoo.weights.formats import format_for, read_checkpoint, read_tensors, recognise
    from reprozoo.zoo.weights.hub import repository_files
    from reprozoo.zoo.weights.importing import forget, import_file, importable
    from reprozoo.zoo.weights.planning import PlannedFile, check_room, plan, size_of

_MODULES = {
    "cache": "Progress content_digest sha256_of",
    "checkpoint": "Checkpoint",
    "fetching": "FetchedFile fetch fetch_all status",
    "folders": "DiffusersFolder read_folder",
    "formats": "format_for read_checkpoint read_tensors recognise",
    "hub": "repository_files",
    "importing": "forget import_file importable",
    "planning": "PlannedFile check_room plan size_of",
}
_LAZY = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "Checkpoint",
    "DiffusersFolder",
    "FetchedFile",
    "PlannedFile",
    "Progress",
    "check_room",
    "content_digest",
    "fetch",
    "fetch_all",
    "forget",
    "format_for",
    "import_file",
    "importable",
    "plan",
    "read_checkpoint",
    "read_folder",
    "read_tensors",
    "recognise",
    "repository_files",
    "sha256_of",
    "size_of",
    "status",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'reprozoo.zoo.weights' has no attribute {name!r}")
    return getattr(import_module(f"reprozoo.zoo.weights.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
