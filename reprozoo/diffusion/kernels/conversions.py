"""From what a network predicts to x0 and back: eps, v, score, F (EDM) and the velocity of a flow.

Pure functions. Throughout, ``x = x0 + sigma * eps`` is in data units, (batch, ...), and ``sigma`` is (batch,); the
predictions are those of the model's own parameterisation, which does not depend on the scale ``alpha`` of its state:

    eps    the noise
    score  gradient of log p(x; sigma) in data units; a score of the kernel's state x_t = alpha * x is this / alpha
    v      alpha * eps - std * x0 of a variance-preserving state, alpha = 1 / sqrt(1 + sigma^2)   (arXiv:2202.00512)
    F      the raw network of EDM, x0 = c_skip * x + c_out * F                                    (arXiv:2206.00364)
    flow   eps - x0, the velocity of x_t = (1 - t) x0 + t eps                                     (arXiv:2209.03003)

Each ``<name>_from_x0`` is the inverse of its ``x0_from_<name>``. Where one divides by sigma, sigma must be positive.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Preconditioning(NamedTuple):
    """EDM's four scalars of sigma, each (batch,): x0 = c_skip * x + c_out * F(c_in * x, c_noise)."""

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor


def edm_preconditioning(sigma: Tensor, *, sigma_data: float = 0.5) -> Preconditioning:
    """The scalars that keep EDM's network inputs and targets at unit variance. Source: arXiv:2206.00364, table 1."""
    total = (sigma.square() + sigma_data**2).sqrt()
    return Preconditioning(
        c_skip=(sigma_data / total).square(), c_out=sigma * sigma_data / total, c_in=1 / total, c_noise=sigma.log() / 4
    )


def consistency_preconditioning(sigma: Tensor, *, sigma_data: float = 0.5, sigma_min: float = 0.002) -> Preconditioning:
    """EDM's scalars, moved so that a consistency function is the identity at ``sigma_min``: c_skip 1 and c_out 0.

    Source: arXiv:2303.01469, appendix C.
    """
    rise, total = sigma - sigma_min, (sigma.square() + sigma_data**2).sqrt()
    return Preconditioning(
        c_skip=sigma_data**2 / (rise.square() + sigma_data**2),
        c_out=rise * sigma_data / total,
        c_in=1 / total,
        c_noise=sigma.log() / 4,
    )


def per_sample(values: Tensor, x: Tensor) -> Tensor:
    """(batch,) as (batch, 1, ..., 1), to be multiplied with ``x`` of (batch, ...)."""
    return values.reshape(-1, *[1] * (x.ndim - 1))


def x0_from_eps(x: Tensor, sigma: Tensor, eps: Tensor) -> Tensor:
    """x0 = x - sigma * eps."""
    return x - per_sample(sigma, x) * eps


def eps_from_x0(x: Tensor, sigma: Tensor, x0: Tensor) -> Tensor:
    """eps = (x - x0) / sigma."""
    return (x - x0) / per_sample(sigma, x)


def x0_from_score(x: Tensor, sigma: Tensor, score: Tensor) -> Tensor:
    """x0 = x + sigma^2 * score (Tweedie)."""
    return x + per_sample(sigma, x).square() * score


def score_from_x0(x: Tensor, sigma: Tensor, x0: Tensor) -> Tensor:
    """score = (x0 - x) / sigma^2."""
    return (x0 - x) / per_sample(sigma, x).square()


def x0_from_v(x: Tensor, sigma: Tensor, v: Tensor) -> Tensor:
    """x0 = alpha^2 * x - std * v."""
    sigma = per_sample(sigma, x)
    variance = 1 + sigma.square()
    return x / variance - sigma / variance.sqrt() * v


def v_from_x0(x: Tensor, sigma: Tensor, x0: Tensor) -> Tensor:
    """v = alpha * eps - std * x0."""
    eps = eps_from_x0(x, sigma, x0)
    sigma = per_sample(sigma, x)
    return (eps - sigma * x0) / (1 + sigma.square()).sqrt()


def x0_from_F(x: Tensor, sigma: Tensor, F: Tensor, *, sigma_data: float = 0.5) -> Tensor:
    """x0 = c_skip * x + c_out * F."""
    c = edm_preconditioning(sigma, sigma_data=sigma_data)
    return per_sample(c.c_skip, x) * x + per_sample(c.c_out, x) * F


def F_from_x0(x: Tensor, sigma: Tensor, x0: Tensor, *, sigma_data: float = 0.5) -> Tensor:
    """F = (x0 - c_skip * x) / c_out."""
    c = edm_preconditioning(sigma, sigma_data=sigma_data)
    return (x0 - per_sample(c.c_skip, x) * x) / per_sample(c.c_out, x)


def x0_from_flow(x: Tensor, sigma: Tensor, velocity: Tensor) -> Tensor:
    """x0 = (x - sigma * velocity) / (1 + sigma)."""
    sigma = per_sample(sigma, x)
    return (x - sigma * velocity) / (1 + sigma)


def flow_from_x0(x: Tensor, sigma: Tensor, x0: Tensor) -> Tensor:
    """velocity = eps - x0."""
    return eps_from_x0(x, sigma, x0) - x0
