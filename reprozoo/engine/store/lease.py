"""One writer a shard: a lock on a lease file, which the operating system takes from a process that dies.

A lease only saves work: two writers would make the same rows twice. That can happen where two machines share a file
system that does not share its locks, and where a lease that nobody renewed was pruned. filelock, from 3.29.7, leaves
the removal of the file to its user and takes no lock on one that was removed.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from filelock import BaseFileLock, FileLock, Timeout

from reprozoo.base.files import writing
from reprozoo.engine.store.rows import REMEDY

STALE_AFTER_S = 3600.0  # without a sign of life; within this a holder finishes at least one batch
LEASE_SUFFIX = ".lease"
WAIT_S = 0.1


class Lease:
    """The right to write one shard, until ``release`` or as long as the object lives; a context manager.

    Get one with ``Lease.take``; call ``renew`` at least every ``STALE_AFTER_S``, or ``Store.prune`` takes its file for
    one that a dead process left.
    """

    def __init__(self, path: Path, lock: BaseFileLock) -> None:
        self._path, self._lock = path, lock

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """The lease at ``path``, or None while somebody else holds it.

        Raises:
            PartialError, UsageError: the place cannot be written.
        """
        lock = FileLock(path, thread_local=False)
        with writing(path, remedy=REMEDY):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return None
        lease = cls(path, lock)
        lease.renew()
        return lease

    @classmethod
    def wait(cls, path: Path) -> Self:
        """The lease at ``path``, as soon as nobody else holds it.

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
        """Give the shard free, and leave no file."""
        if self._lock.is_locked:
            with suppress(OSError):  # Windows removes no file that is open; its lock does so by itself
                self._path.unlink()  # first: once it is free, it may be another's
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
