"""Noise drawn from nothing but a seed and an index.

Noise ``i`` of seed ``s`` is the first values of one stream of Philox4x64-10 (Salmon et al., 2011; NumPy's bit
generator, whose raw stream NumPy fixes), keyed by the two 64-bit words (s, i); ``normals`` says how words become
normals. So it is the same for any batch size, shard, device, number of workers, platform and library version.

To reproduce it in another language: the key is (s, i), the counter is four 64-bit words, least significant first.
NumPy increments it before each block, so the blocks are counters (1, 0, 0, 0), (2, 0, 0, 0), ...; each gives four
words, in order. A noise of ``count`` values takes the first ``count`` words (one more if odd: the last normal is
dropped) and fills its shape in C order, so two shapes of one size hold the same values.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import index as as_integer
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.maps.noise.normals import standard_normals

WORD = 2**64
BLOCK_VALUES = 1 << 20  # drawn at a time where noise is streamed: 4 MB
ALGORITHM = "philox4x64-10/box-muller/1"  # a change of one bit of any noise is a new number here


class NoiseSource(Protocol):
    """Where noise comes from: (index, shape) -> the same float32 unit noise at every call."""

    @property
    def seed(self) -> int:
        """What anything else that is drawn for a noise, a class say, is drawn from, beside the noise's index."""
        ...

    def noise(self, indices: Sequence[int], shape: Sequence[int]) -> Tensor:
        """(len(indices), *shape) float32 on the CPU, the rows in the order of ``indices``."""
        ...

    def spec(self) -> dict[str, Any]:
        """JSON of everything that decides the noise; two sources of one spec give the same noise."""
        ...

    def digest(self, indices: Sequence[int], shape: Sequence[int]) -> str:
        """Hex sha256 of the bytes of ``noise(indices, shape)``: little-endian float32, C order."""
        ...


@dataclass(frozen=True)
class NoiseBank:
    """The noises of one seed; nothing is stored, every noise is computed when it is asked for.

    Args:
        seed: from 0 to 2**64 - 1. Noises of different seeds are unrelated.

    Raises:
        UsageError: the seed is negative or too large.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", as_integer(self.seed))
        if not 0 <= self.seed < WORD:
            raise UsageError(f"the seed is an integer from 0 to 2**64 - 1, got {self.seed}")

    def noise(self, indices: Sequence[int], shape: Sequence[int]) -> Tensor:
        """Draw the noises of these indices.

        Args:
            indices: from 0 to 2**64 - 1, in any order; a range is the usual one.
            shape: of one noise, e.g. (3, 32, 32).

        Returns:
            (len(indices), *shape) float32, unit variance, on the CPU.

        Raises:
            UsageError: a negative index, or a shape that is empty or has a dimension below 1.
        """
        indices, shape = checked_indices(indices), checked_shape(shape)
        count = math.prod(shape)
        drawn = count + count % 2
        rows = max(1, BLOCK_VALUES // drawn)
        noise = np.empty((len(indices), count), np.float32)
        for start in range(0, len(indices), rows):
            words = [self._words(i, drawn) for i in indices[start : start + rows]]
            normals = standard_normals(np.concatenate(words))
            noise[start : start + rows] = normals.reshape(len(words), drawn)[:, :count]
        return torch.from_numpy(noise).reshape(len(indices), *shape)

    def spec(self) -> dict[str, Any]:
        """Kind, algorithm and seed."""
        return {"kind": "bank", "algorithm": ALGORITHM, "seed": self.seed}

    def digest(self, indices: Sequence[int], shape: Sequence[int]) -> str:
        """Hex sha256 of the noise, drawn block by block."""
        return digest_of(self, indices, shape)

    def _words(self, index: int, count: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
        key = np.array([self.seed, index], np.uint64)
        words: np.ndarray[Any, np.dtype[np.uint64]] = np.random.Philox(key=key).random_raw(count)
        return words


def blocks(source: NoiseSource, indices: Sequence[int], shape: Sequence[int]) -> Iterator[np.ndarray[Any, Any]]:
    """The noise of ``indices`` in pieces of a few megabytes: little-endian float32, C order."""
    rows = max(1, BLOCK_VALUES // math.prod(shape))
    for start in range(0, len(indices), rows):
        yield source.noise(indices[start : start + rows], shape).numpy().astype("<f4", copy=False)


def digest_of(source: NoiseSource, indices: Sequence[int], shape: Sequence[int]) -> str:
    """Hex sha256 of the noise of any source, in bounded memory."""
    indices, shape = checked_indices(indices), checked_shape(shape)
    sha256 = hashlib.sha256()
    for block in blocks(source, indices, shape):
        sha256.update(block.data)
    return sha256.hexdigest()


def checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape as a tuple of integers.

    Raises:
        UsageError: it has no dimension, or one below 1.
    """
    sizes = tuple(as_integer(size) for size in shape)
    if not sizes or min(sizes) < 1:
        raise UsageError(f"the shape of a noise is one or more sizes of at least 1, e.g. (3, 32, 32); got {sizes}")
    return sizes


def checked_indices(indices: Sequence[int]) -> Sequence[int]:
    """The indices as a range or list of integers.

    Raises:
        UsageError: one is negative, or does not fit in 64 bits.
    """
    checked = indices if isinstance(indices, range) else [as_integer(i) for i in indices]
    ends = (checked[:1], checked[-1:]) if isinstance(checked, range) else (checked,)
    for i in (i for end in ends for i in end):
        if not 0 <= i < WORD:
            raise UsageError(f"noise indices go from 0 to 2**64 - 1, got {i}")
    return checked
