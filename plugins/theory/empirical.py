"""The optimal denoiser of a finite training set: Proposition 1 of arXiv:2310.05264.

E[x0 | x] = sum_i w_i y_i with w = softmax_i(-||x - y_i||^2 / (2 sigma^2)). The set is read once per call, in chunks, as
two matrix products with a running log-sum-exp; it stays in memory as uint8.

Precision. Squared distances come from a float32 matrix product of centred images, whose rounding matters once it is
divided by 2 sigma^2 for small sigma. There the weights sit on few images, so the ``CANDIDATES`` nearest of each row are
kept and, wherever they hold all of the weight, their distances are computed again in float64.

The authors' generate.py reads the set twice per denoiser call through a data loader, and integrates with Euler where
their networks use Heun (arXiv:2310.05264 code @6c7576c); here theory and network use the same sampler.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CANDIDATES = 32
OUTSIDE_TOLERANCE = 1e-6  # weight outside the candidates below which they are taken to be all
CHUNK_IMAGES = 4096


@dataclass
class _Running:
    """Log-sum-exp and weighted sum over the images seen so far, per row."""

    top: Tensor
    total: Tensor
    weighted: Tensor
    best: Tensor
    best_index: Tensor


class EmpiricalDenoiser:
    """E[x0 | x] for the uniform distribution on ``images``.

    Args:
        images_u8: (n, dim) uint8 training images; pixel p stands for p / 127.5 - 1.
        device: where the products run.
    """

    def __init__(self, images_u8: Tensor, device: torch.device) -> None:
        self.images = images_u8.to(device)
        chunks = self.images.split(CHUNK_IMAGES)
        total = torch.stack([chunk.sum(0, dtype=torch.float64) for chunk in chunks]).sum(0)
        self.mean = total / len(self.images) / 127.5 - 1
        self.offset = (self.mean + 1).float()
        self.squared_norms = torch.cat([self._centred(chunk).square().sum(1) for chunk in chunks])

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Posterior mean of rows ``x`` (batch, dim) float64 at ``sigma`` (batch,); differentiable in ``x``."""
        centred = (x - self.mean).float()
        precision = (1 / sigma**2).float()[:, None]
        state = self._pass(centred, precision)
        log_total = state.top + torch.log(state.total)
        inside = torch.exp(torch.logsumexp(state.best, dim=1) - log_total[:, 0])
        mean = state.weighted / state.total
        answer = mean.double() + self.mean
        concentrated = inside > 1 - OUTSIDE_TOLERANCE
        if concentrated.any():
            exact = self._exact(x[concentrated], sigma[concentrated], state.best_index[concentrated])
            answer = answer.index_put((concentrated.nonzero()[:, 0],), exact)
        return answer

    def _pass(self, x: Tensor, precision: Tensor) -> _Running:
        """One pass over the set: logits relative to -||x||^2 / (2 sigma^2), which every image shares."""
        rows, dim = x.shape
        keep = min(CANDIDATES, len(self.images))
        lowest = torch.full((rows, 1), -torch.inf, device=x.device)
        state = _Running(
            lowest,
            torch.zeros_like(lowest),
            torch.zeros(rows, dim, device=x.device),
            lowest.expand(rows, keep),
            torch.zeros(rows, keep, dtype=torch.long, device=x.device),
        )
        for start in range(0, len(self.images), CHUNK_IMAGES):
            chunk = self._centred(self.images[start : start + CHUNK_IMAGES])
            norms = self.squared_norms[start : start + CHUNK_IMAGES]
            logits = (x @ chunk.T - norms / 2) * precision
            top = torch.maximum(state.top, logits.amax(1, keepdim=True))
            rescale, weights = torch.exp(state.top - top), torch.exp(logits - top)
            best, order = torch.cat([state.best, logits], 1).topk(keep, dim=1)
            positions = torch.arange(start, start + len(chunk), device=x.device).expand(rows, -1)
            state = _Running(
                top,
                state.total * rescale + weights.sum(1, keepdim=True),
                state.weighted * rescale + weights @ chunk,
                best,
                torch.cat([state.best_index, positions], 1).gather(1, order),
            )
        return state

    def _exact(self, x: Tensor, sigma: Tensor, index: Tensor) -> Tensor:
        """The same from the candidates alone, in float64."""
        candidates = self.images[index].double() / 127.5 - 1
        distances = ((x[:, None] - candidates) ** 2).sum(2)
        weights = torch.softmax(-distances / (2 * sigma[:, None] ** 2), dim=1)
        return (weights[:, :, None] * candidates).sum(1)

    def _centred(self, images_u8: Tensor) -> Tensor:
        """float32 y - mean; its rounding is the same in norms and products, so distances stay consistent."""
        return images_u8.float().div_(127.5).sub_(self.offset)
