"""From values to shares: on which side of a threshold each value lies.

Similarities are compared in float32, the precision they are stored in, with the threshold rounded to float32 too: so a
similarity of exactly 0.6 is not above 0.6. Mean absolute errors are compared in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from reprozoo.measures.checks import check_values

NEAR = 1e-5  # what another order of a float32 sum, or another BLAS, can move a similarity by, with a wide margin
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
CURVE = tuple(i / 100 for i in range(101))


def above(similarity: Tensor, threshold: float) -> Tensor:
    """Where the similarity exceeds the threshold, strictly.

    Args:
        similarity: any shape, without NaN.
        threshold: rounded to float32, like the similarity.

    Returns:
        The same shape, bool.

    Raises:
        ContractError: no value, or a NaN.
    """
    check_values(similarity)
    return similarity.to(torch.float32) > torch.tensor(threshold, dtype=torch.float32)


def below(errors: Tensor, threshold: float) -> Tensor:
    """Where the error is under the threshold, strictly; the same shape, bool.

    Raises:
        ContractError: no value, or a NaN.
    """
    check_values(errors, "errors")
    return errors.to(torch.float64) < threshold


def share_above(similarity: Tensor, threshold: float) -> float:
    """Share of similarities strictly above the threshold; raises as ``above``."""
    return share(above(similarity, threshold))


def share_below(errors: Tensor, threshold: float) -> float:
    """Share of errors strictly under the threshold; raises as ``below``."""
    return share(below(errors, threshold))


def share(flags: Tensor) -> float:
    """Share of the flags that are set."""
    return int(flags.sum()) / flags.numel()


def count_near_threshold(similarity: Tensor, threshold: float, *, tolerance: float = NEAR) -> int:
    """How many similarities lie so near the threshold that another machine may put them on its other side.

    Raises:
        ContractError: no value, or a NaN.
    """
    check_values(similarity)
    return int(((similarity.double() - threshold).abs() <= tolerance).sum())


def similarity_quantiles(similarity: Tensor, probabilities: Sequence[float] = QUANTILES) -> tuple[float, ...]:
    """Quantiles, interpolated linearly between neighbouring values; 0 is the least, 1 the greatest.

    Args:
        similarity: any shape, without NaN.
        probabilities: each in [0, 1].

    Returns:
        One value for each probability.

    Raises:
        ContractError: no value, or a NaN.
    """
    check_values(similarity)
    values = np.quantile(similarity.double().cpu().numpy(), probabilities)
    return tuple(float(value) for value in values)


def threshold_curve(similarity: Tensor, thresholds: Sequence[float] = CURVE) -> tuple[float, ...]:
    """Share of similarities strictly above each threshold: the RP score (or 1 - GL score) at every choice of threshold.

    Args:
        similarity: any shape, without NaN.
        thresholds: in any order.

    Returns:
        One share for each threshold; it falls as the threshold rises.

    Raises:
        ContractError: no value, or a NaN.
    """
    check_values(similarity)
    ascending = similarity.to("cpu", torch.float32).flatten().sort().values
    ranks = torch.searchsorted(ascending, torch.tensor(thresholds, dtype=torch.float32), right=True)
    return tuple((len(ascending) - int(rank)) / len(ascending) for rank in ranks)
