"""``Kernel``: how noise is mixed into data, as two functions of the model's time.

A perturbed sample is ``x_t = alpha(t) * (x0 + sigma(t) * eps)``: ``sigma`` is the noise std in *data units* (Karras's
sigma, the one every denoiser takes), ``alpha`` the signal scale, ``alpha * sigma`` the std of the noise in ``x_t``.
arXiv:2310.05264 writes s_t and sigma_t for the two.

Every function takes and returns float64 tensors of any shape and is elementwise.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from reprozoo.base.errors import UsageError


class Kernel(ABC):
    """A perturbation kernel; subclasses are frozen dataclasses of its parameters.

    Attributes:
        name: as cards write it.
        t_min: the smallest time at which samplers ask by default; the noise left there is invisible.
        t_max: the time of the starting noise.
        prior_std: std of the starting state ``x_t`` at ``t_max``: 1, or ``sigma(t_max)`` where alpha is 1.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def t_min(self) -> float: ...

    @property
    @abstractmethod
    def t_max(self) -> float: ...

    @property
    @abstractmethod
    def prior_std(self) -> float: ...

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Signal scale, decreasing in ``t`` or 1 throughout."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Noise std in data units, strictly increasing in ``t``."""

    @abstractmethod
    def time(self, sigma: Tensor) -> Tensor:
        """Inverse of ``sigma``."""

    @abstractmethod
    def dlog_alpha_dt(self, t: Tensor) -> Tensor:
        """Derivative of ``log(alpha)``: the drift coefficient f(t) of the stochastic differential equation."""

    @abstractmethod
    def dsigma_dt(self, t: Tensor) -> Tensor:
        """Derivative of ``sigma``."""

    @final
    def std(self, t: Tensor) -> Tensor:
        """Std of the noise in ``x_t``: ``alpha(t) * sigma(t)``."""
        return self.alpha(t) * self.sigma(t)

    @final
    def initial_state(self, noise: Tensor) -> Tensor:
        """The state at ``t_max`` in data units: ``noise * prior_std / alpha(t_max)``.

        Args:
            noise: (batch, ...) float64, unit variance.
        """
        return noise * (self.prior_std / at(self.alpha, self.t_max))

    def config(self) -> dict[str, Any]:
        """The kernel as JSON; ``kernel_from_config`` builds an equal one from it."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]  # every subclass is a dataclass


def at(function: Callable[[Tensor], Tensor], t: float) -> float:
    """``function(t)`` of one time as a Python float, e.g. ``at(kernel.sigma, 1.0)``."""
    return float(function(torch.tensor(t, dtype=torch.float64)))


def expect_increasing(kernel: str, **parameters: float) -> None:
    """Check that parameters are finite, positive and in increasing order.

    Raises:
        UsageError: they are not.
    """
    values = list(parameters.values())
    ordered = all(low < high for low, high in zip([0.0, *values], values, strict=False))
    if not (ordered and all(map(math.isfinite, values))):
        came = ", ".join(f"{name}={value}" for name, value in parameters.items())
        raise UsageError(f"kernel {kernel}: expected 0 < {' < '.join(parameters)}, got {came}")
