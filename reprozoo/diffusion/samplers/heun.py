"""Heun's method in sigma, the deterministic sampler of EDM: second order, two evaluations a step.

Source: arXiv:2206.00364, algorithm 1, with sigma(t) = t and s(t) = 1 (written from the paper).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reprozoo.diffusion.sampler_specs import HEUN
from reprozoo.diffusion.sampling import ScheduledSampler, evaluate, expect_gentle_start

if TYPE_CHECKING:
    from reprozoo.diffusion.kernels import Kernel
    from reprozoo.maps.contract import Denoiser


def heun(denoiser: Denoiser, x: Tensor, sigmas: Tensor | Sequence[float]) -> Tensor:
    """Follow dx/dsigma = (x - D(x, sigma)) / sigma with the mean of the slopes at both ends of each step.

    A step to sigma 0 is Euler's, since the slope is not defined there.

    Args:
        denoiser: (x, sigma) -> x0.
        x: (batch, ...) float64 state at ``sigmas[0]``.
        sigmas: decreasing noise levels; the last may be 0.

    Returns:
        The state at the last level.
    """
    for sigma, following in pairwise(torch.as_tensor(sigmas).tolist()):
        slope = (x - evaluate(denoiser, x, sigma)) / sigma
        straight = x + (following - sigma) * slope
        if following > 0:
            slope_there = (straight - evaluate(denoiser, straight, following)) / following
            x = x + (following - sigma) * (0.5 * slope + 0.5 * slope_there)
        else:
            x = straight
    return x


class Heun(ScheduledSampler):
    """``heun`` on a schedule that ends at sigma 0; by default EDM's: 18 steps, 35 evaluations."""

    spec = HEUN

    def __init__(self, *, kernel: Kernel, **options: Any) -> None:
        super().__init__(kernel=kernel, **options)
        expect_gentle_start(self.name, self.sigmas)

    @property
    def nfe(self) -> int:
        return 2 * self.steps - 1

    def integrate(self, denoiser: Denoiser, x: Tensor) -> Tensor:
        return heun(denoiser, x, self.sigmas)
