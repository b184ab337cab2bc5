"""A Gaussian with a low-rank-plus-isotropic covariance, its denoiser, density and probability flow.

Sources: arXiv:2311.10892 and arXiv:2412.09726 (Wang and Vastola); arXiv:2310.05264, Lemma 1. Everything is in float64
and in data units: x = x0 + sigma * eps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """N(mean, U diag(values) U^T + rest (I - U U^T)).

    Attributes:
        mean: (dim,); or (batch, dim) for Gaussians of one covariance, a mean for each row.
        vectors: (dim, rank), orthonormal columns U.
        values: (rank,), variances along them.
        rest: variance in every direction orthogonal to them; 0 for a Gaussian on a subspace.
    """

    mean: Tensor
    vectors: Tensor
    values: Tensor
    rest: float = 0.0

    def covariance(self) -> Tensor:
        """(dim, dim)."""
        spread = (self.vectors * (self.values - self.rest)) @ self.vectors.T
        return spread + self.rest * torch.eye(len(spread), dtype=spread.dtype, device=spread.device)

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x] for rows ``x`` (batch, dim) at noise levels ``sigma`` (batch,): the Wiener filter."""
        variance = sigma[:, None] ** 2
        return self._scaled(x, self.values / (self.values + variance), self.rest / (self.rest + variance))

    def flow(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The probability flow from ``sigma`` (batch,) down to 0, exactly: each direction shrinks by its own factor."""
        variance = sigma[:, None] ** 2
        shrink = torch.sqrt(self.values / (self.values + variance))
        return self._scaled(x, shrink, torch.sqrt(torch.as_tensor(self.rest) / (self.rest + variance)))

    def log_density(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Log density (batch,) of x = x0 + sigma * eps, in nats."""
        centred = x - self.mean
        variance = sigma[:, None] ** 2
        along = centred @ self.vectors
        orthogonal = (centred**2).sum(1) - (along**2).sum(1)
        inside, outside = self.values + variance, self.rest + variance[:, 0]
        free = self.mean.numel() - self.values.numel()
        mahalanobis = (along**2 / inside).sum(1) + orthogonal / outside
        log_determinant = torch.log(inside).sum(1) + free * torch.log(outside)
        return -0.5 * (mahalanobis + log_determinant + self.mean.numel() * math.log(2 * math.pi))

    def _scaled(self, x: Tensor, along: Tensor, outside: Tensor) -> Tensor:
        """mean + (U diag(along) U^T + outside (I - U U^T)) (x - mean)."""
        centred = x - self.mean
        coefficients = centred @ self.vectors
        return self.mean + outside * centred + (coefficients * (along - outside)) @ self.vectors.T
