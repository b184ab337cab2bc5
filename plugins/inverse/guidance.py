"""How far and where an observation pushes a state: the gradient of its misfit through the denoiser, and the step size.

The original's state is the network's own x_t = alpha * x; here the state is x, in data units. With s before and t after
a step, x_t' = x_t - zeta * grad_{x_s}(misfit) becomes x' = x - zeta / (alpha_s * alpha_t) * grad_x(misfit): that factor
is ``scale``. "vp" takes the alpha of a variance-preserving state, 1 / sqrt(1 + sigma^2), whatever the model's own
kernel, so that one algorithm runs over every denoiser; "kernel" takes the model's own, and "data" 1 (that of VE and
EDM).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from reprozoo_plugins.inverse.units import Units
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from reprozoo import Denoiser
from reprozoo.diffusion.kernels import Kernel, at, per_sample
from reprozoo.diffusion.observations import ObservedBatch
from reprozoo.diffusion.sampling import evaluate

# Of the squared misfit's gradient, 2 A^T (A x0 - y): all the way to the measurement where x0 follows x one to one.
FULL_STEP = 0.5


@dataclass(frozen=True)
class Guidance:
    """Step sizes of diffusion posterior sampling.

    Attributes:
        zeta: the step size; None for ``FULL_STEP`` over the operator's A A^T, or 1 with the schedule "posterior".
        norm: whether the misfit is ||y - A x0|| ("plain") or its square.
        schedule: "constant": the same zeta at every step; "posterior": zeta times what the probability flow of the
            posterior asks for where the data have the std ``data_std`` in every direction (squared norm only).
        scale: see the module.
        data_std: for the schedule "posterior"; None for infinitely wide data.
    """

    zeta: float | None
    norm: str
    schedule: str
    scale: str
    data_std: float | None = None

    def step_sizes(self, sigma: float, following: float, kernel: Kernel, *, noise_std: Tensor, gram: Tensor) -> Tensor:
        """(batch,) factors of the misfit's gradient for a step from ``sigma`` to ``following``.

        "posterior": the flow of p(x | y) differs from that of p(x) by sigma * grad log p(y | x), and y given x has the
        variance of its noise and, where A A^T = gram I, gram times that of x0: 1 / (1 / data_std^2 + 1 / sigma^2).

        Args:
            noise_std: (batch,) of the measurements, in the units of the state.
            gram: (batch,) of their operators.
        """
        if self.schedule == "constant":
            zeta = FULL_STEP / gram if self.zeta is None else torch.full_like(gram, self.zeta)
            return zeta * self._conversion(sigma, following, kernel)
        precision = 1 / sigma**2 + (0.0 if self.data_std is None else 1 / self.data_std**2)
        variance = noise_std.square() + gram / precision
        return (1.0 if self.zeta is None else self.zeta) * sigma * (sigma - following) / (2 * variance)

    def _conversion(self, sigma: float, following: float, kernel: Kernel) -> float:
        if self.scale == "data":
            return 1.0
        if self.scale == "vp":
            return math.hypot(1, sigma) * math.hypot(1, following)
        return 1 / (_alpha(kernel, sigma) * _alpha(kernel, following))


def estimate_and_gradient(
    denoiser: Denoiser, x: Tensor, sigma: float, observed: ObservedBatch, units: Units, *, norm: str, clip: bool
) -> tuple[Tensor, Tensor]:
    """The denoiser's estimate at ``x`` and the gradient of its misfit, from one evaluation.

    The misfits are summed over the batch, so that each row of the gradient is of its own misfit alone.

    Args:
        x: (batch, ...) float64 state.
        units: those of the state.
        norm: "plain" or "squared".
        clip: whether the image is clipped to [-1, 1], as the original does.

    Returns:
        x0 and the gradient, both of ``x``'s shape and without a graph; the gradient is the step that moves the image
        by the misfit's gradient in units of images.
    """
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):  # the fused kernels' gradients differ from run to run
        x = x.detach().requires_grad_()
        images = units.images(evaluate(denoiser, x, sigma))
        images = images.clamp(-1, 1) if clip else images
        misfits = observed.misfits(images)
        total = (misfits if norm == "plain" else misfits.square()).sum()
        (gradient,) = torch.autograd.grad(total, x)
    return units.states(images.detach()), gradient / units.slope**2


def corrected(x: Tensor, gradient: Tensor, step_sizes: Tensor) -> Tensor:
    """x - step size * gradient, row by row."""
    return x - per_sample(step_sizes, x) * gradient


def _alpha(kernel: Kernel, sigma: float) -> float:
    """The signal scale of the kernel at a noise level; 1 where there is no noise."""
    return at(kernel.alpha, at(kernel.time, sigma)) if sigma > 0 else 1.0
