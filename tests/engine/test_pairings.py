"""Pairings: the shuffled baseline never lets a noise meet itself; noises are grouped by their condition."""

from __future__ import annotations

import numpy as np
import pytest

from reprozoo.base.errors import ContractError
from reprozoo.engine.pairings import SHIFTS, Groups, partners, shuffle_shifts
from reprozoo.maps.condition import EMPTY, Condition
from reprozoo.maps.conditions import InTurn


@pytest.mark.parametrize("count", [*range(2, 40), 1000, 10_000])
def test_shifts_are_derangements(count: int) -> None:
    shifts = shuffle_shifts(count)
    assert shifts[0] == count // 2
    assert all(0 < shift < count for shift in shifts)
    assert len(set(shifts)) == len(shifts) == min(SHIFTS, count - 1)


@pytest.mark.parametrize(("count", "period"), [(2, 1), (3, 1), (64, 1), (70, 10), (71, 10), (20, 10), (10_000, 1000)])
def test_partners_share_the_group_and_never_are_the_sample_itself(count: int, period: int) -> None:
    groups = np.arange(count) % period
    rounds = partners(groups)
    assert len(rounds) == min(7, -(-count // period) - 1)
    for others in rounds:
        assert (groups[others] == groups).all()
        assert (others != np.arange(count)).all()
        assert (np.sort(others) == np.arange(count)).all()
    if count == 71:
        assert len({tuple(others.tolist()) for others in rounds}) == len(rounds)


@pytest.mark.parametrize("groups", [[0, 1], [3, 1, 2], [5, 5, 5, 1], [0, 0, 1, 1, 2, 3]])
def test_samples_without_a_partner_are_mismatched_all_the_same(groups: list[int]) -> None:
    for others in partners(np.array(groups)):
        assert (others != np.arange(len(groups))).all()
        assert sorted(others.tolist()) == list(range(len(groups)))


@pytest.mark.parametrize("count", [7, 19, 99])
def test_one_lone_sample_leaves_the_other_groups_alone(count: int) -> None:
    groups = np.arange(count) // 2  # all in twos but the last
    for others in partners(groups):
        assert (others != np.arange(count)).all()
        assert (np.sort(others) == np.arange(count)).all()
        assert (groups[others] != groups).sum() == 2  # the lone one, and the one that it is the partner of


def test_partners_within_groups_of_several_sizes() -> None:
    groups = np.array([7, 1, 7, 1, 7])
    assert [others.tolist() for others in partners(groups)] == [[2, 3, 4, 1, 0], [4, 3, 0, 1, 2]]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_mismatch(count: int) -> None:
    with pytest.raises(ContractError, match="at least 2 samples"):
        shuffle_shifts(count)
    with pytest.raises(ContractError, match="at least 2 samples"):
        partners(np.zeros(count, np.int64))


def test_pairs_are_i_with_i_plus_shift() -> None:
    for others, shift in zip(partners(np.zeros(9, np.int64)), shuffle_shifts(9), strict=True):
        assert others.tolist() == [(i + shift) % 9 for i in range(9)]


def test_groups_of_conditions() -> None:
    groups = Groups.of(range(4, 12), InTurn([Condition(class_label=label) for label in (5, 7)]))
    assert groups.names() == ["class 5", "class 7"] * 4
    assert groups.partners.shape == (3, 8)
    assert all((groups.numbers[others] == groups.numbers).all() for others in groups.partners)


def test_one_condition_has_no_names_and_one_noise_no_partner() -> None:
    assert Groups.of(range(5), InTurn([EMPTY])).names() == []
    alone = Groups.of([3], InTurn([EMPTY]))
    assert alone.partners.shape == (0, 1)
