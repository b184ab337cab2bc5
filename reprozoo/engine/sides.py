"""Sides: images by noise index, with an identity, whatever they come from."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.engine.result import ImageLoader, SideRecord
from reprozoo.engine.store import SHARD_ROWS
from reprozoo.measures.problems import Reference
from reprozoo.zoo.datasets import ImageDataset, image_indices, read_images

CACHE_BYTES = 256 * 2**20


class ImageRows(Protocol):
    """Images by the index of their noise. ``store.Entry`` is one.

    Attributes:
        key: equal only for equal images.
    """

    key: str

    def rows(self, rows: Sequence[int]) -> NDArray[Any]:
        """(len(rows), channels, height, width) uint8."""
        ...


class ArrayRows:
    """Images in memory, by index.

    Args:
        images_u8: (n, channels, height, width).
        key: of exactly these images.
        indices: of each; its row where left out.
    """

    def __init__(self, images_u8: NDArray[np.uint8], key: str, indices: Sequence[int] | None = None) -> None:
        self.images_u8, self.key = images_u8, key
        self.place = None if indices is None else {index: row for row, index in enumerate(indices)}

    def rows(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        return self.images_u8[list(rows) if self.place is None else [self.place[index] for index in rows]]


class FunctionRows:
    """What a function of indices gives, under a key."""

    def __init__(self, rows: Callable[[Sequence[int]], NDArray[Any]], key: str) -> None:
        self.rows, self.key = rows, key


class BlockCache:
    """Images read once while they fit into memory: blocks of ``SHARD_ROWS`` positions, the oldest dropped first.

    Args:
        indices: of the noises; positions in it are what is asked for.
    """

    def __init__(self, indices: Sequence[int], budget_bytes: int = CACHE_BYTES) -> None:
        self._indices, self._left = indices, budget_bytes
        self._blocks: OrderedDict[tuple[str, int, int | None], NDArray[Any]] = OrderedDict()

    def rows(self, images: ImageRows, positions: Sequence[int], *, limit: int | None = None) -> NDArray[Any]:
        """The images at these positions, in this order.

        Args:
            limit: how many of the noises there are images of; all by default.
        """
        if isinstance(positions, range) and positions.start % SHARD_ROWS == 0 and len(positions) <= SHARD_ROWS:
            return self._block(images, positions.start // SHARD_ROWS, limit)[: len(positions)]
        blocks = {position // SHARD_ROWS for position in positions}
        held = {number: self._block(images, number, limit) for number in sorted(blocks)}
        return np.stack([held[position // SHARD_ROWS][position % SHARD_ROWS] for position in positions])

    def drop(self, images: ImageRows, positions: range) -> None:
        """Let go of the block of these positions; if it is asked for again, it is read again."""
        block = self._blocks.pop((images.key, positions.start // SHARD_ROWS, None), None)
        self._left += 0 if block is None else block.nbytes

    def _block(self, images: ImageRows, number: int, limit: int | None) -> NDArray[Any]:
        key = (images.key, number, limit)
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key]
        stop = min((number + 1) * SHARD_ROWS, len(self._indices) if limit is None else limit)
        block = images.rows(self._indices[number * SHARD_ROWS : stop])
        self._blocks[key] = block
        self._left -= block.nbytes
        while self._left < 0 and len(self._blocks) > 1:
            self._left += self._blocks.popitem(last=False)[1].nbytes
        return block


@dataclass(frozen=True)
class Side:
    """The images of one side of a run.

    Attributes:
        repeated: its images of the first ``repeats`` noises at another batch size, for the noise floor; None for none.
        length: how many images there are to search in; 0 for images by noise index.
        pictures: what a reader sees, where it is not the images themselves.
    """

    record: SideRecord
    images: ImageRows
    repeated: ImageRows | None = None
    repeats: int = 0
    length: int = 0
    pictures: ImageRows | None = None

    @property
    def label(self) -> str:
        return self.record.label

    def with_label(self, label: str) -> Side:
        """The same under another name."""
        return self if label == self.label else replace(self, record=replace(self.record, label=label))

    def with_digest(self, sha256: str) -> Side:
        """The side whose images have been read once, and have this digest."""
        return replace(self, record=replace(self.record, images_sha256=sha256))


def reference_side(reference: Reference, image_shape: Sequence[int]) -> Side:
    """What a problem gives to compare with."""
    record = SideRecord(
        label=reference.label,
        spec=reference.label,
        role="reference",
        facts={"card": {"title": reference.label}},
        image_shape=list(image_shape),
        kept=False,
    )
    pictures = FunctionRows(reference.pictures, reference.key)
    return Side(record, FunctionRows(reference.rows, reference.key), pictures=pictures)


def folder_side(images: ImageDataset, spec: str, label: str) -> tuple[Side, list[int]]:
    """The side of images made elsewhere, and the index of each."""
    indices = image_indices(images)
    listed = hashlib.sha256(str(indices).encode())
    listed.update(np.ascontiguousarray(images.images_u8).data)
    listed.update(str(images.images_u8.shape).encode())
    rows = ArrayRows(images.images_u8, f"made elsewhere: {listed.hexdigest()}", indices)
    record = SideRecord(
        label=label,
        spec=spec,
        role="model",
        facts={"spec": spec, "card": {"title": "images made elsewhere"}, "digests": {"images": images.digest}},
        image_shape=list(images.images_u8.shape[1:]),
        images_key=rows.key,
        reused=len(images),
    )
    return Side(record, rows), indices


def read_side_images(given: str | Path | NDArray[np.uint8]) -> ImageDataset:
    """The images of a folder, an archive, or an array.

    Raises:
        UsageError: nothing of that name, or an array that is not (n, channels, height, width) uint8.
    """
    if isinstance(given, str | Path):
        return read_images(Path(given))
    if given.dtype != np.uint8 or given.ndim != 4 or not given.size:
        raise UsageError(f"expected (n, channels, height, width) uint8 images, got {given.shape} {given.dtype}")
    return ImageDataset("an array", given)


def shared_indices(found: Mapping[str, Sequence[int]]) -> list[int]:
    """The indices of all folders, which must be the same.

    Raises:
        UsageError: one has an index that another lacks.
    """
    (first, wanted), *others = [(label, set(indices)) for label, indices in found.items()]
    for label, indices in others:
        for these, those, name, other in ((wanted, indices, first, label), (indices, wanted, label, first)):
            if only := sorted(these - those):
                raise UsageError(
                    f"{name} has {len(these)} images and {other} {len(those)}; index {only[0]} is only in {name}"
                    f"{f', and {len(only) - 1} more' if len(only) > 1 else ''}: both need an image of every index"
                )
    return sorted(wanted)


def check_sizes(shapes: Mapping[str, Sequence[int]]) -> None:
    """Refuse images of different sizes.

    Args:
        shapes: of an image, by label.

    Raises:
        UsageError: with the first two that differ.
    """
    sizes: dict[str, str] = {}
    for label, shape in shapes.items():
        sizes.setdefault("×".join(map(str, shape)), label)
    if len(sizes) > 1:
        (first, a), (second, b) = list(sizes.items())[:2]
        raise UsageError(f"images of {a} are {first}, of {b} {second}; nothing is resized: make them one size")


def image_loader(sides: Sequence[Side]) -> ImageLoader:
    """Images by label and index, for a reader."""
    by_label = {side.label: side.pictures or side.images for side in sides}

    def load(label: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        if label not in by_label:
            raise UsageError(f"no side {label!r} in this result; it has: {', '.join(by_label)}")
        return by_label[label].rows(list(indices))

    return load
