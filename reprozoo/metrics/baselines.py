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


def shuffled_similarities(features_a: Tensor, features_b: Tensor) -> Tensor:
    """Similarities of images of different noises: what the pair's scores would be if the noise decided nothing.

    Each image takes part once a shift, so the values are not independent: give their quantiles and share, not an
    interval that assumes independence.

    Args:
        features_a: (n, dim) unit-norm descriptors of the first model's images.
        features_b: the second model's, of the same noises in the same order.

    Returns:
        (shifts, n) float32, a row for each of ``shuffle_shifts(n)``.

    Raises:
        ContractError: as ``similarities``, or fewer than two samples.
    """
    check_same_shape(features_a, features_b, "features")
    shifts = shuffle_shifts(len(features_a))
    return torch.stack([similarities(features_a, features_b.roll(-shift, dims=0)) for shift in shifts])
