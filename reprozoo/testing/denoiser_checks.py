"""What the denoiser of a map promises, so that any sampler and any guidance can use it (``maps.Denoiser``).

That D(x, sigma) approaches x as sigma falls to 0 is not among it: the optimal denoiser of a finite training set returns
a training image at every sigma, and a network that predicts x0 itself owes the limit to nobody.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reprozoo.diffusion.denoisers import DenoiserMap
from reprozoo.diffusion.kernels import at, per_sample
from reprozoo.engine.executors.sampling import exact_numerics
from reprozoo.testing.results import CheckSkipped, expect
from reprozoo.testing.subject import BATCH, Subject, largest_gap

LEAST_SIGMA, LARGEST_SIGMA = 0.002, 80.0  # EDM's; where a kernel goes beyond, only finiteness is checked there
# float32 rounding of one evaluation, as a share of the row's sigma: an error of the noise estimate counts sigma times.
ROW_TOLERANCE = 1e-3
STEP = 1e-2  # of the finite difference: float32 rounding of 1e-6 becomes 1e-4
SLOPE_TOLERANCE, SLOPE_FLOOR = 0.05, 2e-3  # curvature over a step; rounding


def check_denoiser_dtype(subject: Subject) -> str:
    """A float64 state gives a float64 estimate of its shape."""
    x, sigma = _probe(subject, _levels(_denoiser_map(subject)))
    estimate = _denoise(subject, x, sigma)
    came = f"{estimate.dtype} {tuple(estimate.shape)}"
    expect(estimate.shape == x.shape, f"of float64 {tuple(x.shape)} the denoiser made {came}: another shape")
    expect(estimate.dtype == x.dtype, f"of float64 {tuple(x.shape)} the denoiser made {came}: another type")
    return came


def check_denoiser_range(subject: Subject) -> str:
    """The estimate is finite at both ends of the kernel's noise levels."""
    low, high = _ends(_denoiser_map(subject))
    for sigma in (low, high):
        estimate = _denoise(subject, *_probe(subject, [sigma] * BATCH))
        expect(bool(torch.isfinite(estimate).all()), f"the denoiser gives NaN or infinity at sigma = {sigma:.4g}")
    return f"finite at sigma = {low:.3g} and {high:.3g}"


def check_denoiser_rows(subject: Subject) -> str:
    """A row's estimate depends on its own state and sigma: at three noise levels together, and each alone."""
    levels = _levels(_denoiser_map(subject))
    x, sigma = _probe(subject, levels)
    together = _denoise(subject, x, sigma)
    gaps = [largest_gap(_denoise(subject, x[i : i + 1], sigma[i : i + 1], row=i)[0], together[i]) for i in range(BATCH)]
    for gap, level in zip(gaps, levels, strict=True):
        limit = ROW_TOLERANCE * max(1.0, level)
        expect(
            gap <= limit,
            f"the estimate at sigma = {level:.3g}, alone and beside rows of other sigmas, differs by {gap:.3g} "
            f"(limit {limit:.1g}): choose by each row's own sigma",
        )
    return f"alone and beside other sigmas differ by {max(gaps):.2g}"


def check_denoiser_gradient(subject: Subject) -> str:
    """The estimate can be differentiated in ``x``, as guidance by an observation needs: truly, and row by row."""
    low, high = _ends(_denoiser_map(subject))
    x, sigma = _probe(subject, [min(max(1.0, low), high)] * BATCH)
    weights = torch.nn.functional.normalize(subject.noise().to(x).flatten(1), dim=1).flip(0).reshape(x.shape)[0]
    with torch.enable_grad():
        state = x.clone().requires_grad_()
        value = (_denoise(subject, state, sigma, gradient=True)[0] * weights).sum()
        expect(value.requires_grad, "no gradient reaches x: the denoiser detaches it, or runs under no_grad")
        (gradient,) = torch.autograd.grad(value, state, allow_unused=True)
    expect(gradient is not None, "no gradient reaches x: the denoiser detaches it, or runs under no_grad")
    expect(bool(torch.isfinite(gradient).all()), "the gradient of the denoiser holds NaN or infinity")
    leak = float(gradient[1:].abs().max())
    expect(leak <= 1e-6 * float(gradient[0].abs().max()), f"a row's gradient reaches other rows: {leak:.3g}")
    return _compare_slopes(subject, x, sigma, weights, gradient[0])


def check_denoiser_inputs(subject: Subject) -> str:
    """The state and the sigmas handed in are left as they were: samplers go on using them."""
    x, sigma = _probe(subject, _levels(_denoiser_map(subject)))
    before = x.clone(), sigma.clone()
    with torch.no_grad():
        _denoiser_map(subject).denoise(x, sigma, subject.conditions)
    changed = [name for name, a, b in zip(("x", "sigma"), before, (x, sigma), strict=True) if not torch.equal(a, b)]
    expect(not changed, f"the denoiser wrote into {' and '.join(changed)}; copy before changing in place")
    return "untouched"


def _compare_slopes(subject: Subject, x: Tensor, sigma: Tensor, weights: Tensor, gradient: Tensor) -> str:
    """The slope along the gradient against a finite difference: a part that was detached shows."""
    if getattr(subject.map, "dtype", torch.float32) not in (torch.float32, torch.float64):
        return "reaches its own row alone; not compared with a finite difference in half precision"
    size = float(gradient.norm())
    towards = gradient / size if size > 0 else weights
    ends = []
    for sign in (1, -1):
        moved = x.clone()
        moved[0] += sign * STEP * towards
        ends.append(float((_denoise(subject, moved, sigma)[0] * weights).sum()))
    measured = (ends[0] - ends[1]) / (2 * STEP)
    expect(
        abs(measured - size) <= SLOPE_TOLERANCE * size + SLOPE_FLOOR,
        f"along its gradient the denoiser rises by {measured:.4g}, the gradient says {size:.4g}: a part is detached",
    )
    return f"slope {size:.4g}, measured {measured:.4g}; reaches its own row alone"


def _denoiser_map(subject: Subject) -> DenoiserMap:
    loaded = subject.map
    if not isinstance(loaded, DenoiserMap):
        raise CheckSkipped("the map has no denoiser")
    return loaded


def _ends(loaded: DenoiserMap) -> tuple[float, float]:
    """Lowest positive and highest noise level at which samplers ask by default."""
    kernel = loaded.kernel
    return max(LEAST_SIGMA, at(kernel.sigma, kernel.t_min)), at(kernel.sigma, kernel.t_max)


def _levels(loaded: DenoiserMap) -> list[float]:
    """``BATCH`` noise levels from high to low."""
    low, high = _ends(loaded)
    high = min(high, LARGEST_SIGMA)
    return [math.exp(math.log(high) + i / (BATCH - 1) * math.log(low / high)) for i in range(BATCH)]


def _probe(subject: Subject, levels: list[float]) -> tuple[Tensor, Tensor]:
    """States of data of std 0.5 at these noise levels, and the levels; float64 where the denoiser runs."""
    sigma = torch.tensor(levels, dtype=torch.float64, device=_denoiser_map(subject).device)
    noise = subject.noise().to(sigma)
    return noise * per_sample((sigma**2 + 0.25).sqrt(), noise), sigma


def _denoise(subject: Subject, x: Tensor, sigma: Tensor, *, row: int | None = None, gradient: bool = False) -> Tensor:
    """The estimate of copies of ``x`` and ``sigma``: of all rows, or of the one whose condition is that of ``row``."""
    conditions = subject.conditions if row is None else subject.conditions[row : row + 1]
    with exact_numerics(), torch.set_grad_enabled(gradient):
        return _denoiser_map(subject).denoise(x.clone(), sigma.clone(), conditions)
