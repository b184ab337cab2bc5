"""Pairings: which image of one side belongs to which of the other.

``same``: the image of the same noise. ``shuffled``: that of another noise of equal condition, in several rounds.
``repeat``: a side's own image at another batch size. ``nearest`` and ``nearest-other`` are searches, of all images of
the other side or of all others of one side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import ContractError

if TYPE_CHECKING:
    from reprozoo.maps.conditions import Conditions

SHIFTS = 7
SAME, SHUFFLED, REPEAT, NEAREST, NEAREST_OTHER = "same", "shuffled", "repeat", "nearest", "nearest-other"


@dataclass(frozen=True)
class Groups:
    """Which noises share a condition.

    Attributes:
        numbers: (n,) equal for noises of equal condition.
        name: of the condition of such a number.
        partners: (rounds, n) positions of mismatched noises; no round for a single noise.
    """

    numbers: NDArray[np.int64]
    name: Callable[[int], str]
    partners: NDArray[np.int64]

    @classmethod
    def of(cls, indices: Sequence[int], conditions: Conditions) -> Groups:
        """Those of noises of these indices."""
        numbers = conditions.groups(indices)
        rounds = partners(numbers) if len(indices) > 1 else []
        return cls(numbers, conditions.name, np.array(rounds, np.int64).reshape(len(rounds), len(indices)))

    def names(self) -> list[str]:
        """The name of each noise's condition; empty where there is one."""
        found = {number: self.name(number) for number in np.unique(self.numbers).tolist()}
        return [found[number] for number in self.numbers.tolist()] if len(found) > 1 else []


def shuffle_shifts(count: int) -> tuple[int, ...]:
    """The shifts that pair sample i of one side with sample (i + shift) mod count of the other.

    Up to seven, evenly spread over the samples, count // 2 first; none is 0, so that no noise meets itself.

    Raises:
        ContractError: fewer than two samples.
    """
    if count < 2:
        raise ContractError(f"the shuffled pairing mismatches noises: it needs at least 2 samples, got {count}")
    spread = (j * count // (SHIFTS + 1) for j in range(1, SHIFTS + 1))
    return tuple(dict.fromkeys([count // 2, *(shift for shift in spread if shift)]))


def partners(groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """For each sample another one of its group, in several rounds: its mismatched noise of equal condition.

    Within a group of k samples, in order, sample j is paired with sample (j + shift) mod k, the shifts being those of
    ``shuffle_shifts(k)``, over again where other groups have more. Samples that are alone in their group form one; a
    single such sample joins the largest.

    Args:
        groups: (n,) equal for samples of equal condition.

    Returns:
        Up to seven (n,) positions, none of which pairs a sample with itself.

    Raises:
        ContractError: fewer than two samples.
    """
    shuffle_shifts(len(groups))
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    alone = sizes[group] == 1
    group = np.where(alone, len(sizes) if int(alone.sum()) > 1 else int(sizes.argmax()), group)
    order = np.argsort(group, kind="stable")
    sizes = np.unique(group, return_counts=True)[1]
    starts = np.repeat(sizes.cumsum() - sizes, sizes)
    place, size = np.arange(len(groups)) - starts, np.repeat(sizes, sizes)
    shifts = [shuffle_shifts(size) for size in sizes.tolist()]
    rounds = []
    for k in range(max(map(len, shifts))):
        shift = np.repeat(np.array([own[k % len(own)] for own in shifts]), sizes)
        found = np.empty(len(groups), np.int64)
        found[order] = order[starts + (place + shift) % size]
        rounds.append(found)
    return rounds
