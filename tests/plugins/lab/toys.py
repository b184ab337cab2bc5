"""Networks whose answers are known, or that learn in a second, for data N(mean, std²) on images of few pixels."""

from __future__ import annotations

import math

import torch
from reprozoo_plugins.lab.objectives import DenoisingObjective
from reprozoo_plugins.lab.objectives.denoising import EDMObjective, TimedObjective, X0Objective
from torch import Tensor, nn

from reprozoo.diffusion.kernels import per_sample


class Gaussian:
    """The best network for data N(mean, std²): whatever the objective asks for, in closed form."""

    def __init__(self, objective: DenoisingObjective, mean: float, std: float) -> None:
        self.objective, self.mean, self.std = objective, mean, std

    def x0(self, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x0 + sigma noise = x]."""
        return (self.std**2 * x + sigma**2 * self.mean) / (self.std**2 + sigma**2)

    def __call__(self, scaled: Tensor, label: Tensor) -> Tensor:
        label = label.double()
        if isinstance(self.objective, EDMObjective):
            sigma = (4 * label).exp()
            x = scaled.double() * per_sample((sigma**2 + self.objective.sigma_data**2).sqrt(), scaled)
        else:
            assert isinstance(self.objective, TimedObjective)
            kernel = self.objective.kernel
            fraction = (label / self.objective.time_scale).clamp(max=kernel.t_max)
            is_angle = isinstance(self.objective, X0Objective)
            sigma = (fraction * math.pi / 2).tan() if is_angle else kernel.sigma(fraction)
            x = scaled.double() / per_sample(kernel.alpha(kernel.time(sigma)), scaled)
        x0 = self.x0(x, per_sample(sigma, x))
        noise = (x - x0) / per_sample(sigma, x)
        return self.objective.target(x0, noise, x, sigma).to(scaled.dtype)


class PixelNet(nn.Module):
    """Every pixel by itself through two layers, told a number that may be as large as ``largest_time``."""

    def __init__(self, *, width: int = 64, largest_time: float = 1.0) -> None:
        super().__init__()
        self.largest_time = largest_time
        self.layers = nn.Sequential(
            nn.Linear(2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
        )

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        told = per_sample(time.to(x.dtype) / self.largest_time, x).expand_as(x)
        output: Tensor = self.layers(torch.stack([x, told], dim=-1))
        return output[..., 0]


class GaussianF(nn.Module):
    """EDM's raw network for data N(mean, std²)."""

    def __init__(self, *, mean: float, std: float) -> None:
        super().__init__()
        self.best = Gaussian(EDMObjective(), mean, std)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.best(x, time)


class GaussianX0(nn.Module):
    """Progressive distillation's network for data N(mean, std²)."""

    def __init__(self, *, mean: float, std: float) -> None:
        super().__init__()
        self.best = Gaussian(X0Objective(), mean, std)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.best(x, time)
