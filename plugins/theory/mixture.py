"""A mixture of Gaussians: Proposition 2 of arXiv:2310.05264, with any means and covariances.

The posterior mean is the components' Wiener filters weighted by their responsibilities. The paper's data (mixture of
low-rank Gaussians on mutually orthogonal subspaces) is ``orthogonal_subspaces``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from reprozoo_plugins.theory.gaussian import Gaussian
from torch import Tensor

from reprozoo import NoiseBank, UsageError

# Seeds of mixtures are apart from the seeds people compare with: a basis made of the very noise that is then sampled
# would contain it, and the images would be nothing like the mixture's.
FIRST_SEED = 2**63


@dataclass(frozen=True)
class Mixture:
    """sum_k weights[k] N(mean_k, Sigma_k).

    Attributes:
        components: the Gaussians, all of one dimension.
        log_weights: (components,), log of the mixing weights; they need not be normalised.
    """

    components: tuple[Gaussian, ...]
    log_weights: Tensor

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x] for rows ``x`` (batch, dim) at noise levels ``sigma`` (batch,)."""
        responsibilities = torch.softmax(self._log_joint(x, sigma), dim=1)
        total = torch.zeros_like(x)
        for k, component in enumerate(self.components):
            total += responsibilities[:, k, None] * component.denoise(x, sigma)
        return total

    def log_density(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Log density (batch,) of x = x0 + sigma * eps, in nats."""
        return torch.logsumexp(self._log_joint(x, sigma), dim=1)

    def _log_joint(self, x: Tensor, sigma: Tensor) -> Tensor:
        log_weights = self.log_weights - torch.logsumexp(self.log_weights, 0)
        densities = [component.log_density(x, sigma) for component in self.components]
        return log_weights + torch.stack(densities, dim=1)


def orthogonal_subspaces(dim: int, *, components: int, rank: int, seed: int) -> Mixture:
    """The paper's synthetic data: equal weights, N(0, U_k U_k^T) with disjoint columns of one random orthogonal matrix.

    Args:
        dim: dimension of the data.
        components, rank: number of subspaces and the dimension of each.
        seed: which random orthogonal matrix; drawn from the core's noise, so the same everywhere.

    Raises:
        UsageError: components * rank is more than ``dim``, so the subspaces cannot be orthogonal.

    Source: arXiv:2310.05264, appendix C; huijieZH/Diffusion-Model-Generalizability@6c7576c `trainMoLRG.py`.
    """
    if components < 1 or rank < 1 or components * rank > dim:
        raise UsageError(f"{components} orthogonal subspaces of dimension {rank} do not fit into dimension {dim}")
    columns = NoiseBank(FIRST_SEED + seed).noise(range(components * rank), (dim,)).double().T
    basis, triangle = torch.linalg.qr(columns)
    basis = basis * torch.sign(torch.diagonal(triangle))  # the sign of a column is the library's choice; fix it
    blocks = basis.split(rank, dim=1)
    zero, one = torch.zeros(dim, dtype=torch.float64), torch.ones(rank, dtype=torch.float64)
    return Mixture(tuple(Gaussian(zero, block, one) for block in blocks), torch.zeros(components, dtype=torch.float64))
