"""Intervals hold what they should as often as they say: by enumeration where that can be, by simulation elsewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from reprozoo.measures.statistics import binomial_ranks, wilson_interval
from reprozoo.measures.summaries import MOST_RESAMPLED, interval, summary

LEVELS = [0.05, 0.25, 0.5, 0.8, 0.95]


def coverage(count: int, level: float, low: int, high: int) -> float:
    """Probability that the quantile lies between two order statistics, places from 0, of a continuous distribution."""
    return float(binom.cdf(high, count, level) - binom.cdf(low, count, level))  # low + 1 to high values are below it


# --- medians and quantiles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("count", [1, 2, 5, 6, 10, 37, 100, 1000, 20_000])
def test_ranks_hold_the_quantile_in_95_percent(count: int, level: float) -> None:
    """At least 95 %; each end as near as it can be: one place further in would miss more than 2.5 % there."""
    ranks = binomial_ranks(count, level)
    lowest, highest = binom.cdf(0, count, level), binom.sf(count - 1, count, level)
    assert (ranks is None) == (max(lowest, highest) > 0.025)
    if ranks is not None:
        low, high = ranks
        assert coverage(count, level, low, high) >= 0.95
        assert binom.cdf(low, count, level) <= 0.025 < binom.cdf(low + 1, count, level)
        assert binom.sf(high, count, level) <= 0.025 < binom.sf(high - 1, count, level)


def test_ranks_by_counting_every_sample() -> None:
    """Of ten values each falls to either side of the median alike: 1,024 samples, counted one by one."""
    low, high = binomial_ranks(10, 0.5)
    held = sum(low + 1 <= mask.bit_count() <= high for mask in range(2**10))
    assert (low, high) == (1, 8)
    assert held / 2**10 == coverage(10, 0.5, low, high) == 1002 / 1024


def test_ranks_of_many_values_are_those_of_the_normal_distribution() -> None:
    low, high = binomial_ranks(10_000_000, 0.5)
    half = 1.959963984540054 * math.sqrt(10_000_000) / 2
    assert (low, high) == (pytest.approx(5_000_000 - half, abs=2), pytest.approx(5_000_000 + half, abs=2))


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1])
def test_extremes_have_no_interval(level: float) -> None:
    assert binomial_ranks(1000, level) is None
    assert interval(np.arange(1000.0)[None], "quantile", level) is None


@pytest.mark.parametrize("kind", ["median", "quantile"])
def test_the_interval_of_a_quantile_is_two_of_the_values(kind: Any) -> None:
    values = np.random.default_rng(0).exponential(size=(1, 40)).astype(np.float32)
    low, high = binomial_ranks(40, 0.5 if kind == "median" else 0.8)
    ordered = np.sort(values[0])
    assert interval(values, kind, 0.8) == (float(ordered[low]), float(ordered[high]))


def test_the_median_of_a_skewed_distribution_is_held_in_95_percent() -> None:
    rng, median = np.random.default_rng(0), math.log(2)
    held = 0
    for _ in range(2000):
        low, high = interval(rng.exponential(size=(1, 50)), "median", None)
        held += low <= median <= high
    exact = coverage(50, 0.5, *binomial_ranks(50, 0.5))
    assert held / 2000 == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 2000))  # four deviations


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("rounds", [1, 2, 7])
@pytest.mark.parametrize("count", [6, 20, 101])
def test_a_quantile_lies_in_its_own_interval(count: int, rounds: int, level: float) -> None:
    values = np.random.default_rng(count + rounds).exponential(size=(rounds, count))
    ends = interval(values, "quantile", level)
    assert ends is None or ends.low <= summary(values, "quantile", level) <= ends.high


def test_rounds_do_not_count_as_noises() -> None:
    """The same values seven times over say no more than once."""
    once = np.random.default_rng(0).standard_normal((1, 60))
    seven = np.repeat(once, 7, axis=0)
    for kind, at in [("median", None), ("quantile", 0.25), ("mean", None), ("rms", None), ("share_above", 0.3)]:
        assert interval(seven, kind, at) == pytest.approx(interval(once, kind, at), rel=1e-12)


# --- shares -------------------------------------------------------------------------------------------------------


def test_a_share_has_wilsons_interval() -> None:
    values = np.float32([[0.1, 0.6, 0.7, 0.9]])
    assert interval(values, "share_above", 0.6) == wilson_interval(2, 4)
    assert interval(values, "share_not_above", 0.6) == wilson_interval(2, 4)
    assert interval(values, "share_below", 0.6) == wilson_interval(1, 4)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_wilson_covers_about_95_percent(share: float) -> None:
    """Exact for 100 noises, every count enumerated; Wilson's coverage swings around 95 % by under 3 points there."""
    counts = range(101)
    held = [low <= share <= high for low, high in (wilson_interval(k, 100) for k in counts)]
    assert float(binom.pmf(counts, 100, share) @ held) == pytest.approx(0.95, abs=0.03)


# --- means --------------------------------------------------------------------------------------------------------


def test_the_same_values_have_the_same_interval() -> None:
    values = np.random.default_rng(0).standard_normal((1, 80))
    for kind in ("mean", "rms"):
        assert interval(values, kind, None) == interval(values.copy(), kind, None)


def test_a_mean_has_no_interval_of_one_noise() -> None:
    assert interval(np.ones((7, 1)), "mean", None) is None
    assert interval(np.ones((1, 5)), "mean", None) == (1, 1)
    assert interval(np.full((1, 5), 3.0), "rms", None) == (3, 3)


@pytest.mark.parametrize("count", [50, 200])
@pytest.mark.parametrize(("kind", "truth"), [("mean", 1.0), ("rms", math.sqrt(5))])
def test_bootstrap_covers_about_95_percent(kind: Any, truth: float, count: int) -> None:
    """Normal values of mean 1 and std 2.

    The percentile bootstrap lacks Student's factor, about 0.6 points at 50, and the skewness of squares costs about as
    much again; 1,500 samples have a standard error of 0.56 points.
    """
    rng, held = np.random.default_rng(count), 0
    for _ in range(1500):
        low, high = interval(rng.normal(1, 2, (1, count)), kind, None)
        held += low <= truth <= high
    assert held / 1500 == pytest.approx(0.945, abs=0.02)


@pytest.mark.parametrize("kind", ["mean", "rms"])
def test_many_values_have_the_interval_of_the_standard_error(kind: Any) -> None:
    """Where resampling ends nothing jumps: both intervals of nearly the same values, ends within 0.3 deviations."""
    values = np.random.default_rng(0).exponential(size=(1, MOST_RESAMPLED + 1))
    resampled, exact = interval(values[:, :-1], kind, None), interval(values, kind, None)
    deviation = (exact.high - exact.low) / (2 * 1.96)
    assert resampled == pytest.approx(exact, abs=0.3 * deviation)  # 1,000 resamples: the ends have an error of 0.085


def test_the_interval_of_a_root_is_not_below_zero() -> None:
    values = np.zeros((1, MOST_RESAMPLED + 1))
    values[0, 0] = 1
    assert interval(values, "rms", None).low == 0
    assert not math.isnan(interval(values, "rms", None).high)
