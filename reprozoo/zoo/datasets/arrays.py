"""The arrays of a data set, checked once where they are made."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError

CHANNELS = (1, 3)


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images of one size, as pixels.

    Attributes:
        name: how it is called in messages.
        images_u8: (n, channels, height, width) uint8.
        labels: (n,) int64 class labels, where there are any.
        names: of the files, relative and with forward slashes, where there are any.
        indices: (n,) int64 numbers of the images, where their file says them; e.g. of the noise each was made from.
    """

    name: str
    images_u8: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None
    names: tuple[str, ...] | None = None
    indices: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images_u8)

    @cached_property
    def digest(self) -> str:
        """sha256 of the pixels as (n, height, width, channels) in C order: equal pixels in equal order are equal."""
        return array_sha256(self.images_u8.transpose(0, 2, 3, 1))


def image_indices(images: ImageDataset) -> list[int]:
    """The index of each image: as its file says, or the last number in its own file's name, or its row.

    The one rule for images made elsewhere: they are never paired by the order of files.

    Raises:
        UsageError: a file without a number in its name, or two images of one index.
    """
    if images.indices is not None:
        indices = [int(index) for index in images.indices]
    elif images.names is not None:
        numbers = [re.findall(r"\d+", PurePosixPath(name).stem) for name in images.names]
        unnumbered = [name for name, found in zip(images.names, numbers, strict=True) if not found]
        if unnumbered:
            raise UsageError(
                f"{images.name}: {unnumbered[0]} has no number in its name; name each image after the index of its "
                "noise, e.g. 000123.png: images are never paired by the order of files"
            )
        indices = [int(found[-1]) for found in numbers]
    else:
        indices = list(range(len(images)))
    seen: set[int] = set()
    for index in indices:
        if not 0 <= index < 2**63:
            raise UsageError(f"{images.name}: expected indices of noises from 0 to {2**63 - 1}, got {index}")
        if index in seen:
            raise UsageError(f"{images.name} has two images of index {index}; keep one of them")
        seen.add(index)
    return indices


def dataset_of(name: str, images: Any, *, labels: Any = None, indices: Any = None) -> ImageDataset:
    """A data set of arrays that came from a file.

    Args:
        name: the file, for messages.
        images: uint8, (n, height, width, channels) or (n, channels, height, width), with 1 or 3 channels.
        labels, indices: (n,) whole numbers, or None.

    Raises:
        UsageError: another type or shape.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise UsageError(f"{name}: expected images as uint8 pixels from 0 to 255, got {images.dtype}")
    if images.ndim != 4 or not images.size:
        raise UsageError(f"{name}: expected images of shape (n, height, width, channels), got {images.shape}")
    return ImageDataset(
        name, _channels_first(name, images), _whole_numbers(name, "labels", labels, len(images)),
        indices=_whole_numbers(name, "indices", indices, len(images)),
    )  # fmt: skip


def array_sha256(array: NDArray[Any]) -> str:
    """sha256 of the bytes of an array in C order."""
    digest = hashlib.sha256()
    for part in np.array_split(array, max(1, array.nbytes >> 24)):  # so that a copy in C order is never the whole
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _channels_first(name: str, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    first, last = images.shape[1] in CHANNELS, images.shape[3] in CHANNELS
    if first == last:
        raise UsageError(
            f"{name}: cannot tell the channels of images of shape {images.shape}; expected 1 or 3 of them, in the last "
            "place or right after the number of images"
        )
    return np.ascontiguousarray(images if first else images.transpose(0, 3, 1, 2))


def _whole_numbers(name: str, what: str, values: Any, count: int) -> NDArray[np.int64] | None:
    if values is None:
        return None
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or array.shape != (count,):
        raise UsageError(f"{name}: expected {count} whole numbers as {what}, got {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)
