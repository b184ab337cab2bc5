"""How far from converged a network is: errors of a denoiser by noise level, and a distance between sets of images.

Neither needs another network, so both are the same wherever they are computed. Lower is better; the table shows the
best denoiser of Gaussian data beside the network, since one that is trained for a short time is hardly more than that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from reprozoo import Denoiser, NoiseBank

from .data import batches

SIGMAS = (0.1, 0.3, 1.0, 2.0, 5.0, 20.0, 75.0)
BATCH = 100
SIDE = 8  # pixels; what ``frechet_distance`` compares is images made this small


def denoising_errors(denoiser: Callable[[Tensor, Tensor, range], Tensor], images: Tensor) -> list[float]:
    """Mean squared error of a denoiser at each of ``SIGMAS``, pixels in [-1, 1].

    Args:
        denoiser: (x, sigma, rows) -> x0; ``rows`` are the numbers of the images.
        images: (n, channels, height, width) in [-1, 1]. Image i gets noise i of seed 0 at every level.
    """
    noise = NoiseBank(0).noise(range(len(images)), images.shape[1:]).to(images.device)
    errors = []
    for sigma in SIGMAS:
        total = 0.0
        for start in range(0, len(images), BATCH):
            rows = range(start, min(start + BATCH, len(images)))
            x0 = images[rows.start : rows.stop]
            x = x0 + sigma * noise[rows.start : rows.stop]
            found = denoiser(x, torch.full((len(x),), sigma, device=x.device), rows)
            total += float((found - x0).square().mean(dim=(1, 2, 3)).sum())
        errors.append(total / len(images))
    return errors


def gaussian_denoiser(denoiser: Denoiser) -> Callable[[Tensor, Tensor, range], Tensor]:
    """A map's denoiser in the form that ``denoising_errors`` takes; it runs in float64 on the CPU."""
    return lambda x, sigma, rows: denoiser(x.double().cpu(), sigma.double().cpu()).to(x)


def frechet_distance(images: Tensor, others: Tensor) -> float:
    """Fréchet distance between the Gaussians of two sets of images, averaged down to 8x8 pixels.

    0 for equal means and covariances. It sees colour and layout and no detail, and falls with the number of images:
    compare it with the distance between two sets of real ones.

    Args:
        images, others: (n, channels, height, width) in [-1, 1], more than a few hundred each.

    Source: arXiv:1706.08500, equation 6, on pixels in place of Inception's features.
    """
    (mean, covariance), (other_mean, other_covariance) = _moments(images), _moments(others)
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    distance = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * cross
    return float(distance.clamp(min=0))


def _moments(images: Tensor) -> tuple[Tensor, Tensor]:
    small = functional.adaptive_avg_pool2d(images.float().cpu(), SIDE).flatten(1).double()
    return small.mean(dim=0), torch.cov(small.T)


def sampled(sample: Callable[[Tensor], Tensor], count: int, noise_shape: Sequence[int]) -> Tensor:
    """``count`` images of ``sample`` from the noises of seed 0, clipped to [-1, 1], on the CPU."""
    noise = NoiseBank(0).noise(range(count), noise_shape)
    return torch.cat([sample(part).float().cpu().clamp(-1, 1) for part in batches(noise, BATCH)])


def rounded(value: float) -> float:
    """Four significant digits: more would differ between machines."""
    return value if value == 0 or not math.isfinite(value) else round(value, 3 - math.floor(math.log10(abs(value))))
