"""DDIM without noise (eta = 0): Euler's method in sigma, with the option to clip every estimate of the image.

Written for x_t, the step reads ``alpha_s * x0 + std_s * eps``; divided by alpha_s that is ``euler``'s. So there is one
implementation, and what is DDIM's own is the spacing (uniform in time) and the clipping of progressive distillation.

Source: arXiv:2010.02502; arXiv:2202.00512 and google-research@1d4d2f1a ``diffusion_distillation/dpm.py ddim_step``
(Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from reprozoo.diffusion import sampler_specs as specs
from reprozoo.diffusion.samplers.euler import euler
from reprozoo.diffusion.sampling import ScheduledSampler

if TYPE_CHECKING:
    from reprozoo.maps.contract import Denoiser


def ddim(denoiser: Denoiser, x: Tensor, sigmas: Tensor | Sequence[float], *, clip_x0: bool = False) -> Tensor:
    """``euler``, optionally with every x0 clipped to [-1, 1] and the noise taken from the clipped x0.

    Args:
        denoiser: (x, sigma) -> x0.
        x: (batch, ...) float64 state at ``sigmas[0]``.
        sigmas: decreasing noise levels; the last may be 0, and then the last clipped x0 is returned.
        clip_x0: whether to clip.

    Returns:
        The state at the last level.
    """
    return euler((lambda x, sigma: denoiser(x, sigma).clamp(-1, 1)) if clip_x0 else denoiser, x, sigmas)


class DDIM(ScheduledSampler):
    """``ddim`` on a schedule that ends at sigma 0.

    With ``CosineVP``, ``steps`` equal to a student's number of steps and ``clip_x0`` it is the sampler of progressive
    distillation: times i / steps, the last step returning x0.
    """

    spec = specs.DDIM

    clip_x0: bool

    @property
    def nfe(self) -> int:
        return self.steps

    def integrate(self, denoiser: Denoiser, x: Tensor) -> Tensor:
        return ddim(denoiser, x, self.sigmas, clip_x0=self.clip_x0)
