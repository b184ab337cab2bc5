"""The exact posterior of Gaussian data under a linear measurement: what solvers of inverse problems are held against.

x0 ~ N(m, C) and y = A x0 + s eps give x0 given y ~ N(m + K (y - A m), C - K A C), K = C A^T (A C A^T + s^2 I)^-1. The
image of a noise is the probability flow of that Gaussian from the kernel's largest noise level to 0, in closed form, so
equal noise means the same direction of the posterior's spread; or the posterior mean, whatever the noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from reprozoo_plugins.theory.adapter import TheoryMap
from reprozoo_plugins.theory.gaussian import Gaussian
from torch import Tensor

from reprozoo import Condition, NoiseToImageMap, UsageError
from reprozoo.diffusion.kernels import at
from reprozoo.diffusion.observations import LinearOperator, ObservedBatch, observations_of

LARGEST_DIM = 4096  # of an image; matrices of this size are made, and one is taken apart
SMALLEST_VARIANCE = 1e-12  # relative to the largest; what is below was measured exactly


class PosteriorGain:
    """What one operator at one noise level makes of a Gaussian: the gain K and the flow's own directions.

    Args:
        prior: N(m, C).
        operator: A.
        noise_std: s.
    """

    def __init__(self, prior: Gaussian, operator: LinearOperator, noise_std: float) -> None:
        self.prior, self.operator = prior, operator
        dim = prior.mean.numel()
        identity = torch.eye(dim, dtype=torch.float64, device=prior.mean.device)
        measured = operator.forward(prior.covariance().reshape(dim, *operator.image_shape)).flatten(1)  # C A^T
        seen = operator.forward(measured.T.reshape(-1, *operator.image_shape)).flatten(1)  # A C A^T
        noisy = seen + noise_std**2 * identity[: len(seen), : len(seen)]
        self.gain = measured @ torch.linalg.pinv(noisy, hermitian=True)
        covariance = prior.covariance() - self.gain @ measured.T
        self.values, self.vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
        self.values = self.values.clamp(min=SMALLEST_VARIANCE * float(self.values[-1]))

    def given(self, measurements: Tensor) -> Gaussian:
        """The posterior of each measurement: a mean a row, one covariance."""
        expected = self.operator.forward(self.prior.mean.reshape(1, *self.operator.image_shape))
        mean = self.prior.mean + (measurements - expected).flatten(1) @ self.gain.T
        return Gaussian(mean, self.vectors, self.values)


class GaussianPosteriorMap(NoiseToImageMap):
    """Noise to a sample of the posterior, or to its mean.

    Args:
        base: a map of Gaussian data.
        gaussian: the data.
        estimate: "sample" or "mean".
    """

    def __init__(self, base: TheoryMap, gaussian: Gaussian, *, estimate: str) -> None:
        self.base, self.gaussian, self.estimate = base, gaussian, estimate
        self.noise_shape, self.image_shape = base.noise_shape, base.image_shape
        self.accepts = self.requires = frozenset({"observation"})
        self.nfe = 0
        self._gains: dict[str, PosteriorGain] = {}

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return self.integrate(noise, conditions).clamp(-1.0, 1.0)

    def integrate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Images that are not clamped yet, float64 on the device."""
        kernel = self.base.kernel
        x = kernel.initial_state(noise.to(self.base.device, torch.float64)).flatten(1)
        sigma = at(kernel.sigma, kernel.t_max)
        observed = ObservedBatch(observations_of(conditions), self.image_shape, self.base.device)
        images = torch.empty_like(x)
        for group in observed.groups:
            posterior = self._gain(group.operator, group.noise_std).given(group.measurements)
            rows = x[group.rows]
            levels = rows.new_full((len(rows),), sigma)
            images[group.rows] = posterior.mean if self.estimate == "mean" else posterior.flow(rows, levels)
        return images.reshape(noise.shape)

    def _gain(self, operator: LinearOperator, noise_std: float) -> PosteriorGain:
        key = f"{operator.config()} {noise_std!r}"
        if key not in self._gains:
            self._gains[key] = PosteriorGain(self.gaussian, operator, noise_std)
        return self._gains[key]


def load_gaussian_posterior(base: NoiseToImageMap, options: Mapping[str, Any]) -> GaussianPosteriorMap:
    """The solver ``gaussian-posterior`` over a map of Gaussian data.

    Raises:
        UsageError: the map is another one, or its images are too large for matrices of their covariance.
    """
    gaussian = base.gaussian if isinstance(base, TheoryMap) else None
    if not isinstance(base, TheoryMap) or gaussian is None:
        raise UsageError(
            f"the solver gaussian-posterior is for Gaussian data (theory-gaussian) alone, and {base.display_name} is "
            "none; use dps"
        )
    if gaussian.mean.numel() > LARGEST_DIM:
        raise UsageError(
            f"the solver gaussian-posterior makes matrices of {gaussian.mean.numel()}² numbers; images of up to "
            f"{LARGEST_DIM} values fit"
        )
    return GaussianPosteriorMap(base, gaussian, estimate=options["estimate"])
