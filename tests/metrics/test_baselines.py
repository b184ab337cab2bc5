"""The shuffled baseline never lets a noise meet itself."""

import pytest
import torch

from reprozoo.errors import ContractError
from reprozoo.metrics import share_above, shuffle_shifts, shuffled_similarities, similarities


@pytest.mark.parametrize("count", [*range(2, 40), 1000, 10_000])
def test_shifts_are_derangements(count):
    shifts = shuffle_shifts(count)
    assert shifts[0] == count // 2
    assert all(0 < shift < count for shift in shifts)
    assert len(set(shifts)) == len(shifts) == min(7, count - 1)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_mismatch(count):
    with pytest.raises(ContractError, match="at least 2 samples"):
        shuffle_shifts(count)


def test_pairs_are_i_with_i_plus_shift():
    a, b = torch.eye(9), torch.eye(9).flip(1)
    shuffled = shuffled_similarities(a, b)
    for row, shift in zip(shuffled, shuffle_shifts(9), strict=True):
        assert torch.equal(row, similarities(a, b[[(i + shift) % 9 for i in range(9)]]))


def test_a_model_with_itself_is_not_above_chance():
    assert share_above(shuffled_similarities(torch.eye(16), torch.eye(16)), 0.6) == 0


def test_collapsed_generators_agree_by_chance():
    collapsed = torch.eye(4)[:1].expand(10, 4)
    assert share_above(shuffled_similarities(collapsed, collapsed), 0.6) == 1
