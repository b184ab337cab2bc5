"""What a score is by chance: the same two models, mismatched noise."""

from __future__ import annotations

import torch
from torch import Tensor

from reprozoo.base.errors import ContractError

SHIFTS = 7


def shuffle_shifts(count: int) -> tuple[int, ...]:
    """The shifts that pair sample i of one model with sample (i + shift) mod count of the other.

    Up to seven, evenly spread over the samples, count // 2 first; none is 0, so that no noise meets itself.

    Raises:
        ContractError: fewer than two samples.
    """
    if count < 2:
        raise ContractError(f"the shuffled baseline mismatches noises: it needs at least 2 samples, got {count}")
    spread = (j * count // (SHIFTS + 1) for j in range(1, SHIFTS + 1))
    return tuple(dict.fromkeys([count // 2, *(shift for shift in spread if shift)]))


def partners(groups: Tensor) -> list[Tensor]:
    """For each sample another one of its group, in several rounds: its mismatched noise of equal condition.

    Within a group of k samples, in order, sample j is paired with sample (j + shift) mod k, the shifts being those of
    ``shuffle_shifts(k)``, over again where other groups have more. Samples that are alone in their group form one; a
    single such sample joins the largest.

    Args:
        groups: (n,) integers; equal for samples of equal condition.

    Returns:
        Up to seven (n,) int64, none of which pairs a sample with itself.

    Raises:
        ContractError: fewer than two samples.
    """
    shuffle_shifts(len(groups))
    _, group, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    alone = sizes[group] == 1
    group = torch.where(alone, len(sizes) if int(alone.sum()) > 1 else sizes.argmax(), group)
    order = group.argsort(stable=True)
    _, sizes = torch.unique(group, return_counts=True)
    starts = sizes.cumsum(0) - sizes
    place = torch.arange(len(groups)) - starts.repeat_interleave(sizes)
    shifts = [shuffle_shifts(size) for size in sizes.tolist()]
    rounds = []
    for k in range(max(map(len, shifts))):
        shift = torch.tensor([own[k % len(own)] for own in shifts])
        other = (place + shift.repeat_interleave(sizes)) % sizes.repeat_interleave(sizes)
        rounds.append(torch.empty_like(order).scatter_(0, order, order[starts.repeat_interleave(sizes) + other]))
    return rounds
