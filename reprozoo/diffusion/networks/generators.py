"""Networks that make an image of a vector in one go: generators of GANs, and of VAEs that share them.

Each output depends on its own vector alone once the network is in evaluation mode, and no random number is drawn.

``ConvGenerator`` has the parameter names of xyfJASON/gans-pytorch@b65b9366 ``models/simple_cnn.py`` (MIT), so that its
files load strictly; written from the paper. ``ResNetGenerator`` is this project's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

SMALLEST = 4  # pixels; the first layer of a convolutional generator makes squares of this size


class ConvGenerator(nn.Module):
    """DCGAN's generator: transposed convolutions of 4x4, each doubling the resolution, from 4x4 on.

    Source: Radford et al. 2016, arXiv:1511.06434.

    Args:
        z_dim: length of the noise.
        dim: channels at ``dim_mults`` 1.
        dim_mults: factor after each layer but the last, from 4x4 on; with three the image has 32x32 pixels.
        out_dim: channels of the image.
        with_bn: batch norm, which uses its running averages in evaluation mode.
        with_tanh: end with tanh.
    """

    def __init__(
        self,
        *,
        z_dim: int,
        dim: int = 256,
        dim_mults: Sequence[int] = (4, 2, 1),
        out_dim: int = 3,
        with_bn: bool = True,
        with_tanh: bool = True,
    ) -> None:
        super().__init__()
        widths = [dim * mult for mult in dim_mults]
        self.first_conv = nn.ConvTranspose2d(z_dim, widths[0], SMALLEST)
        self.layers = nn.ModuleList(_doubling(a, b, with_bn=with_bn) for a, b in pairwise(widths))
        self.last_conv = _doubling(widths[-1], out_dim, with_bn=with_bn)
        self.with_tanh = with_tanh
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, z: Tensor) -> Tensor:
        """Images (batch, out_dim, height, width) of ``z`` (batch, z_dim)."""
        x = self.first_conv(z[:, :, None, None])
        for layer in self.layers:
            x = layer(x)
        image: Tensor = self.last_conv(x)
        return image.tanh() if self.with_tanh else image


def _doubling(in_channels: int, out_channels: int, *, with_bn: bool) -> nn.Sequential:
    norm = nn.BatchNorm2d(in_channels) if with_bn else nn.Identity()
    return nn.Sequential(norm, nn.ReLU(), nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1))


class ResNetGenerator(nn.Module):
    """Residual blocks that double the resolution from 4x4 on, without any norm over the batch.

    The features of each pixel are normalised to unit root mean square instead (arXiv:1710.10196, section 4.2). Blocks
    as in Miyato et al. 2018, arXiv:1802.05957, appendix B.4.

    Args:
        z_dim: length of the noise.
        channels: at 4x4, 8x8, ...; with four the image has 32x32 pixels.
        out_dim: channels of the image.
        with_tanh: end with tanh.
    """

    def __init__(
        self,
        *,
        z_dim: int,
        channels: Sequence[int] = (128, 128, 64, 32),
        out_dim: int = 3,
        with_tanh: bool = True,
    ) -> None:
        super().__init__()
        self.channels, self.with_tanh = tuple(channels), with_tanh
        self.first = nn.Linear(z_dim, channels[0] * SMALLEST**2)
        self.blocks = nn.ModuleList(ResNetUpBlock(a, b) for a, b in pairwise(channels))
        self.last = nn.Conv2d(channels[-1], out_dim, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Images (batch, out_dim, height, width) of ``z`` (batch, z_dim)."""
        x = self.first(z).reshape(len(z), self.channels[0], SMALLEST, SMALLEST)
        for block in self.blocks:
            x = block(x)
        image: Tensor = self.last(functional.relu(pixel_norm(x)))
        return image.tanh() if self.with_tanh else image


class ResNetUpBlock(nn.Module):
    """Two convolutions around a pixel repetition, and a 1x1 convolution beside them."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv1 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu(pixel_norm(x))
        hidden = self.conv0(functional.interpolate(hidden, scale_factor=2.0, mode="nearest"))
        hidden = self.conv1(functional.relu(pixel_norm(hidden)))
        total: Tensor = hidden + functional.interpolate(self.skip(x), scale_factor=2.0, mode="nearest")
        return total


def pixel_norm(x: Tensor) -> Tensor:
    """Each pixel's features divided by their root mean square."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


GENERATORS: dict[str, type[nn.Module]] = {"simple-cnn": ConvGenerator, "resnet": ResNetGenerator}
"""By the names that cards give them as ``network.architecture``."""
