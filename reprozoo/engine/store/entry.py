"""One entry of the store: an array in shards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.base.files import write_whole, writing
from reprozoo.engine.store.lease import LEASE_SUFFIX, Lease
from reprozoo.engine.store.rows import REMEDY, runs_of
from reprozoo.zoo.cards import canonical_digest

DOCUMENT_FILE = "entry.json"
DATA_SUFFIX = ".safetensors"
MANIFEST_SUFFIX = ".json"
TENSOR = "rows"

Array = NDArray[Any]


@dataclass(frozen=True)
class Shard:
    """Rows [start, stop) of an entry, as its manifest records them.

    Attributes:
        path: of the data.
        sha256: of the whole data file.
        facts: what the writer noted, e.g. the batch size.
    """

    start: int
    stop: int
    path: Path
    sha256: str
    bytes: int
    facts: Mapping[str, Any]

    @classmethod
    def read_manifest(cls, path: Path) -> Shard:
        """The shard whose manifest is at ``path``.

        Raises:
            IntegrityError: the manifest is damaged.
        """
        try:
            record = json.loads(path.read_bytes())
            fields = (int(record["start"]), int(record["stop"]), path.with_suffix(DATA_SUFFIX), str(record["sha256"]))
            shard = cls(*fields, int(record["bytes"]), dict(record["facts"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged(path, f"it cannot be read: {error}") from error
        if shard_name(shard.start, shard.stop) != path.stem or shard.start >= shard.stop:
            raise damaged(path, "it describes other rows than its name says")
        return shard

    def read(self) -> Array:
        """The rows, verified.

        Raises:
            IntegrityError: the file is missing, cut short or changed.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise damaged(self.path, f"it cannot be read: {error.strerror}") from error
        if len(content) != self.bytes:
            raise damaged(self.path, f"it has {len(content)} bytes and was written with {self.bytes}")
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise damaged(self.path, "its sha256 is not the recorded one")
        try:
            rows: Array = safetensors.numpy.load(content)[TENSOR]
        except (SafetensorError, KeyError) as error:
            raise damaged(self.path, f"it holds no rows: {error}") from error
        if len(rows) != self.stop - self.start:
            raise damaged(self.path, f"it holds {len(rows)} rows, expected {self.stop - self.start}")
        return rows

    def read_rows(self, start: int, stop: int) -> Array:
        """Rows [start, stop) of a shard that this process has verified already.

        Raises:
            IntegrityError: the file cannot be read any more.
        """
        try:
            with safe_open(self.path, framework="numpy") as file:
                rows: Array = file.get_slice(TENSOR)[start - self.start : stop - self.start]
        except (OSError, SafetensorError) as error:
            raise damaged(self.path, f"it cannot be read: {error}") from error
        return rows


class Entry:
    """An array by its key; nothing is read or created before it is asked for.

    Args:
        folder: where the entry lives.
        document: JSON of everything that can change a row.

    Attributes:
        key: hex sha256 of the canonical JSON of ``document``.
    """

    def __init__(self, folder: Path, document: Mapping[str, Any]) -> None:
        self.document = dict(document)
        self.key = canonical_digest(self.document)
        self.folder = folder / self.key[:2] / self.key
        self._verified: set[Path] = set()
        self._known: list[Shard] = []

    def shards(self, start: int = 0, stop: int | None = None) -> list[Shard]:
        """The finished shards that hold any of the rows [start, stop), by start, longer ones first.

        Raises:
            IntegrityError: a manifest is damaged.
        """
        found = [Shard.read_manifest(path) for path in manifests(self.folder) if _overlaps(path, start, stop)]
        return sorted(found, key=lambda shard: (shard.start, -shard.stop))

    def missing(self, rows: Sequence[int], *, block: int) -> list[tuple[int, int]]:
        """Those of ``rows`` that are in no shard, as [start, stop) runs cut at multiples of ``block``."""
        if not len(rows):
            return []
        there: set[int] = set()
        for shard in self.shards(min(rows), max(rows) + 1):
            there.update(range(shard.start, shard.stop))
        return runs_of((row for row in rows if row not in there), block=block)

    def put(self, start: int, rows: Array, *, facts: Mapping[str, Any] | None = None) -> Shard:
        """Store ``rows`` as rows start, start + 1, ...: data first, then the manifest that makes them count.

        What is there stays: a shard of these rows is not written again.

        Raises:
            PartialError: the disk is full; finished shards are kept.
            UsageError: the place cannot be written.
        """
        stop = start + len(rows)
        path = self.folder / (shard_name(start, stop) + DATA_SUFFIX)
        if (manifest := path.with_suffix(MANIFEST_SUFFIX)).exists():
            return Shard.read_manifest(manifest)
        content = safetensors.numpy.save({TENSOR: np.ascontiguousarray(rows)})
        shard = Shard(start, stop, path, hashlib.sha256(content).hexdigest(), len(content), dict(facts or {}))
        self._write_document()
        write_whole(path, content, remedy=REMEDY)
        record = {"start": start, "stop": stop, "sha256": shard.sha256, "bytes": shard.bytes, "facts": shard.facts}
        write_whole(manifest, json.dumps(record, sort_keys=True).encode(), remedy=REMEDY)
        return shard

    def rows(self, rows: Sequence[int]) -> Array:
        """The rows of these numbers, in this order, verified.

        Raises:
            IntegrityError: a shard that holds one of them is damaged.
            UsageError: a row is not in the store.
        """
        if not len(rows):
            raise UsageError("no row was asked for")
        by_row = self._gather(set(rows), self._known)
        if len(by_row) < len(set(rows)):  # written since the shards were listed
            self._known = self.shards()
            by_row = self._gather(set(rows), self._known)
        absent = [row for row in rows if row not in by_row]
        if absent:
            raise UsageError(f"row {absent[0]} is not in the store entry {self.folder}")
        return np.stack([by_row[row] for row in rows])

    def lease(self, start: int, stop: int) -> Lease | None:
        """The right to write a shard, or None while another process writes it."""
        return Lease.take(self._lease_path(start, stop))

    def wait_for_lease(self, start: int, stop: int) -> Lease:
        """The same, as soon as no other process writes it; look then at what is still ``missing``."""
        return Lease.wait(self._lease_path(start, stop))

    def touch(self) -> None:
        """Note that the entry was used, for ``Store.prune`` by age."""
        document = self.folder / DOCUMENT_FILE
        if document.exists():
            with writing(document, remedy=REMEDY):
                document.touch()

    def _lease_path(self, start: int, stop: int) -> Path:
        return self.folder / (shard_name(start, stop) + LEASE_SUFFIX)

    def _gather(self, wanted: set[int], shards: list[Shard]) -> dict[int, Array]:
        found: dict[int, Array] = {}
        first_wanted, last_wanted = min(wanted), max(wanted)
        for shard in shards:
            if shard.start > last_wanted or shard.stop <= first_wanted:
                continue
            inside = [row for row in range(shard.start, shard.stop) if row in wanted and row not in found]
            if inside:
                first, content = inside[0], self._read(shard, inside[0], inside[-1] + 1)
                found |= {row: content[row - first] for row in inside}
        return found

    def _read(self, shard: Shard, start: int, stop: int) -> Array:
        """Some rows of a shard; the whole of it is verified when it is first used."""
        if shard.path in self._verified:
            return shard.read_rows(start, stop)
        rows = shard.read()
        self._verified.add(shard.path)
        return rows[start - shard.start : stop - shard.start]

    def _write_document(self) -> None:
        path = self.folder / DOCUMENT_FILE
        with writing(path, remedy=REMEDY):
            self.folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_whole(path, json.dumps(self.document, sort_keys=True, indent=1).encode(), remedy=REMEDY)


def manifests(folder: Path) -> list[Path]:
    """Those of an entry's shards, by start."""
    return sorted(path for path in folder.glob(f"*{MANIFEST_SUFFIX}") if path.name != DOCUMENT_FILE)


def _overlaps(manifest: Path, start: int, stop: int | None) -> bool:
    """Whether a shard holds any of the rows [start, stop), by its name; one whose name says nothing may."""
    first, _, last = manifest.stem.partition("-")
    if not (first.isdecimal() and last.isdecimal()):
        return True
    return int(last) > start and (stop is None or int(first) < stop)


def shard_name(start: int, stop: int) -> str:
    """File name of rows [start, stop), without suffix; sorts by start."""
    return f"{start:012d}-{stop:012d}"


def damaged(path: Path, what: str) -> IntegrityError:
    """The error for a file of the store that is not as it was written, with the remedy."""
    return IntegrityError(
        f"{path} is damaged: {what}. Run `reprozoo cache prune --broken`, then the same command again: "
        "only what was damaged is made anew"
    )
