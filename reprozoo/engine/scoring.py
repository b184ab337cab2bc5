"""From values per noise to the records of a result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from reprozoo.metrics import (
    above,
    below,
    count_near_threshold,
    mcnemar,
    similarities,
    similarity_quantiles,
    threshold_curve,
    wilson_interval,
)
from reprozoo.metrics.thresholds import CURVE, QUANTILES
from reprozoo.results import Curve, Distribution, PairedTest, PairScores, Proportion, ShuffledScores

SIMILARITY_EDGES = tuple(round(-1 + i / 40, 3) for i in range(81))
ERROR_EDGES = tuple(float(2 * i) for i in range(65))  # of 255; more is counted in the last bin
BLOCK_ROWS = 256
MOST_TESTED_MODELS = 8  # 168 tests; with more models they are noise


def proportion(flags: Tensor, *, independent: int | None = None) -> Proportion:
    """The share of flags that are set, with its Wilson interval.

    Args:
        flags: bool, any shape.
        independent: how many of the flags are independent of each other; all by default.
    """
    successes, count = int(flags.sum()), flags.numel()
    total = independent or count
    low, high = wilson_interval(round(successes * total / count), total)
    return Proportion(successes / count, low, high, successes, count)


def distribution(values: Tensor, edges: Sequence[float]) -> Distribution:
    """Mean, standard deviation, quantiles and histogram of some values."""
    flat = values.double().flatten()
    inside = flat.clamp(edges[0], edges[-1]).numpy()
    histogram, _ = np.histogram(inside, bins=np.asarray(edges))
    quantiles = similarity_quantiles(flat)
    return Distribution(
        mean=float(flat.mean()),
        std=float(flat.std(correction=0)),
        quantiles={f"{level:g}": value for level, value in zip(QUANTILES, quantiles, strict=True)},
        edges=list(edges),
        histogram=histogram.tolist(),
    )


def curve(values: Tensor) -> Curve:
    """Share of similarities above each threshold from 0 to 1."""
    return Curve(list(CURVE), list(threshold_curve(values)))


def similarities_in_blocks(first: Tensor, second: Tensor, partners: Tensor | None = None) -> Tensor:
    """Similarity of row i of the first and row i, or partners[i], of the second, in memory that does not grow."""
    parts = []
    for start in range(0, len(first), BLOCK_ROWS):
        places = slice(start, start + BLOCK_ROWS)
        parts.append(similarities(first[places], second[places] if partners is None else second[partners[places]]))
    return torch.cat(parts)


def pair_scores(
    names: tuple[str, str],
    features: tuple[Tensor, Tensor],
    errors: Tensor,
    shuffled_errors: Tensor | None,
    *,
    threshold: float,
    mae_threshold: float,
    partners: Sequence[Tensor],
) -> PairScores:
    """All scores of two models.

    Args:
        names: their labels.
        features: (n, dim) each, row i of both of noise i.
        errors: (n,) mean absolute errors in 1/255.
        shuffled_errors: the same in the first round of ``partners``; None where there is no baseline.
        partners: rounds of ``metrics.partners``; empty for a single noise.
    """
    values = similarities_in_blocks(*features)
    shuffled = None
    if shuffled_errors is not None and partners:
        shuffled = _shuffled(features, shuffled_errors, threshold, mae_threshold, partners)
    return PairScores(
        model_a=names[0],
        model_b=names[1],
        rp=proportion(above(values, threshold)),
        mae=proportion(below(errors, mae_threshold)),
        similarity=distribution(values, SIMILARITY_EDGES),
        mean_absolute_error=distribution(errors, ERROR_EDGES),
        curve=curve(values),
        shuffled=shuffled,
        near_threshold=count_near_threshold(values, threshold),
        identical=int((errors == 0).sum()),
        similarities=values.numpy(),
        mean_absolute_errors=errors.float().numpy(),
    )


def paired_tests(pairs: Sequence[PairScores], threshold: float) -> list[PairedTest]:
    """McNemar's test for every two pairs that share a model; none where there are too many models to read them."""
    if len({name for pair in pairs for name in (pair.model_a, pair.model_b)}) > MOST_TESTED_MODELS:
        return []
    flags = {id(pair): above(torch.from_numpy(pair.similarities), threshold) for pair in pairs}
    tests = []
    for i, first in enumerate(pairs):
        for second in pairs[i + 1 :]:
            if {first.model_a, first.model_b} & {second.model_a, second.model_b}:
                found = mcnemar(flags[id(first)], flags[id(second)])
                names = [first.model_a, first.model_b], [second.model_a, second.model_b]
                tests.append(PairedTest(*names, found.only_first, found.only_second, found.p_value))
    return tests


def _shuffled(
    features: tuple[Tensor, Tensor], errors: Tensor, threshold: float, mae_threshold: float, partners: Sequence[Tensor]
) -> ShuffledScores:
    first = features[0]
    values = torch.stack([similarities_in_blocks(*features, others) for others in partners])
    return ShuffledScores(
        rp=proportion(above(values, threshold), independent=len(first)),
        mae=proportion(below(errors, mae_threshold)),
        similarity=distribution(values, SIMILARITY_EDGES),
        curve=curve(values),
        rounds=len(partners),
    )
