"""The time as sines and cosines, as the networks of diffusion models are told it; in float32 whatever the rest is in.

Half precision would round the frequencies: at a time of 999 the phase of the fastest is then off by radians.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cos_sin(timesteps: Tensor, dim: int) -> Tensor:
    """Cosines, then sines, at frequencies from 1 down to almost 1/10000: (batch, dim), dim even."""
    half = dim // 2
    exponents = torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    phase = timesteps.float()[:, None] * torch.exp(-math.log(10_000) * exponents)
    return torch.cat([phase.cos(), phase.sin()], dim=1)


def sin_cos(timesteps: Tensor, dim: int) -> Tensor:
    """Sines, then cosines, at frequencies from 1 down to exactly 1/10000: (batch, dim), dim even."""
    half = dim // 2
    steps = torch.arange(half, dtype=torch.float32, device=timesteps.device)
    phase = timesteps.float()[:, None] * torch.exp(steps * (-math.log(10_000) / (half - 1)))
    return torch.cat([phase.sin(), phase.cos()], dim=1)
