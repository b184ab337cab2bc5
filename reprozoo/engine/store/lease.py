"""One writer a shard: a lease file that only one process can create, and that outlives no dead one for long.

A lease only saves work: whoever takes one over from a process that still lives makes the same rows a second time.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from reprozoo.base.files import write_error
from reprozoo.engine.store.rows import REMEDY

STALE_AFTER_S = 3600.0  # without a sign of life; within this a holder finishes at least one batch
LEASE_SUFFIX = ".lease"
WAIT_S = 0.1


class Lease:
    """The right to write one shard, until ``release``; a context manager.

    Get one with ``Lease.take``; call ``renew`` at least every ``STALE_AFTER_S``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """The lease at ``path``, or None while another living process holds it.

        Raises:
            PartialError, UsageError: the place cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if _create(path) or (_is_stale(path) and _remove_stale(path) and _create(path)):
                return cls(path)
        except OSError as error:
            raise write_error(path, error, remedy=REMEDY) from error
        return None

    @classmethod
    def wait(cls, path: Path) -> Self:
        """The lease at ``path``, as soon as no other process holds it.

        Raises:
            PartialError, UsageError: the place cannot be written.
        """
        while (lease := cls.take(path)) is None:
            time.sleep(WAIT_S)
        return lease

    def renew(self) -> None:
        """Show that the holder lives."""
        with suppress(FileNotFoundError):
            os.utime(self._path)

    def release(self) -> None:
        """Give the shard free."""
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _create(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    try:
        os.write(handle, json.dumps(_this_process()).encode())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    return True


def _this_process() -> dict[str, object]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _process_start(os.getpid())}


def _is_stale(path: Path) -> bool:
    """Whether the holder is dead, or has not renewed the lease for too long."""
    try:
        age_s = time.time() - path.stat().st_mtime
        holder = json.loads(path.read_text())
        host, pid, started = holder["host"], int(holder["pid"]), holder["started"]
    except FileNotFoundError:
        return True  # released meanwhile
    except (ValueError, KeyError, TypeError):
        return age_s > 1  # half written: its writer died, or is just writing it
    if host == socket.gethostname():
        return not _is_alive(pid) or _process_start(pid) != started
    return age_s > STALE_AFTER_S


def _remove_stale(path: Path) -> bool:
    """Remove the lease at ``path`` unless it was taken over in between."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return True
    try:
        if not _is_stale(aside):  # another process was quicker: this is its new lease
            with suppress(FileExistsError):
                os.link(aside, path)
            return False
        return True
    finally:
        aside.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process_start(pid: int) -> str | None:
    """When the process started, in the kernel's own count, so that a reused number is another process."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return None
