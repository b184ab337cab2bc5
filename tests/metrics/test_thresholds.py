"""Shares, quantiles and curves of known values."""

import math

import pytest
import torch

from reprozoo.base.errors import ContractError
from reprozoo.measures import (
    above,
    below,
    count_near_threshold,
    share_above,
    share_below,
    similarity_quantiles,
    threshold_curve,
)

VALUES = torch.tensor([0.1, 0.6, 0.7, 0.5, 0.6])


def test_above_is_strict_in_float32():
    assert above(VALUES, 0.6).tolist() == [False, False, True, False, False]
    assert share_above(VALUES, 0.6) == 1 / 5
    assert not above(torch.tensor(0.6, dtype=torch.float32).double().reshape(1), 0.6)  # 0.6000000238 in float64
    assert above(torch.nextafter(torch.tensor([0.6]), torch.tensor(1.0)), 0.6)


def test_below_is_strict():
    assert below(torch.tensor([14.0, 15.0, 16.0]), 15).tolist() == [True, False, False]
    assert share_below(torch.tensor([14.0, 15.0, 16.0]), 15) == 1 / 3


def test_count_near_threshold():
    values = torch.tensor([0.6, 0.6 + 9e-6, 0.6 - 9e-6, 0.6 + 1.1e-5, 0.59, 0.6 - 1.1e-5], dtype=torch.float64)
    assert count_near_threshold(values, 0.6) == 3
    assert count_near_threshold(values.float(), 0.6) == 3
    assert count_near_threshold(values, 0.6, tolerance=0.1) == 6


def test_quantiles_of_a_line():
    line = torch.linspace(0, 1, 101)[torch.randperm(101, generator=torch.Generator().manual_seed(0))]
    assert similarity_quantiles(line) == pytest.approx((0, 0.05, 0.25, 0.5, 0.75, 0.95, 1), abs=1e-7)
    assert similarity_quantiles(torch.tensor([0.0, 1.0]), [0.3]) == pytest.approx((0.3,))
    assert similarity_quantiles(torch.full((2, 3), 0.5)) == (0.5,) * 7


def test_curve_is_the_share_at_every_threshold():
    values = torch.rand(200, generator=torch.Generator().manual_seed(0)).mul(100).round().div(100)  # many ties
    curve = threshold_curve(values)
    assert curve == tuple(share_above(values, i / 100) for i in range(101))
    assert list(curve) == sorted(curve, reverse=True)
    assert threshold_curve(VALUES, [0.6, -1, 1]) == (1 / 5, 1, 0)


@pytest.mark.parametrize(
    "function",
    [
        lambda values: share_above(values, 0.6),
        lambda values: share_below(values, 15),
        lambda values: count_near_threshold(values, 0.6),
        similarity_quantiles,
        threshold_curve,
    ],
)
@pytest.mark.parametrize("values", [torch.tensor([]), torch.tensor([0.1, math.nan]), torch.tensor([1, 2])])
def test_values_that_are_refused(function, values):
    with pytest.raises(ContractError):
        function(values)
