"""Files that are there wholly or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from reprozoo.errors import PartialError, ReprozooError, UsageError

SHARD_ROWS = 64  # shards begin at multiples of this, so that runs of any length share them
TEMPORARY_SUFFIX = ".tmp"
FULL_DISK = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def write_whole(path: Path, content: bytes) -> None:
    """Write under another name, flush to the disk, rename.

    Raises:
        PartialError: the disk is full; nothing is left behind.
        UsageError: the place cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _flush_directory(path.parent)
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> ReprozooError:
    """What went wrong in writing ``path``, as a sentence."""
    if error.errno in FULL_DISK:
        return PartialError(
            f"the disk that holds {path.parent} is full; every finished part is kept: "
            "make room and run the same command again, and it continues"
        )
    return UsageError(f"cannot write {path}: {error.strerror or error}; choose another place with REPROZOO_HOME")


def runs_of(rows: Iterable[int], *, block: int | None = None) -> list[tuple[int, int]]:
    """Rows as sorted [start, stop) runs of consecutive numbers, cut at multiples of ``block``.

    >>> runs_of([0, 1, 2, 3, 9], block=2)
    [(0, 2), (2, 4), (9, 10)]
    """
    runs: list[tuple[int, int]] = []
    for row in sorted(set(rows)):
        if runs and runs[-1][1] == row and (block is None or row % block):
            runs[-1] = (runs[-1][0], row + 1)
        else:
            runs.append((row, row + 1))
    return runs


def _flush_directory(directory: Path) -> None:
    """Make a rename survive a power cut, where directories can be flushed."""
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
