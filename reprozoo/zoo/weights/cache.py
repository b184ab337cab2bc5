"""The cache of fetched files, addressed by content, and what is remembered about files.

Layout under ``paths.weights_home()``: ``files/SHA256/NAME`` holds the files, ``seen/`` the digest of each source that
was first seen without one, ``digests/`` the digests of big files by path, size, time and inode, ``partial/`` downloads
that are not finished, ``locks/`` one lock a source.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from reprozoo.base import paths
from reprozoo.base.errors import IntegrityError, PartialError, ReprozooError, UsageError
from reprozoo.base.files import files_below, sync_directory, write_whole, writing
from reprozoo.zoo.cards import UNKNOWN, WeightsSource, canonical_digest

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int | None], None]  # name of the file, bytes so far, bytes in all where known

REMEMBER_BYTES = 16 << 20  # hashing less takes some 20 ms, which is not worth a note
SETTLED_S = 2.0  # a file changed this recently may change again within one tick of its clock
SPARE_BYTES = 64 << 20  # left free on the disk after a download
REMEDY = "set REPROZOO_HOME to a directory that you may write to"


def sha256_of(path: Path) -> str:
    """sha256 of a file; that of a big one is remembered until its size, modification time or inode changes."""
    stat = path.stat()
    mark = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    note = paths.weights_home() / "digests" / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}.json"
    if stat.st_size >= REMEMBER_BYTES:
        remembered = read_json(note)
        if remembered.get("mark") == mark:
            return str(remembered["sha256"])
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if stat.st_size >= REMEMBER_BYTES and time.time() - stat.st_mtime > SETTLED_S:
        with suppress(OSError, ReprozooError):  # a cache that cannot be written costs time, nothing else
            write_json(note, {"path": str(path), "mark": mark, "sha256": digest})
    return digest


def content_digest(path: Path) -> str:
    """sha256 of a file, or of the names and contents of all files below a directory.

    Raises:
        UsageError: there is nothing at ``path``, or it cannot be read.
    """
    try:
        if not path.is_dir():
            return sha256_of(path)
        return canonical_digest([[p.relative_to(path).as_posix(), sha256_of(p)] for p in files_below(path)])
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


class FileCache:
    """Fetched files under the sha256 of their content.

    Args:
        root: directory of the cache; made when something is written.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or paths.weights_home()

    def expected(self, source: WeightsSource, stated: str) -> str | None:
        """The digest a source must have: ``stated`` by its card, else the one seen first, else None."""
        if stated != UNKNOWN:
            return stated
        seen = self.seen(source).get("sha256")
        return str(seen) if seen else None

    def find(self, digest: str | None, filename: str) -> Path | None:
        """The cached file of this digest, verified; one that no longer has it is removed."""
        path = self.root / "files" / (digest or UNKNOWN) / filename
        if digest is None or not path.is_file():
            return None
        if sha256_of(path) != digest:
            logger.warning("%s was damaged on disk; it is removed and has to be fetched again", path)
            path.unlink(missing_ok=True)
            return None
        return path

    def holds(self, digest: str | None, filename: str) -> bool:
        """Whether the file is there; quick, because it is not verified."""
        return digest is not None and (self.root / "files" / digest / filename).is_file()

    def accept(self, source: WeightsSource, expected: str | None, found: Path, filename: str) -> tuple[Path, str]:
        """Move a fetched file to its place, if its digest is the expected one; the first digest of all is recorded.

        Raises:
            IntegrityError: the digest is another one; the file is removed.
        """
        digest = sha256_of(found)
        if expected is not None and digest != expected:
            found.unlink()
            raise IntegrityError(
                f"{source.describe()} has sha256 {digest}, expected {expected}: the file was changed where it comes "
                "from, or damaged on its way; it was not kept. If the change is meant, correct the digest in the card, "
                f"or forget the one seen first by deleting {self._seen(source)}"
            )
        with found.open("rb") as stream:
            os.fsync(stream.fileno())
        path = self.root / "files" / digest / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(found, path)
        for directory in (path.parent, path.parent.parent):
            sync_directory(directory)
        if expected is None:
            write_json(self._seen(source), {"source": source.to_json(), "sha256": digest, "first_seen_s": time.time()})
        return path, digest

    def seen(self, source: WeightsSource) -> dict[str, Any]:
        """What was recorded of a source when it was first accepted; empty for nothing."""
        return read_json(self._seen(source))

    def forget(self, source: WeightsSource, digest: str, path: Path | None, before: Mapping[str, Any]) -> None:
        """Undo ``accept``.

        Args:
            path: of the file; None where it was there before.
            before: what ``seen`` gave then.
        """
        if path is not None:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()
        if self.seen(source).get("sha256") != digest:
            return
        if before:
            write_json(self._seen(source), dict(before))
        else:
            self._seen(source).unlink(missing_ok=True)

    @contextmanager
    def lock(self, source: WeightsSource) -> Iterator[Path]:
        """Hold the source for this process; yields the directory of its unfinished download."""
        key = _key(source)
        with explained(self.root), locked(self.root, key):
            partial = self.root / "partial" / key
            partial.mkdir(parents=True, exist_ok=True)
            yield partial
            shutil.rmtree(partial, ignore_errors=True)

    def _seen(self, source: WeightsSource) -> Path:
        return self.root / "seen" / f"{_key(source)}.json"


@contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Hold what is called ``name`` in the cache ``root`` for this process; others wait, and find its files then."""
    from filelock import FileLock

    folder = root / "locks"
    lock = FileLock(folder / f"{name}.lock")
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def explained(place: Path, variable: str = "REPROZOO_HOME") -> AbstractContextManager[None]:
    """Turn what goes wrong in writing to ``place``, which ``variable`` moves, into a sentence.

    Raises:
        PartialError: the disk is full.
        UsageError: it cannot be written for another reason.
    """
    return writing(place, remedy=f"set {variable} to a directory that you may write to")


def require_room(place: Path, needed: int, variable: str = "REPROZOO_HOME") -> None:
    """Check that ``needed`` bytes fit on the disk of ``place``, which ``variable`` moves and need not exist yet.

    Raises:
        PartialError: they do not.
    """
    there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < needed + SPARE_BYTES:
        raise PartialError(
            f"the disk of {place} has {free:,} bytes free and {needed + SPARE_BYTES:,} are needed; make room, or set "
            f"{variable} to a directory on another disk, and run the same command again"
        )


def write_json(path: Path, value: Any) -> None:
    """Write a small file so that it is whole or not there at all."""
    with writing(path, remedy=REMEDY):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(value, indent=1, sort_keys=True).encode(), remedy=REMEDY)


def read_json(path: Path) -> dict[str, Any]:
    """What ``write_json`` wrote; empty where it is not there or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _key(source: WeightsSource) -> str:
    """What a source is remembered under: where it comes from, not what a card calls it or says about its digest."""
    place = {k: v for k, v in source.to_json().items() if k not in ("name", "format", "sha256", "bytes", "gated")}
    return canonical_digest(place)[:32]
