"""Files that are there wholly or not at all (written under another name, flushed to the disk, renamed), and folders."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reprozoo.base.errors import PartialError, ReprozooError, UsageError

FULL_DISK = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
FULL_WORDS = re.compile(r"no space left on device|disk quota exceeded|\bos error (28|122)\b|\bE(NOSPC|DQUOT)\b", re.I)
PROBE_BYTES = 1 << 16
TEMPORARY_SUFFIX = ".tmp"
ELSEWHERE = "choose another place with -o"


@contextmanager
def whole_file(path: Path, *, remedy: str) -> Iterator[Path]:
    """A temporary path to write to; when the block ends well it becomes ``path``, durably; otherwise nothing is left.

    Args:
        path: its folder must be there.
        remedy: what to do where the place cannot be written, e.g. "choose another place with -o".

    Raises:
        PartialError: the disk is full, whatever the writer calls it.
        UsageError: the place cannot be written for another reason.
    """
    with writing(path, remedy=remedy):
        path = path.resolve() if path.is_symlink() else path  # what a link leads to is replaced, not the link
        if path.exists() and not path.is_file():
            raise UsageError(f"cannot write {path}: it is not a regular file; {remedy}")
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
        try:
            with _reasons_asked(temporary):
                yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)


def write_whole(path: Path, content: bytes, *, remedy: str) -> None:
    """``content`` as the whole file ``path``; see ``whole_file``."""
    with whole_file(path, remedy=remedy) as temporary:
        temporary.write_bytes(content)


@contextmanager
def writing(path: Path, *, remedy: str) -> Iterator[None]:
    """Turn what goes wrong in writing to ``path`` into a sentence.

    Raises:
        PartialError: the disk is full.
        UsageError: the place cannot be written for another reason.
    """
    try:
        yield
    except ReprozooError:
        raise
    except Exception as error:
        if isinstance(error, OSError) or is_full_disk(error):
            raise write_error(path, error, remedy=remedy) from error
        raise


def write_error(path: Path, error: Exception, *, remedy: str) -> ReprozooError:
    """What went wrong in writing ``path``, as a sentence."""
    if is_full_disk(error):
        return PartialError(
            f"cannot write {path}: the disk is full; everything that was finished is kept. Make room, or {remedy}, and "
            "run the same command again: it continues"
        )
    return UsageError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}; {remedy}")


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that the disk is full or a quota used up.

    The system's own errors have a number; those of safetensors, torch and the Hub's client only words.
    """
    while error is not None:
        if getattr(error, "errno", None) in FULL_DISK or says_full_disk(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def says_full_disk(text: str) -> bool:
    """Whether a program's output says so."""
    return FULL_WORDS.search(text) is not None


@contextmanager
def _reasons_asked(temporary: Path) -> Iterator[None]:
    """Where a writer fails without a reason, as torch and NumPy do on a full disk, ask the system for it."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) is None and temporary.exists():
            with temporary.open("ab") as file:
                file.write(bytes(PROBE_BYTES))
        raise


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
    with writing(folder, remedy=ELSEWHERE):
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
    with writing(folder, remedy=ELSEWHERE):
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()


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
