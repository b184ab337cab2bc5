"""Gaussian data: the one case in which denoiser and probability flow are both known exactly, for any kernel.

With x0 ~ N(mean, U diag(variances) U^T) and x = x0 + sigma * eps, in data units,

    D(x, sigma) = mean + U diag(l / (l + sigma^2)) U^T (x - mean)
    x(sigma)    = mean + sum_i sqrt((sigma^2 + l_i) / (sigma_T^2 + l_i)) <u_i, x(sigma_T) - mean> u_i

The kernel's alpha does not enter: x is its state divided by alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian over arrays of ``shape``, with the exact denoiser and the exact flow.

    Args:
        mean: (*shape) float64.
        variances: (dim,) eigenvalues of the covariance, positive.
        basis: (dim, dim) orthonormal columns, or None for the identity. With None everything is elementwise, so that
            rows of a batch cannot touch each other even by the rounding of a matrix product.
    """

    mean: Tensor
    variances: Tensor
    basis: Tensor | None = None

    @classmethod
    def random(cls, shape: tuple[int, ...] = (1, 2, 4), *, seed: int = 0, rotated: bool = True) -> Gaussian:
        """Variances from 0.01 to 1 and a mean within [-0.5, 0.5], as images in [-1, 1] have them."""
        generator = np.random.default_rng(seed)
        dim = math.prod(shape)
        basis = np.linalg.qr(generator.standard_normal((dim, dim)))[0]
        return cls(
            mean=torch.from_numpy(generator.uniform(-0.5, 0.5, shape)),
            variances=torch.logspace(-2, 0, dim, dtype=torch.float64),
            basis=torch.from_numpy(basis) if rotated else None,
        )

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The denoiser: E[x0 | x], for (batch, *shape) and (batch,)."""
        noise_variance = sigma.reshape(-1, 1).square()
        return self._along_axes(x, self.variances / (self.variances + noise_variance))

    def flow(self, x: Tensor, sigma_start: float, sigma_end: float) -> Tensor:
        """Where the probability-flow ODE takes ``x`` from one noise level to another, exactly."""
        return self._along_axes(x, ((sigma_end**2 + self.variances) / (sigma_start**2 + self.variances)).sqrt())

    def noisy(self, count: int, sigma: float, *, seed: int = 0) -> Tensor:
        """(count, *shape) states at noise level ``sigma``."""
        generator = np.random.default_rng(seed)
        eps = torch.from_numpy(generator.standard_normal((count, *self.mean.shape)))
        return self.mean + self._unmixed(eps, (self.variances + sigma**2).sqrt())

    def _along_axes(self, x: Tensor, factors: Tensor) -> Tensor:
        return self.mean + self._unmixed(x - self.mean, factors)

    def _unmixed(self, x: Tensor, factors: Tensor) -> Tensor:
        rows = x.reshape(len(x), -1)
        scaled = rows * factors if self.basis is None else (rows @ self.basis * factors) @ self.basis.T
        return scaled.reshape(x.shape)


class Counting:
    """A denoiser that counts how often each row of its batch was evaluated, and how often it was called."""

    def __init__(self, denoiser: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.denoiser = denoiser
        self.calls = 0
        self.rows = 0

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        assert sigma.shape == (len(x),), f"sigma is (batch,), got {tuple(sigma.shape)} for {tuple(x.shape)}"
        assert x.dtype == sigma.dtype == torch.float64, f"the state is float64, got {x.dtype} and {sigma.dtype}"
        self.calls += 1
        self.rows += len(x)
        return self.denoiser(x, sigma)
