"""Features of images, computed once and kept in the store: while the images pass by, or from the store later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reprozoo.engine.progress import Meter, Progress, Stage
from reprozoo.engine.sides import ImageRows
from reprozoo.engine.store import Entry, Lease, Store
from reprozoo.measures.descriptors import Descriptor

FEATURES_SCHEMA = 1
BLOCK_ROWS = 256  # images described before their features are written

Wanted = tuple[str, ImageRows, Sequence[int], Descriptor]


def features_entry(store: Store, images: ImageRows, descriptor: Descriptor) -> Entry:
    """Where the features of some images are kept: beside the images, or in ``store`` where these are in none."""
    home = Store(images.folder.parents[2]) if isinstance(images, Entry) else store
    document: dict[str, Any] = {
        "schema": FEATURES_SCHEMA,
        "images": images.key,
        "descriptor": descriptor.identity(),
    }
    return home.entry("features", document)


def read_features(store: Store, images: ImageRows, descriptor: Descriptor, rows: Sequence[int]) -> NDArray[np.float32]:
    """(len(rows), dim) unit vectors that the store has.

    Raises:
        IntegrityError: the stored features are damaged.
    """
    entry = features_entry(store, images, descriptor)
    entry.touch()
    features = np.empty((len(rows), descriptor.dim), np.float32)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        features[start : start + len(block)] = entry.rows(block)
    return features


@dataclass
class _Task:
    """The features of one set of images by one descriptor that are not in the store yet.

    Attributes:
        runs: [start, stop) indices to describe while they pass by, in order.
        left: those that another process was describing, or that do not pass by.
    """

    label: str
    images: ImageRows
    descriptor: Descriptor
    entry: Entry
    runs: list[tuple[int, int]]
    left: list[tuple[int, int]] = field(default_factory=list)
    lease: Lease | None = None
    parts: list[NDArray[np.float32]] = field(default_factory=list)

    def take(self, indices: Sequence[int], block: NDArray[Any], meter: Meter) -> None:
        """Describe those images of a block that are wanted."""
        while self.runs:
            start, stop = self.runs[0]
            inside = [place for place, index in enumerate(indices) if start <= index < stop]
            if not inside:
                return
            if indices[inside[0]] == start and not self._begin(start, stop):
                self.left.append(self.runs.pop(0))
                continue
            self.parts.append(described(self.descriptor, block[inside]))
            meter.label = self.label
            meter.add(len(inside))
            if indices[inside[-1]] < stop - 1:
                return
            self.entry.put(start, np.concatenate(self.parts))
            self.runs.pop(0)
            self.end()

    def _begin(self, start: int, stop: int) -> bool:
        """Whether the run is this process's; another one's is never waited for while images pass by."""
        self.lease = self.entry.lease(start, stop)
        if self.lease is None or self.entry.missing(range(start, stop), block=stop) != [(start, stop)]:
            self.end()
            return False
        return True

    def finish(self, meter: Meter) -> None:
        """Describe what is left, waiting for other processes."""
        meter.label = self.label
        for run in [*self.left, *self.runs]:
            with self.entry.wait_for_lease(*run):
                for start, stop in self.entry.missing(range(*run), block=BLOCK_ROWS):
                    self.entry.put(start, described(self.descriptor, self.images.rows(range(start, stop))))
            meter.add(run[1] - run[0])
        self.runs, self.left = [], []

    def end(self) -> None:
        if self.lease is not None:
            self.lease.release()
        self.lease, self.parts = None, []


class FeatureWriter:
    """Describes what the store lacks; a context manager that finishes when its block ends well.

    Args:
        wanted: (label, images, indices, descriptor) of everything that is going to be read.
        stage: as progress calls it.
    """

    def __init__(
        self,
        wanted: Iterable[Wanted],
        store: Store,
        progress: Progress | None = None,
        *,
        stage: Stage = "describing",
    ) -> None:
        tasks: dict[str, _Task] = {}
        for label, images, rows, descriptor in wanted:
            entry = features_entry(store, images, descriptor)
            if entry.key not in tasks:  # the same images may be wanted twice
                missing = entry.missing(rows, block=BLOCK_ROWS)
                tasks[entry.key] = _Task(label, images, descriptor, entry, missing)
        self._tasks = [task for task in tasks.values() if task.runs]
        self._meter = Meter(progress, stage, sum(b - a for task in self._tasks for a, b in task.runs))

    def add(self, images: ImageRows, indices: Sequence[int], block: NDArray[Any]) -> None:
        """A block of images that passes by, and the index of each."""
        for task in self._tasks:
            if task.images is images:
                task.take(indices, block, self._meter)

    def finish(self) -> None:
        """Describe what did not pass by."""
        for task in self._tasks:
            task.finish(self._meter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            for task in self._tasks:
                task.end()


def described(descriptor: Descriptor, images_u8: NDArray[Any]) -> NDArray[np.float32]:
    """(n, dim) unit vectors."""
    import torch

    features: NDArray[np.float32] = descriptor(torch.from_numpy(np.ascontiguousarray(images_u8))).numpy()
    return features
