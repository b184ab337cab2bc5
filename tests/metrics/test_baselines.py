"""The shuffled baseline never lets a noise meet itself."""

import pytest
import torch

from reprozoo.base.errors import ContractError
from reprozoo.measures import partners, shuffle_shifts


@pytest.mark.parametrize("count", [*range(2, 40), 1000, 10_000])
def test_shifts_are_derangements(count):
    shifts = shuffle_shifts(count)
    assert shifts[0] == count // 2
    assert all(0 < shift < count for shift in shifts)
    assert len(set(shifts)) == len(shifts) == min(7, count - 1)


@pytest.mark.parametrize(("count", "period"), [(2, 1), (3, 1), (64, 1), (70, 10), (71, 10), (20, 10), (10_000, 1000)])
def test_partners_share_the_group_and_never_are_the_sample_itself(count, period):
    groups = torch.arange(count) % period
    rounds = partners(groups)
    assert len(rounds) == min(7, -(-count // period) - 1)
    for others in rounds:
        assert torch.equal(groups[others], groups)
        assert (others != torch.arange(count)).all()
        assert torch.equal(others.sort().values, torch.arange(count))
    if count == 71:
        assert len({tuple(others.tolist()) for others in rounds}) == len(rounds)


@pytest.mark.parametrize("groups", [[0, 1], [3, 1, 2], [5, 5, 5, 1], [0, 0, 1, 1, 2, 3]])
def test_samples_without_a_partner_are_mismatched_all_the_same(groups):
    groups = torch.tensor(groups)
    for others in partners(groups):
        assert (others != torch.arange(len(groups))).all()
        assert torch.equal(others.sort().values, torch.arange(len(groups)))


@pytest.mark.parametrize("count", [7, 19, 99])
def test_one_lone_sample_leaves_the_other_groups_alone(count):
    groups = torch.arange(count) // 2  # all in twos but the last
    for others in partners(groups):
        assert (others != torch.arange(count)).all()
        assert torch.equal(others.sort().values, torch.arange(count))
        assert int((groups[others] != groups).sum()) == 2  # the lone one, and the one that it is the partner of


def test_partners_within_groups_of_several_sizes():
    groups = torch.tensor([7, 1, 7, 1, 7])
    assert [others.tolist() for others in partners(groups)] == [[2, 3, 4, 1, 0], [4, 3, 0, 1, 2]]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_mismatch(count):
    with pytest.raises(ContractError, match="at least 2 samples"):
        shuffle_shifts(count)
    with pytest.raises(ContractError, match="at least 2 samples"):
        partners(torch.zeros(count))


def test_pairs_are_i_with_i_plus_shift():
    for others, shift in zip(partners(torch.zeros(9)), shuffle_shifts(9), strict=True):
        assert others.tolist() == [(i + shift) % 9 for i in range(9)]
