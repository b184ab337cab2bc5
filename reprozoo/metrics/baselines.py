"""What a score is by chance: the same two models, mismatched noise."""

from __future__ import annotations

import torch
from torch import Tensor

from reprozoo.errors import ContractError
from reprozoo.metrics.checks import check_same_shape
from reprozoo.metrics.pairs import similarities

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
    ``shuffle_shifts(k)``, over again where other groups have more. Samples that are alone in their group are mismatched
    among each other, and a single one of them with any other sample.

    Args:
        groups: (n,) integers; equal for samples of equal condition.

    Returns:
        Up to seven (n,) int64, none of which pairs a sample with itself.

    Raises:
        ContractError: fewer than two samples.
    """
    shuffle_shifts(len(groups))
    _, group, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    group = torch.where(sizes[group] == 1, len(sizes), group)
    if int((group == len(sizes)).sum()) == 1:
        group = torch.zeros_like(group)
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


def shuffled_similarities(features_a: Tensor, features_b: Tensor, groups: Tensor | None = None) -> Tensor:
    """Similarities of images of different noises: what the pair's scores would be if the noise decided nothing.

    Each image takes part once a round, so the values are not independent: give their quantiles and share, not an
    interval that assumes independence.

    Args:
        features_a: (n, dim) unit-norm descriptors of the first model's images.
        features_b: the second model's, of the same noises in the same order.
        groups: (n,) integers, equal for samples of equal condition, as ``partners`` takes them; None for one condition.

    Returns:
        (rounds, n) float32, a row for each round of ``partners``.

    Raises:
        ContractError: as ``similarities``, or fewer than two samples.
    """
    check_same_shape(features_a, features_b, "features")
    rounds = partners(torch.zeros(len(features_a), dtype=torch.int64) if groups is None else groups)
    return torch.stack([similarities(features_a, features_b[others]) for others in rounds])
