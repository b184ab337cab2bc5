"""Networks that make an image of a vector in one go: decoders of VAEs.

``GatedDecoder`` has the parameter names of jmtomczak/vae_vampprior@bb6ff3e5 ``models/VAE.py`` (MIT), so that its files
load strictly; written from the paper. ``FlowDecoder`` is this project's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reprozoo.base.errors import UsageError

from .generators import GENERATORS


class GatedDecoder(nn.Module):
    """The decoder of the VampPrior's plain VAE: two gated layers, then the mean of every pixel in [0, 1].

    Source: Tomczak and Welling 2018, arXiv:1705.07120.

    Args:
        z_dim: length of the latent.
        hidden: width of the two layers.
        image_shape: (channels, height, width).
    """

    def __init__(self, *, z_dim: int, hidden: int = 300, image_shape: Sequence[int] = (3, 32, 32)) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.p_x_layers = nn.ModuleList([GatedDense(z_dim, hidden), GatedDense(hidden, hidden)])
        self.p_x_mean = nn.ModuleDict({"linear": nn.Linear(hidden, math.prod(image_shape))})

    def forward(self, z: Tensor) -> Tensor:
        """Images (batch, channels, height, width) in [-1, 1] of ``z`` (batch, z_dim)."""
        for layer in self.p_x_layers:
            z = layer(z)
        mean = torch.sigmoid(self.p_x_mean["linear"](z))
        return (2 * mean - 1).reshape(len(z), *self.image_shape)


class GatedDense(nn.Module):
    """A linear layer times the sigmoid of another."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.h, self.g = nn.Linear(in_features, out_features), nn.Linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = self.h(x) * torch.sigmoid(self.g(x))
        return gated


class FlowDecoder(nn.Module):
    """A generator behind a learned prior: unit noise, through an invertible network to the latent, to the image.

    Latents of data are not normal, and a plain VAE's decoder is never shown what it then draws. Here the density of
    latents is learned with the rest, and noise to image stays one deterministic function.

    Sources: Dinh et al. 2017, arXiv:1605.08803 (the affine couplings); Chen et al. 2017, arXiv:1611.02731, section 3.2
    (a flow for a VAE's prior).

    Args:
        decoder: "simple-cnn" or "resnet", a generator of ``GENERATORS``.
        z_dim: length of noise and latent; even.
        couplings: number of couplings, each of which changes one half by what the other says.
        hidden: width of their networks.
        options: the generator's own.

    Raises:
        UsageError: there is no such generator, or ``z_dim`` is odd.
    """

    flow: Sequence[AffineCoupling]

    def __init__(self, *, decoder: str, z_dim: int, couplings: int = 8, hidden: int = 256, **options: Any) -> None:
        super().__init__()
        if decoder not in GENERATORS:
            raise UsageError(f"decoder is {decoder!r}; it must be one of {', '.join(GENERATORS)}")
        if z_dim % 2:
            raise UsageError(f"z_dim is {z_dim}; couplings need an even one")
        self.flow = nn.ModuleList(AffineCoupling(z_dim, hidden) for _ in range(couplings))  # type: ignore[assignment]
        self.decoder = GENERATORS[decoder](z_dim=z_dim, **options)

    def forward(self, noise: Tensor) -> Tensor:
        """Images (batch, channels, height, width) of ``noise`` (batch, z_dim)."""
        for coupling in self.flow:
            noise = coupling(noise)
        image: Tensor = self.decoder(noise)
        return image

    def noise_of(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """The noise (batch, z_dim) of each latent (batch, z_dim), and (batch,) log |det d noise / d latent|."""
        volume = latent.new_zeros(len(latent))
        for coupling in reversed(self.flow):
            latent, change = coupling.inverse(latent)
            volume = volume + change
        return latent, volume


class AffineCoupling(nn.Module):
    """The second half of a vector scaled, by e at most, and shifted as the first half says; then the halves swapped.

    Fresh from its constructor it only swaps.

    Args:
        features: length of the vector; even.
        hidden: width of the network that says it.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        last = nn.Linear(hidden, features)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.Linear(features // 2, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, features) of ``x`` (batch, features)."""
        first, second = x.chunk(2, dim=1)
        log_scale, shift = self._change(first)
        return torch.cat([second * log_scale.exp() + shift, first], dim=1)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` made ``y`` of, and (batch,) the logarithm of the volume's change on the way back."""
        changed, first = y.chunk(2, dim=1)
        log_scale, shift = self._change(first)
        return torch.cat([first, (changed - shift) * (-log_scale).exp()], dim=1), -log_scale.sum(dim=1)

    def _change(self, first: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self.layers(first).chunk(2, dim=1)
        return log_scale.tanh(), shift


DECODERS: dict[str, type[nn.Module]] = {**GENERATORS, "vampprior": GatedDecoder, "flow-prior": FlowDecoder}
"""By the names that cards give them as ``network.architecture``."""
