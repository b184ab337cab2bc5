"""Rows of a store: noise indices, kept in shards."""

from __future__ import annotations

from collections.abc import Iterable

REMEDY = "choose another place with REPROZOO_HOME"  # where the store cannot be written
SHARD_ROWS = 64  # shards begin at multiples of this, so that runs of any length share them


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
