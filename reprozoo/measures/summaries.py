"""From values to scores: shares, means and quantiles with their intervals, distributions, curves.

Shares have Wilson intervals, medians and other quantiles the exact interval of order statistics, means and root mean
squares a bootstrap of whole noises that is seeded, so that the same values always give the same interval. The rounds of
a shuffled pairing share images: there each noise counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reprozoo.measures.base import Kind, Values
from reprozoo.measures.checks import check_values
from reprozoo.measures.statistics import Interval, binomial_ranks, wilson_interval

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
RESAMPLES = 1000
MOST_RESAMPLED = 10_000  # values; with more, an interval of the mean comes from its standard error
NORMAL_95 = 1.959963984540054


def beyond(values: Values, kind: Kind, threshold: float) -> NDArray[np.bool_]:
    """Which values a share counts; strict, in the precision of the values, the threshold rounded to it.

    >>> beyond(np.float32([0.6, 0.61]), "share_above", 0.6).tolist()
    [False, True]

    Raises:
        ContractError: no value, or a NaN.
    """
    check_values(values)
    at = values.dtype.type(threshold)
    return values < at if kind == "share_below" else values <= at if kind == "share_not_above" else values > at


def near(values: Values, threshold: float, tolerance: float) -> int:
    """How many values lie so near the threshold that another machine may put them on its other side."""
    return int((np.abs(values.astype(np.float64) - threshold) <= tolerance).sum()) if tolerance else 0


def summary(values: Values, kind: Kind, at: float | None) -> float:
    """One number for all values.

    Args:
        values: any shape, without NaN.
        kind: "share_…": of values beyond the threshold ``at``; "mean"; "rms": root mean square; "median"; "quantile":
            of level ``at``, interpolated linearly.

    Raises:
        ContractError: no value, or a NaN.
    """
    check_values(values)
    if kind.startswith("share"):
        return int(beyond(values, kind, _given(at)).sum()) / values.size
    flat = values.astype(np.float64).ravel()
    if kind == "mean":
        return float(flat.mean())
    if kind == "rms":
        return float(np.sqrt(np.square(flat).mean()))
    return float(np.quantile(flat, 0.5 if kind == "median" else _given(at)))


def interval(values: Values, kind: Kind, at: float | None) -> Interval | None:
    """The 95 % interval of a summary; None where there is none: for extremes, and means of a single noise.

    Args:
        values: (rounds, n); only the n noises are independent of each other.
    """
    count = values.shape[-1]
    if kind.startswith("share"):
        flags = beyond(values, kind, _given(at))
        return wilson_interval(round(int(flags.sum()) * count / flags.size), count)
    if kind in ("median", "quantile"):
        return _quantile_interval(values, 0.5 if kind == "median" else _given(at))
    if count < 2:
        return None
    own = np.atleast_2d(values.astype(np.float64))
    return _mean_interval(np.square(own).mean(0), root=True) if kind == "rms" else _mean_interval(own.mean(0))


def quantiles(values: Values) -> dict[str, float]:
    """The quantiles that results record, by level; "0" and "1" are the extremes."""
    found = np.quantile(values.astype(np.float64).ravel(), QUANTILES)
    return {f"{level:g}": float(value) for level, value in zip(QUANTILES, found, strict=True)}


def histogram(values: Values, edges: Sequence[float]) -> list[int]:
    """Values per bin; those beyond the ends are counted in the outer bins."""
    inside = np.clip(values.astype(np.float64).ravel(), edges[0], edges[-1])
    counts: list[int] = np.histogram(inside, bins=np.asarray(edges))[0].tolist()
    return counts


def share_curve(values: Values, thresholds: Sequence[float], *, above: bool) -> list[float]:
    """Share of values strictly beyond each threshold: above it, or below it."""
    check_values(values)
    ascending = np.sort(values.ravel())
    at = np.asarray(thresholds, dtype=values.dtype)
    if above:
        return [(len(ascending) - int(rank)) / len(ascending) for rank in np.searchsorted(ascending, at, side="right")]
    return [int(rank) / len(ascending) for rank in np.searchsorted(ascending, at, side="left")]


def _given(at: float | None) -> float:
    if at is None:
        raise ValueError("a share needs a threshold, and a quantile a level")
    return at


def _quantile_interval(values: Values, level: float) -> Interval | None:
    """Between the order statistics that hold the quantile in 95 % of samples, whatever the distribution.

    Those of n noises; of several rounds together, the outermost values that stand at the same places.
    """
    count = values.shape[-1]
    ranks = binomial_ranks(count, level)
    if ranks is None:
        return None
    rounds, ordered = values.size // count, np.sort(values, axis=None)
    return Interval(float(ordered[ranks[0] * rounds]), float(ordered[(ranks[1] + 1) * rounds - 1]))


def _mean_interval(values: NDArray[np.float64], *, root: bool = False) -> Interval:
    """Percentile bootstrap of the mean; of its square root where asked for."""
    count = len(values)
    if count > MOST_RESAMPLED:
        half = NORMAL_95 * values.std(ddof=1) / np.sqrt(count)
        ends = np.array([max(0.0, values.mean() - half) if root else values.mean() - half, values.mean() + half])
    else:
        blocks = np.array_split(_draws(count), 10)  # so that they are floats a tenth at a time
        ends = np.quantile(np.concatenate([block @ values for block in blocks]) / count, (0.025, 0.975))
    low, high = np.sqrt(ends) if root else ends
    return Interval(float(low), float(high))


@lru_cache(maxsize=32)
def _draws(count: int) -> NDArray[np.uint8]:
    """(resamples, count): how often each noise is drawn; the same for every score, so that they are paired."""
    generator = np.random.default_rng(count)
    drawn = np.empty((RESAMPLES, count), np.uint8)  # one of thousands is not drawn 256 times
    for resample in drawn:
        resample[:] = np.bincount(generator.integers(count, size=count), minlength=count)
    return drawn
