"""Weights: fetch a file once, verify it always, read it without executing anything.

``fetch`` promises a local file whose sha256 is the one that its card names or, where the card does not know it, the one
that was seen first; anything else is an ``IntegrityError`` with both digests. Half a file is never handed out: a file
appears under its final name whole, verified and synced, or not at all, and two processes may fetch it at once.
"""

from reprozoo.weights.cache import Progress, content_digest, sha256_of
from reprozoo.weights.checkpoint import Checkpoint
from reprozoo.weights.fetching import FetchedFile, fetch, status
from reprozoo.weights.folders import DiffusersFolder, read_folder
from reprozoo.weights.formats import read_checkpoint, read_tensors, recognise
from reprozoo.weights.importing import forget, import_file, importable
from reprozoo.weights.planning import PlannedFile, check_room, plan, size_of

__all__ = [
    "Checkpoint",
    "DiffusersFolder",
    "FetchedFile",
    "PlannedFile",
    "Progress",
    "check_room",
    "content_digest",
    "fetch",
    "forget",
    "import_file",
    "importable",
    "plan",
    "read_checkpoint",
    "read_folder",
    "read_tensors",
    "recognise",
    "sha256_of",
    "size_of",
    "status",
]
