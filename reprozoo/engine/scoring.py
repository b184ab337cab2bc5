"""From values per noise to the records of a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reprozoo.engine.results import (
    ConditionScores,
    Curve,
    Distribution,
    PairedTest,
    PairScores,
    Proportion,
    ShuffledScores,
)
from reprozoo.maps.conditions import Conditions
from reprozoo.measures import (
    above,
    below,
    count_near_threshold,
    mcnemar,
    partners,
    similarities,
    similarity_quantiles,
    threshold_curve,
    wilson_interval,
)
from reprozoo.measures.thresholds import CURVE, QUANTILES

SIMILARITY_EDGES = tuple(round(-1 + i / 40, 3) for i in range(81))
ERROR_EDGES = tuple(float(2 * i) for i in range(65))  # of 255; more is counted in the last bin
BLOCK_ROWS = 256
MOST_TESTED_MODELS = 8  # 168 tests; with more models they are noise
MOST_CONDITIONS = 1000  # scored one by one


@dataclass(frozen=True)
class Matching:
    """Which noises share a condition, and which are mismatched with which for the shuffled baseline.

    Attributes:
        groups: (n,) equal numbers for noises of equal condition.
        name: of the condition of such a number.
        partners: rounds of ``metrics.partners``; empty for a single noise.
    """

    groups: Tensor
    name: Callable[[int], str]
    partners: Sequence[Tensor]


def matching(indices: Sequence[int], conditions: Conditions) -> Matching:
    """That of noises of these indices."""
    groups = torch.from_numpy(conditions.groups(indices))
    return Matching(groups, conditions.name, partners(groups) if len(indices) > 1 else [])


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


@dataclass(frozen=True)
class Features:
    """Features of a model's images.

    Attributes:
        own: (n, dim) unit vectors.
        mirrored: the same of the mirror images; None where they do not count.
    """

    own: Tensor
    mirrored: Tensor | None = None


def similarities_in_blocks(first: Features, second: Features, others: Tensor | None = None) -> Tensor:
    """Similarity of image i of the first and image i, or others[i], of the second: the larger one with its mirror image
    where that counts. In memory that does not grow.
    """
    parts = []
    for start in range(0, len(first.own), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        wanted = rows if others is None else others[rows]
        values = similarities(first.own[rows], second.own[wanted])
        if second.mirrored is not None:
            values = values.maximum(similarities(first.own[rows], second.mirrored[wanted]))
        parts.append(values)
    return torch.cat(parts)


def pair_scores(
    names: tuple[str, str],
    features: tuple[Features, Features],
    errors: Tensor,
    shuffled_errors: Tensor | None,
    *,
    threshold: float,
    mae_threshold: float,
    matching: Matching,
) -> PairScores:
    """All scores of two models.

    Args:
        names: their labels.
        features: row i of both of noise i.
        errors: (n,) mean absolute errors in 1/255.
        shuffled_errors: the same in the first round of mismatched noises; None where there is no baseline.
    """
    values = similarities_in_blocks(*features)
    shuffled = None
    if shuffled_errors is not None and matching.partners:
        shuffled = _shuffled(features, shuffled_errors, threshold, mae_threshold, matching.partners)
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
        by_condition=_by_condition(values, errors, matching, threshold, mae_threshold),
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


def _by_condition(
    values: Tensor, errors: Tensor, matching: Matching, threshold: float, mae_threshold: float
) -> list[ConditionScores]:
    found = torch.unique(matching.groups).tolist()
    if not 1 < len(found) <= MOST_CONDITIONS:
        return []
    own = [(group, matching.groups == group) for group in found]
    return [
        ConditionScores(
            name=matching.name(group),
            rp=proportion(above(values[of], threshold)),
            mae=proportion(below(errors[of], mae_threshold)),
            median_similarity=float(values[of].double().quantile(0.5)),
        )
        for group, of in own
    ]


def _shuffled(
    features: tuple[Features, Features],
    errors: Tensor,
    threshold: float,
    mae_threshold: float,
    rounds: Sequence[Tensor],
) -> ShuffledScores:
    values = torch.stack([similarities_in_blocks(*features, others) for others in rounds])
    return ShuffledScores(
        rp=proportion(above(values, threshold), independent=values.shape[1]),
        mae=proportion(below(errors, mae_threshold)),
        similarity=distribution(values, SIMILARITY_EDGES),
        curve=curve(values),
        rounds=len(rounds),
    )
