"""The moving average of the weights."""

import torch
from torch import Tensor


def ema_decay(images_seen: int, batch_size: int, *, halflife_images: int, rampup_ratio: float) -> float:
    """Share of the old average that one step keeps: 0.5 after `halflife_images`, less at the start.

    Early in training the half-life is `rampup_ratio` of the images seen so far, and the first step copies the weights.
    Source: arXiv:2206.00364, appendix F.2.
    """
    halflife = min(float(halflife_images), images_seen * rampup_ratio)
    return 0.5 ** (batch_size / halflife) if halflife > 0 else 0.0


@torch.no_grad()
def update_ema(average: list[Tensor], weights: list[Tensor], decay: float) -> None:
    """Move every average towards its weight, in place."""
    torch._foreach_lerp_(average, weights, 1 - decay)
