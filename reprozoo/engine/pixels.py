"""One pass over the images of all models: what they are, and how far each pair is apart, pixel by pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reprozoo.engine.progress import Meter, Progress
from reprozoo.engine.sampling import ImageRows
from reprozoo.engine.store import SHARD_ROWS
from reprozoo.measures import mean_absolute_errors

Pair = tuple[int, int]


@dataclass(frozen=True)
class PixelPass:
    """What the pass found.

    Attributes:
        digests: per model, sha256 of its images in the order of the noises.
        errors: per pair, (n,) float64 mean absolute errors in 1/255.
        shuffled: the same on mismatched noises, of the pairs that were asked for; empty for a single noise.
    """

    digests: list[str]
    errors: dict[Pair, Tensor]
    shuffled: dict[Pair, Tensor]


def pass_over_pixels(
    images: Sequence[ImageRows],
    indices: Sequence[int],
    pairs: Sequence[Pair],
    *,
    shuffled: Sequence[Pair] = (),
    partners: Tensor | None = None,
    progress: Progress | None = None,
) -> PixelPass:
    """Read every image block by block, in memory that does not grow with the number of noises.

    Args:
        pairs: positions in ``images``.
        shuffled: pairs whose mismatched images are compared too.
        partners: (n,) positions: there, image i of the first is paired with image partners[i] of the second; None for a
            single noise.
    """
    count = len(indices)
    digests = [hashlib.sha256() for _ in images]
    errors = {pair: torch.empty(count, dtype=torch.float64) for pair in pairs}
    mismatched_errors = {pair: torch.empty_like(errors[pair]) for pair in shuffled if partners is not None}
    seconds = sorted({b for _, b in shuffled})
    meter = Meter(progress, "scoring", count)
    for start in range(0, count, SHARD_ROWS):
        places = range(start, min(start + SHARD_ROWS, count))
        block = [_read(rows, [indices[i] for i in places]) for rows in images]
        for digest, pixels in zip(digests, block, strict=True):
            digest.update(np.ascontiguousarray(pixels.numpy()).data)
        for a, b in pairs:
            errors[a, b][places.start : places.stop] = mean_absolute_errors(block[a], block[b])
        if partners is not None:
            others = [indices[i] for i in partners[places.start : places.stop].tolist()]
            mismatched = {b: _read(images[b], others) for b in seconds}
            for a, b in shuffled:
                mismatched_errors[a, b][places.start : places.stop] = mean_absolute_errors(block[a], mismatched[b])
        meter.add(len(places))
    return PixelPass([digest.hexdigest() for digest in digests], errors, mismatched_errors)


def _read(images: ImageRows, indices: Sequence[int]) -> Tensor:
    rows: NDArray[np.uint8] = images.rows(indices)
    return torch.from_numpy(rows)
