"""Files that are there wholly or not at all (written under another name, flushed to the disk, renamed), and folders."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reprozoo.base.errors import PartialError, ReprozooError, UsageError

FULL_DISK = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
TEMPORARY_SUFFIX = ".tmp"
ELSEWHERE = "choose another place with -o"


@contextmanager
def whole_file(path: Path, *, remedy: str) -> Iterator[Path]:
    """A temporary path to write to; when the block ends well it becomes ``path``, durably; otherwise nothing is left.

    Args:
        path: its folder must be there.
        remedy: what to do where the place cannot be written, e.g. "choose another place with -o".

    Raises:
        PartialError: the disk is full.
        UsageError: the place cannot be written for another reason.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise write_error(path, error, remedy=remedy) from error


def write_whole(path: Path, content: bytes, *, remedy: str) -> None:
    """``content`` as the whole file ``path``; see ``whole_file``."""
    with whole_file(path, remedy=remedy) as temporary:
        temporary.write_bytes(content)


def write_error(path: Path, error: OSError, *, remedy: str) -> ReprozooError:
    """What went wrong in writing ``path``, as a sentence."""
    if error.errno in FULL_DISK:
        return PartialError(
            f"cannot write {path}: the disk is full; everything that was finished is kept: make room and run the same "
            "command again, and it continues"
        )
    return UsageError(f"cannot write {path}: {error.strerror or error}; {remedy}")


def sync_directory(path: Path) -> None:
    """Make a rename in ``path`` survive a power cut, where directories can be flushed."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_folder(folder: Path) -> None:
    """See that a folder can be made and written, before any work is done; nothing that was not there is left there.

    Raises:
        UsageError: it cannot.
        PartialError: the disk is full.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        prepare_folder(folder)
    finally:
        with suppress(OSError):  # not made, or in use by another run by now
            for path in made:
                path.rmdir()


def prepare_folder(folder: Path) -> None:
    """Make a folder that can be written.

    Raises:
        UsageError: it cannot.
        PartialError: the disk is full.
    """
    probe = folder / f".reprozoo-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise write_error(folder, error, remedy=ELSEWHERE) from error


def bytes_on_disk(path: Path) -> int:
    """Size of a file, or of all files below a folder."""
    return sum(file.stat().st_size for file in files_below(path))


def files_below(path: Path, above: frozenset[Path] = frozenset()) -> list[Path]:
    """A file itself, or all files below a folder, sorted; folders that links lead to are entered too.

    Args:
        above: resolved folders that ``path`` lies below; a link back to one of them is not followed.
    """
    if path.is_file():
        return [path]
    here = path.resolve()
    if not path.is_dir() or here in above:
        return []
    return sorted(file for child in path.iterdir() for file in files_below(child, above | {here}))
