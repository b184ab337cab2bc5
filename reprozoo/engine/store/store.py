"""The store as a whole: find entries, list them, verify them, make room."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.base.files import TEMPORARY_SUFFIX, writing
from reprozoo.base.paths import store_home
from reprozoo.engine.store.entry import DATA_SUFFIX, DOCUMENT_FILE, MANIFEST_SUFFIX, Entry, Shard, manifests
from reprozoo.engine.store.lease import LEASE_SUFFIX, STALE_AFTER_S
from reprozoo.engine.store.rows import REMEDY
from reprozoo.zoo.cards import canonical_digest

LEFTOVER_SUFFIXES = (TEMPORARY_SUFFIX, LEASE_SUFFIX)


@dataclass(frozen=True)
class EntryInfo:
    """One entry, for ``reprozoo cache ls``.

    Attributes:
        kind: "images", "features" or "noise" (its digest).
        rows: finished ones.
        used: when it was last used, seconds since 1970.
    """

    kind: str
    key: str
    folder: Path
    document: Mapping[str, Any]
    rows: int
    bytes: int
    used: float


@dataclass(frozen=True)
class Problem:
    """A damaged file, and a sentence about it."""

    path: Path
    message: str


@dataclass(frozen=True)
class Pruned:
    """What was removed."""

    paths: list[Path]
    bytes: int


class Store:
    """Arrays by key, in one directory.

    Args:
        root: created when the first shard is written; by default ``$REPROZOO_HOME/store``.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else store_home()

    def entry(self, kind: str, document: Mapping[str, Any]) -> Entry:
        """The entry of a kind and document; it may have no rows yet."""
        return Entry(self.root / kind, document)

    def entry_of_key(self, kind: str, key: str) -> Entry | None:
        """The entry of a key, by the document that lies with it; None where the store does not have it."""
        path = self.root / kind / key[:2] / key / DOCUMENT_FILE
        try:
            entry = self.entry(kind, json.loads(path.read_bytes()))
        except (OSError, ValueError):
            return None
        return entry if entry.key == key else None

    def entries(self) -> list[EntryInfo]:
        """Every entry that can be read, by kind, latest used first; ``verify`` finds the others."""
        found = [info for folder in self._folders() if (info := _info(folder)) is not None]
        return sorted(found, key=lambda info: (info.kind, -info.used))

    def verify(self) -> Iterator[Problem]:
        """Read everything and compare it with its manifests; yields one problem for each damaged file."""
        for folder in self._folders():
            yield from _document_problems(folder)
            for manifest in manifests(folder):
                try:
                    Shard.read_manifest(manifest).read()
                except IntegrityError as error:
                    yield Problem(manifest, str(error))

    def prune(
        self,
        *,
        broken: bool = False,
        unused_for_s: float | None = None,
        key: str | None = None,
        everything: bool = False,
    ) -> Pruned:
        """Remove entries or damaged shards, and what dead processes left behind.

        Args:
            broken: damaged shards, and entries whose document is damaged.
            unused_for_s: entries not used for so long.
            key: the entry whose key begins so.
            everything: all entries.

        Raises:
            UsageError: ``key`` fits no entry or several, or a file cannot be removed.
        """
        chosen = [info.folder for info in self.entries() if everything or _is_unused(info, unused_for_s)]
        if key is not None:
            chosen.append(self._folder_of(key))
        if everything:
            chosen += [folder for folder in self._folders() if folder not in chosen]
        files = self._broken_files() if broken else []
        files += [path for folder in self._folders() for path in _leftovers(folder)]
        with writing(self.root, remedy=REMEDY):
            return _remove(files, list(dict.fromkeys(chosen)))

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.root.glob("*/??/*") if path.is_dir())

    def _folder_of(self, key: str) -> Path:
        folders = [folder for folder in self._folders() if folder.name.startswith(key)]
        if len(folders) != 1:
            count = "no entry" if not folders else f"{len(folders)} entries"
            raise UsageError(f"{count} of the store begin with {key!r}; `reprozoo cache ls` lists them")
        return folders[0]

    def _broken_files(self) -> list[Path]:
        files: list[Path] = []
        for problem in self.verify():
            if problem.path.name == DOCUMENT_FILE:
                files += sorted(problem.path.parent.iterdir())
            else:
                files += [problem.path, problem.path.with_suffix(DATA_SUFFIX)]
        return files


def _info(folder: Path) -> EntryInfo | None:
    path = folder / DOCUMENT_FILE
    try:
        document = json.loads(path.read_bytes())
        shards = [Shard.read_manifest(manifest) for manifest in manifests(folder)]
    except (OSError, ValueError, IntegrityError):
        return None
    rows = {row for shard in shards for row in range(shard.start, shard.stop)}
    stats = _stats(folder)
    if path not in stats:
        return None
    size = sum(stat.st_size for stat in stats.values())
    return EntryInfo(
        folder.parent.parent.name, folder.name, folder, document, len(rows), size, stats[path].st_mtime
    )  # fmt: skip


def _stats(folder: Path) -> dict[Path, os.stat_result]:
    """Of the files of an entry, by path; those that another process removes meanwhile are left out."""
    found = {}
    with suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            with suppress(FileNotFoundError):
                found[path] = path.stat()
    return found


def _document_problems(folder: Path) -> Iterator[Problem]:
    path = folder / DOCUMENT_FILE
    try:
        key = canonical_digest(json.loads(path.read_bytes()))
    except FileNotFoundError:
        if manifests(folder):
            yield Problem(path, f"{path} is missing, so nobody can say what the rows beside it are")
        return
    except (OSError, ValueError) as error:
        yield Problem(path, f"{path} cannot be read: {error}")
        return
    if key != folder.name:
        yield Problem(path, f"{path} is not the document of the key that its folder is named after")


def _is_unused(info: EntryInfo, unused_for_s: float | None) -> bool:
    return unused_for_s is not None and time.time() - info.used > unused_for_s


def _leftovers(folder: Path) -> Iterator[Path]:
    """Temporary files, leases and data without a manifest, older than any living writer lets them become."""
    for path, stat in _stats(folder).items():
        unfinished = path.suffix == DATA_SUFFIX and not path.with_suffix(MANIFEST_SUFFIX).exists()
        if (unfinished or path.suffix in LEFTOVER_SUFFIXES) and time.time() - stat.st_mtime > STALE_AFTER_S:
            yield path


def _remove(files: list[Path], folders: list[Path]) -> Pruned:
    removed: list[Path] = []
    size = 0
    for folder in folders:
        size += sum(stat.st_size for stat in _stats(folder).values())
        shutil.rmtree(folder)
        removed.append(folder)
    for file in dict.fromkeys(files):
        if file.exists():
            size += file.stat().st_size
            file.unlink()
            removed.append(file)
    return Pruned(removed, size)
