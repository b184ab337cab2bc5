"""The noise floor: a model against itself at another batch size, where nothing but rounding differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reprozoo.engine.describing import describe_all
from reprozoo.engine.progress import Progress
from reprozoo.engine.results import NoiseFloor
from reprozoo.engine.sampling import ImageRows, Subject
from reprozoo.engine.scoring import ERROR_EDGES, SIMILARITY_EDGES, distribution, proportion
from reprozoo.engine.store import SHARD_ROWS, Store
from reprozoo.measures import above, below, mean_absolute_errors, similarities
from reprozoo.measures.descriptors import Descriptor


@dataclass(frozen=True)
class _Difference:
    """Two runs of one model, pixel by pixel."""

    errors: Tensor
    largest: int
    changed: list[int]  # positions of the noises whose images are not bit-identical


def noise_floor(
    subject: Subject,
    features: Tensor,
    descriptor: Descriptor,
    store: Store,
    *,
    threshold: float,
    mae_threshold: float,
    progress: Progress | None = None,
) -> NoiseFloor | None:
    """Compare a model's images with their repetition.

    Args:
        features: of the subject's images; its first rows belong to the repeated noises.

    Returns:
        None where nothing was repeated.
    """
    if subject.repeated is None:
        return None
    indices = subject.repeated_indices
    difference = _difference(subject.images, subject.repeated, indices)
    first = features[: len(indices)]
    second = first.clone()
    if difference.changed:
        wanted = [(subject.label, subject.repeated, [indices[i] for i in difference.changed])]
        second[difference.changed] = describe_all(wanted, descriptor, store, progress)[0]
    values = similarities(first, second)
    return NoiseFloor(
        count=len(indices),
        batch_size=subject.run.batch_size,
        other_batch_size=subject.other_batch_size,
        rp=proportion(above(values, threshold)),
        mae=proportion(below(difference.errors, mae_threshold)),
        similarity=distribution(values, SIMILARITY_EDGES),
        mean_absolute_error=distribution(difference.errors, ERROR_EDGES),
        max_difference=difference.largest,
        identical=len(indices) - len(difference.changed),
    )


def _difference(first: ImageRows, second: ImageRows, indices: Sequence[int]) -> _Difference:
    errors: list[Tensor] = []
    largest = 0
    for start in range(0, len(indices), SHARD_ROWS):
        block = indices[start : start + SHARD_ROWS]
        a, b = torch.from_numpy(first.rows(block)), torch.from_numpy(second.rows(block))
        errors.append(mean_absolute_errors(a, b))
        largest = max(largest, int((a.to(torch.int16) - b).abs().max()))
    every = torch.cat(errors)
    return _Difference(every, largest, torch.nonzero(every).flatten().tolist())
