"""Intervals and tests against tables, exact fractions and simulation."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from reprozoo.base.errors import ContractError
from reprozoo.measures.statistics import _half_binomial_tail, mcnemar, wilson_interval


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),  # the textbook cases, to the digits printed in Newcombe (1998), Stat. Med. 17, 857-872
        (1, 29, 0.0061, 0.1718),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
    ],
)
def test_wilson_interval_of_the_textbook(count: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(count, total) == pytest.approx((low, high), abs=5e-5)


def test_wilson_solves_its_equation() -> None:
    low, high = wilson_interval(30, 100)
    for end in (low, high):
        assert abs(0.3 - end) == pytest.approx(1.959963984540054 * math.sqrt(end * (1 - end) / 100))


@pytest.mark.parametrize("total", [1, 7, 10_000])
def test_wilson_ends_and_symmetry(total: int) -> None:
    assert wilson_interval(0, total).low == 0 < wilson_interval(0, total).high
    assert wilson_interval(total, total).high == 1 > wilson_interval(total, total).low
    for count in range(0, total + 1, max(1, total // 5)):
        low, high = wilson_interval(count, total)
        mirrored = wilson_interval(total - count, total)
        assert 0 <= low <= count / total <= high <= 1
        assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-12)


def test_wilson_of_more_confidence_is_wider() -> None:
    narrow, wide = wilson_interval(3, 10, confidence=0.9), wilson_interval(3, 10, confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(("count", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses(count: int, total: int) -> None:
    with pytest.raises(ContractError, match="an interval needs"):
        wilson_interval(count, total)


def flags(both: int, only_first: int, only_second: int, neither: int) -> tuple[NDArray, NDArray]:
    first = [True] * both + [True] * only_first + [False] * only_second + [False] * neither
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return np.array(first), np.array(second)


def test_mcnemar_of_the_textbook() -> None:
    # b = 5, c = 15: 2 * P(Binomial(20, 1/2) <= 5) = 2 * 21700 / 2**20
    result = mcnemar(*flags(50, 5, 15, 30))
    assert (result.only_first, result.only_second) == (5, 15)
    assert result.p_value == pytest.approx(2 * 21700 / 2**20, rel=1e-12)


def test_mcnemar_ignores_agreement_and_is_symmetric() -> None:
    first, second = flags(3, 9, 1, 4)
    assert mcnemar(first, second).p_value == mcnemar(*flags(300, 9, 1, 0)).p_value
    assert mcnemar(second, first) == (1, 9, mcnemar(first, second).p_value)


@pytest.mark.parametrize("counts", [(10, 0, 0, 0), (0, 4, 4, 0), (1, 5, 4, 1), (0, 0, 0, 2)])
def test_mcnemar_of_no_difference(counts: tuple[int, int, int, int]) -> None:
    assert mcnemar(*flags(*counts)).p_value == pytest.approx(1, rel=1e-12)


def test_mcnemar_sees_what_the_intervals_do_not() -> None:
    first, second = flags(600, 40, 15, 345)
    a, b = wilson_interval(int(first.sum()), 1000), wilson_interval(int(second.sum()), 1000)
    assert a.low < b.high  # the intervals overlap
    assert mcnemar(first, second).p_value < 0.01


@pytest.mark.parametrize(("count", "trials"), [(0, 1), (3, 10), (50, 100), (440, 1000), (900, 2000)])
def test_binomial_tail_is_exact(count: int, trials: int) -> None:
    exact = Fraction(sum(math.comb(trials, k) for k in range(count + 1)), 2**trials)
    assert _half_binomial_tail(count, trials) == pytest.approx(float(exact), rel=1e-9)


def test_binomial_tail_of_many_trials() -> None:
    # Normal approximation with continuity correction: relative error of the order of 1 / trials at two deviations.
    trials, count = 1_000_000, 499_000
    normal = 0.5 * math.erfc((trials / 2 - count - 0.5) / math.sqrt(trials / 4) / math.sqrt(2))
    assert _half_binomial_tail(count, trials) == pytest.approx(normal, rel=1e-5)
    assert _half_binomial_tail(0, trials) == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.array([True]), np.array([True, False])),
        (np.array([1.0]), np.array([1.0])),
        (np.array([], np.bool_), np.array([], np.bool_)),
    ],
)
def test_mcnemar_refuses(first: NDArray, second: NDArray) -> None:
    with pytest.raises(ContractError, match="two bool arrays"):
        mcnemar(first, second)
