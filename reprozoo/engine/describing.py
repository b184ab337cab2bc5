"""Features of images, computed once and kept in the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from reprozoo.engine.progress import Meter, Progress
from reprozoo.engine.sampling import ImageRows
from reprozoo.engine.store import Entry, Store
from reprozoo.measures.descriptors import Descriptor

FEATURES_SCHEMA = 1
BLOCK_ROWS = 256  # images described before their features are written


def features_entry(store: Store, images: ImageRows, descriptor: Descriptor) -> Entry:
    """Where the features of some images are kept."""
    document: dict[str, Any] = {
        "schema": FEATURES_SCHEMA,
        "images": images.key,
        "descriptor": descriptor.identity(),
    }
    return store.entry("features", document)


def describe_all(
    wanted: Iterable[tuple[str, ImageRows, Sequence[int]]],
    descriptor: Descriptor,
    store: Store,
    progress: Progress | None = None,
) -> list[Tensor]:
    """Features of several sets of images; those that are in the store are read from it.

    Args:
        wanted: (label, images, indices).

    Returns:
        For each, (len(indices), dim) float32 unit vectors in the order of the indices.

    Raises:
        IntegrityError: stored images or features are damaged.
        PartialError: the disk is full.
    """
    wanted = list(wanted)
    entries = [features_entry(store, images, descriptor) for _, images, _ in wanted]
    left = [entry.missing(indices, block=BLOCK_ROWS) for entry, (_, _, indices) in zip(entries, wanted, strict=True)]
    seen: set[tuple[str, int]] = set()  # the same images may be wanted twice
    for entry, runs in zip(entries, left, strict=True):
        runs[:] = [run for run in runs if (entry.key, run[0]) not in seen]
        seen.update((entry.key, start) for start, _ in runs)
    meter = Meter(progress, "describing", sum(stop - start for runs in left for start, stop in runs))
    for entry, (label, images, _), runs in zip(entries, wanted, left, strict=True):
        meter.label = label
        for run in runs:
            with entry.wait_for_lease(*run):
                for start, stop in entry.missing(range(*run), block=BLOCK_ROWS):  # not what another process made
                    entry.put(start, descriptor(torch.from_numpy(images.rows(range(start, stop)))).numpy())
            meter.add(run[1] - run[0])
    return [_gathered(entry, indices, descriptor.dim) for entry, (_, _, indices) in zip(entries, wanted, strict=True)]


def _gathered(entry: Entry, indices: Sequence[int], dim: int) -> Tensor:
    entry.touch()
    features = torch.empty(len(indices), dim)
    for start in range(0, len(indices), BLOCK_ROWS):
        block = indices[start : start + BLOCK_ROWS]
        features[start : start + len(block)] = torch.from_numpy(entry.rows(block))
    return features
