"""Euler's method in sigma: first order, one network evaluation a step. The same solver is DDIM and DPM-Solver-1."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reprozoo.diffusion.sampler_specs import EULER
from reprozoo.diffusion.sampling import ScheduledSampler, evaluate

if TYPE_CHECKING:
    from reprozoo.maps.contract import Denoiser


def euler(denoiser: Denoiser, x: Tensor, sigmas: Tensor | Sequence[float]) -> Tensor:
    """Follow dx/dsigma = (x - D(x, sigma)) / sigma with straight steps.

    Written as x0 + (next / sigma) * (x - x0): the same step, without cancellation where sigma is huge.

    Args:
        denoiser: (x, sigma) -> x0.
        x: (batch, ...) float64 state at ``sigmas[0]``.
        sigmas: decreasing noise levels; the last may be 0.

    Returns:
        The state at the last level.
    """
    for sigma, following in pairwise(torch.as_tensor(sigmas).tolist()):
        x0 = evaluate(denoiser, x, sigma)
        x = x0 + (following / sigma) * (x - x0)
    return x


class Euler(ScheduledSampler):
    """``euler`` on a schedule that ends at sigma 0.

    With a ``RectifiedFlow`` kernel and spacing=time_uniform it is that model's usual sampler, Euler in its own time.
    """

    spec = EULER

    @property
    def nfe(self) -> int:
        return self.steps

    def integrate(self, denoiser: Denoiser, x: Tensor) -> Tensor:
        return euler(denoiser, x, self.sigmas)
