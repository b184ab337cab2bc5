"""How sure a share is, and whether two shares differ."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import ContractError


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


class Discordance(NamedTuple):
    """Noises on which two pairs of models disagree, and how likely so lopsided a split is by chance.

    Attributes:
        only_first: noises that the first pair reproduces and the second does not.
        only_second: the other way round.
        p_value: two-sided; small means that the two RP scores differ.
    """

    only_first: int
    only_second: int
    p_value: float


def wilson_interval(count: int, total: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion: within [0, 1], and never of width zero.

    Args:
        count: successes.
        total: trials, independent of each other.
        confidence: between 0 and 1.

    Returns:
        The interval around count / total.

    Raises:
        ContractError: no trial, or a count outside [0, total].

    Source: Wilson (1927), J. Am. Stat. Assoc. 22, 209-212; without continuity correction.
    """
    if not 0 <= count <= total or total < 1:
        raise ContractError(f"an interval needs 0 <= count <= total and total >= 1, got {count} of {total}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = count / total, z * z / total
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    low = 0.0 if count == 0 else max(0.0, centre - half)
    high = 1.0 if count == total else min(1.0, centre + half)
    return Interval(low, high)


@lru_cache(maxsize=64)
def binomial_ranks(count: int, level: float, *, confidence: float = 0.95) -> tuple[int, int] | None:
    """Places, from 0, of the two order statistics of ``count`` values that hold a quantile with this confidence.

    Exact for any continuous distribution, and at least as sure for others; None where there are too few values, as
    always for the extremes.

    >>> binomial_ranks(10, 0.5)
    (1, 8)

    Source: Conover (1999), Practical Nonparametric Statistics, section 3.2.
    """
    if not 0 < level < 1:
        return None
    spread = 10 * math.sqrt(count * level * (1 - level))  # what lies farther out is less than rounding
    first, last = max(0, math.floor(count * level - spread)), min(count, math.ceil(count * level + spread))
    ranks = np.arange(first, last + 1)
    logs = np.array([math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in ranks])
    tail = np.exp(logs + ranks * math.log(level) + (count - ranks) * math.log1p(-level)).cumsum()  # P(X <= k)
    half = (1 - confidence) / 2
    low = first + int(np.searchsorted(tail, half, side="right")) - 1  # P(X <= low) <= half
    high = first + int(np.searchsorted(tail, 1 - half, side="left")) + 1  # P(X >= high) <= half
    return (low, high - 1) if low >= 0 and high <= count else None


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Discordance:
    """McNemar's exact test for two pairs of models that share noise.

    Only noises on which the two disagree say anything; if the RP scores are equal, each falls to either side with
    probability 1/2. Intervals of the two scores may overlap and this test still tell them apart.

    Args:
        first: (n,) bool, where the first pair reproduces.
        second: (n,) bool, the second pair on the same noises.

    Returns:
        The discordant counts and the two-sided p-value.

    Raises:
        ContractError: not bool, empty, or different shapes.

    Source: McNemar (1947), Psychometrika 12, 153-157; the exact binomial form.
    """
    if first.dtype != np.bool_ or second.dtype != np.bool_ or first.shape != second.shape or not first.size:
        raise ContractError(
            "McNemar's test takes two bool arrays of one shape, one value a noise; "
            f"got {first.shape} {first.dtype} and {second.shape} {second.dtype}"
        )
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    tail = _half_binomial_tail(min(only_first, only_second), only_first + only_second)
    return Discordance(only_first, only_second, min(1.0, 2 * tail))


def _half_binomial_tail(count: int, trials: int) -> float:
    """P(X <= count) for X ~ Binomial(trials, 1/2), relative error below 1e-8 up to a million trials.

    Summed from the largest term down, each from the one before; the first by log-gamma.
    """
    log_first = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
    term = total = 1.0
    for k in range(count, 0, -1):
        term *= k / (trials - k + 1)
        total += term
        if term < total * 1e-17:
            break
    return total * math.exp(log_first - trials * math.log(2))
