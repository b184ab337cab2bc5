"""Shares, means, quantiles, curves and histograms of known values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reprozoo.base.errors import ContractError
from reprozoo.measures.summaries import beyond, histogram, near, quantiles, share_curve, summary

VALUES = np.float32([0.1, 0.6, 0.7, 0.5, 0.6])


def test_above_is_strict_in_float32() -> None:
    assert beyond(VALUES, "share_above", 0.6).tolist() == [False, False, True, False, False]
    assert summary(VALUES, "share_above", 0.6) == 1 / 5
    assert beyond(np.nextafter(np.float32([0.6]), np.float32(1)), "share_above", 0.6).tolist() == [True]


def test_the_threshold_is_rounded_to_the_precision_of_the_values() -> None:
    """0.6 as a float32 is 0.6000000238: compared in float64 it would be above 0.6."""
    assert float(np.float32(0.6)) > 0.6
    assert beyond(np.float32([0.6]), "share_above", 0.6).tolist() == [False]
    assert beyond(np.float64([np.float32(0.6)]), "share_above", 0.6).tolist() == [True]
    assert beyond(np.float32([0.1]), "share_below", 0.1).tolist() == [False]
    assert float(np.float32(0.3)) > 0.3
    assert beyond(np.float32([0.3]), "share_not_above", 0.3).tolist() == [True]


def test_below_is_strict_and_not_above_is_the_rest() -> None:
    values = np.float64([14, 15, 16])
    assert beyond(values, "share_below", 15).tolist() == [True, False, False]
    assert beyond(values, "share_not_above", 15).tolist() == [True, True, False]
    assert summary(values, "share_below", 15) == 1 / 3
    for threshold in (13, 14, 15.5, 16):
        shares = [summary(values, kind, threshold) for kind in ("share_above", "share_not_above")]
        assert sum(shares) == 1


def test_other_summaries_by_hand() -> None:
    values = np.float32([[3, 4, 0], [0, 5, 12]])
    assert summary(values, "mean", None) == 4
    assert summary(values, "rms", None) == pytest.approx(math.sqrt(194 / 6))
    assert summary(values, "median", None) == 3.5
    assert summary(values, "quantile", 1.0) == 12
    assert summary(values, "quantile", 0.0) == 0
    assert summary(np.float64([0, 1]), "quantile", 0.3) == pytest.approx(0.3)  # interpolated


def test_a_mean_of_float32_is_summed_in_float64() -> None:
    values = np.full(3_000_000, 0.1, np.float32)
    assert summary(values, "mean", None) == pytest.approx(float(np.float32(0.1)), rel=1e-14)


@pytest.mark.parametrize("kind", ["share_above", "share_below", "share_not_above", "mean", "rms", "median", "quantile"])
def test_order_of_values(kind: Any) -> None:
    values = np.random.default_rng(0).uniform(size=501)
    shuffled = np.random.default_rng(1).permutation(values)
    assert summary(shuffled, kind, 0.4) == pytest.approx(summary(values, kind, 0.4), rel=1e-14)


def test_near() -> None:
    values = np.float64([0.6, 0.6 + 9e-6, 0.6 - 9e-6, 0.6 + 1.1e-5, 0.59, 0.6 - 1.1e-5])
    assert near(values, 0.6, 1e-5) == 3
    assert near(values.astype(np.float32), 0.6, 1e-5) == 3
    assert near(values, 0.6, 0.1) == 6
    assert near(values, 0.6, 0) == 0  # a measure that rounding does not move


def test_quantiles_of_a_line() -> None:
    line = np.random.default_rng(0).permutation(np.linspace(0, 1, 101))
    found = quantiles(line.reshape(1, 101))
    assert list(found) == ["0", "0.05", "0.25", "0.5", "0.75", "0.95", "1"]
    assert list(found.values()) == pytest.approx([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
    assert set(quantiles(np.full((2, 3), 0.5)).values()) == {0.5}


def test_curve_is_the_share_at_every_threshold() -> None:
    values = (np.random.default_rng(0).uniform(size=200) * 100).round().astype(np.float32) / np.float32(100)  # ties
    thresholds = [i / 100 for i in range(101)]
    above, below = (share_curve(values, thresholds, above=up) for up in (True, False))
    assert above == [summary(values, "share_above", at) for at in thresholds]
    assert below == [summary(values, "share_below", at) for at in thresholds]
    assert above == sorted(above, reverse=True)
    assert below == sorted(below)
    assert share_curve(VALUES, [0.6, -1, 1], above=True) == [1 / 5, 1, 0]
    assert share_curve(VALUES.reshape(1, 5), [0.6], above=False) == [2 / 5]


def test_histogram_counts_every_value_once() -> None:
    values = np.float64([-9, 0, 0.5, 1, 1.5, 2, 99])
    assert histogram(values, (0, 1, 2)) == [3, 4]  # beyond the ends: the outer bins; an edge belongs to the next bin
    drawn = np.random.default_rng(0).standard_normal((3, 1000))
    counts = histogram(drawn, np.linspace(-1, 1, 9).tolist())
    assert sum(counts) == 3000
    assert counts[0] == (drawn < -0.75).sum()
    assert histogram(np.float64([np.inf, -np.inf]), (0, 1, 2)) == [1, 1]


@pytest.mark.parametrize(
    "function",
    [
        lambda values: summary(values, "share_above", 0.6),
        lambda values: summary(values, "share_below", 15),
        lambda values: summary(values, "mean", None),
        lambda values: summary(values, "median", None),
        lambda values: share_curve(values, [0.5], above=True),
    ],
)
@pytest.mark.parametrize("values", [np.float32([]), np.float32([0.1, math.nan]), np.array([1, 2])])
def test_values_that_are_refused(function: Callable[[NDArray], Any], values: NDArray) -> None:
    with pytest.raises(ContractError):
        function(values)


@pytest.mark.parametrize("kind", ["share_above", "quantile"])
def test_a_share_needs_a_threshold(kind: Any) -> None:
    with pytest.raises(ValueError, match="needs a threshold, and a quantile a level"):
        summary(VALUES, kind, None)
