"""The ``ddpm`` network of score_sde: Ho et al.'s U-Net with one attention behind all blocks of a level on the way up.

It is neither Ho's own network nor ``google/ddpm-cifar10-32``, which attend behind every block. Parameters have the
names of the released checkpoints: one list, ``all_modules``, in the order of use, which is also the order of the
nameless moving average in these files.

Source: yang-song/score_sde_pytorch@cb1f359f ``models/ddpm.py``, ``models/layers.py`` (Apache-2.0), rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo.diffusion.networks.song_blocks import PositionalEmbedding

Norm = Callable[[int], nn.GroupNorm]  # of a number of channels


class NIN(nn.Module):
    """A linear map of the channels, its weight stored as (in, out)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.W = nn.Parameter(nn.init.xavier_uniform_(torch.empty(in_channels, out_channels)))
        self.b = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.W.T[:, :, None, None], self.b)


class ResidualBlock(nn.Module):
    """Two convolutions, the projected embedding added between them."""

    def __init__(self, in_channels: int, out_channels: int, emb_channels: int, norm: Norm) -> None:
        super().__init__()
        self.GroupNorm_0 = norm(in_channels)
        self.Conv_0 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.Dense_0 = nn.Linear(emb_channels, out_channels)
        self.GroupNorm_1 = norm(out_channels)
        self.Conv_1 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.NIN_0 = NIN(in_channels, out_channels) if in_channels != out_channels else None

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        hidden = self.Conv_0(functional.silu(self.GroupNorm_0(x)))
        hidden = hidden + self.Dense_0(functional.silu(emb))[:, :, None, None]
        hidden = self.Conv_1(functional.silu(self.GroupNorm_1(hidden)))
        total: Tensor = hidden + (x if self.NIN_0 is None else self.NIN_0(x))
        return total


class Attention(nn.Module):
    """One head over all pixels."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.GroupNorm_0 = norm(channels)
        self.NIN_0, self.NIN_1, self.NIN_2, self.NIN_3 = (NIN(channels, channels) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.GroupNorm_0(x)
        q, k, v = (layer(normed).flatten(2).transpose(1, 2)[:, None] for layer in (self.NIN_0, self.NIN_1, self.NIN_2))
        attended = functional.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(x.shape)
        mixed: Tensor = x + self.NIN_3(attended)
        return mixed


class Downsample(nn.Module):
    """A convolution with stride 2, the image padded at its right and lower edge only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Conv_0 = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        smaller: Tensor = self.Conv_0(functional.pad(x, (0, 1, 0, 1)))
        return smaller


class Upsample(nn.Module):
    """Each pixel repeated, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Conv_0 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        larger: Tensor = self.Conv_0(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return larger


class DDPMUNet(nn.Module):
    """score_sde's ``ddpm``.

    Args:
        img_resolution: height and width of the image.
        model_channels: channels at ``channel_mult`` 1; a multiple of ``num_groups``.
        channel_mult: factor per level, from the full resolution down.
        num_blocks: residual blocks per level on the way down; on the way up there is one more.
        attn_resolutions: resolutions at which the network attends.
        patch_size: as ``SongUNet``'s; 1 in every released checkpoint.
        num_groups: of every group norm; 32 in every released checkpoint. A group needs several channels: the norm of
            a single one removes its mean, and with it the brightness of the image and of the noise.
    """

    def __init__(
        self,
        *,
        img_resolution: int,
        in_channels: int = 3,
        model_channels: int = 128,
        channel_mult: Sequence[int] = (1, 2, 2, 2),
        num_blocks: int = 2,
        attn_resolutions: Sequence[int] = (16,),
        patch_size: int = 1,
        num_groups: int = 32,
    ) -> None:
        super().__init__()
        if model_channels % num_groups:
            raise ValueError(f"model_channels is {model_channels}; it must be a multiple of num_groups, {num_groups}.")
        norm = partial(nn.GroupNorm, num_groups, eps=1e-6)
        self.map_noise = PositionalEmbedding(model_channels)
        emb_channels = 4 * model_channels
        self.patch_size, in_channels = patch_size, in_channels * patch_size**2
        top = img_resolution // patch_size
        levels = [(top >> level, model_channels * mult) for level, mult in enumerate(channel_mult)]
        steps = _down(levels, model_channels, emb_channels, num_blocks, set(attn_resolutions), norm)
        steps += _middle(levels[-1][1], emb_channels, norm)
        steps += _up(levels, [model_channels, *_kept(steps)], emb_channels, num_blocks, set(attn_resolutions), norm)
        self._skips = [(step.takes_skip, step.leaves_skip) for step in steps]
        width = levels[0][1]
        self.all_modules = nn.ModuleList(
            [
                nn.Linear(model_channels, emb_channels),
                nn.Linear(emb_channels, emb_channels),
                nn.Conv2d(in_channels, model_channels, 3, padding=1),
                *(step.layer for step in steps),
                norm(width),
                nn.Conv2d(width, in_channels, 3, padding=1),
            ]
        )

    def forward(self, x: Tensor, noise_labels: Tensor) -> Tensor:
        """The noise in ``x`` (batch, in_channels, height, width) at ``noise_labels`` (batch,): 999 t, or the level."""
        first, second, entry = self.all_modules[:3]
        emb = second(functional.silu(first(self.map_noise(noise_labels).to(x.dtype))))
        x = entry(functional.pixel_unshuffle(x, self.patch_size))
        skips = [x]
        for (takes_skip, leaves_skip), layer in zip(self._skips, self.all_modules[3:-2], strict=True):
            x = torch.cat([x, skips.pop()], dim=1) if takes_skip else x
            x = layer(x, emb) if isinstance(layer, ResidualBlock) else layer(x)
            if leaves_skip:
                skips.append(x)
        output: Tensor = self.all_modules[-1](functional.silu(self.all_modules[-2](x)))
        return functional.pixel_shuffle(output, self.patch_size)


class _Step(NamedTuple):
    """A layer between the first convolution and the last, and how it takes part in the skips."""

    layer: nn.Module
    channels: int
    takes_skip: bool = False
    leaves_skip: bool = False


def _kept(steps: Sequence[_Step]) -> list[int]:
    """Channels of what is left for the way up."""
    return [step.channels for step in steps if step.leaves_skip]


def _down(
    levels: Sequence[tuple[int, int]], width: int, emb_channels: int, num_blocks: int, attends: set[int], norm: Norm
) -> list[_Step]:
    steps: list[_Step] = []
    for res, level_width in levels:
        if res != levels[0][0]:
            steps.append(_Step(Downsample(width), width, leaves_skip=True))
        for _ in range(num_blocks):
            block = ResidualBlock(width, level_width, emb_channels, norm)
            steps.append(_Step(block, level_width, leaves_skip=res not in attends))
            width = level_width
            if res in attends:
                steps.append(_Step(Attention(width, norm), width, leaves_skip=True))
    return steps


def _middle(width: int, emb_channels: int, norm: Norm) -> list[_Step]:
    layers = (
        ResidualBlock(width, width, emb_channels, norm),
        Attention(width, norm),
        ResidualBlock(width, width, emb_channels, norm),
    )
    return [_Step(layer, width) for layer in layers]


def _up(
    levels: Sequence[tuple[int, int]],
    skips: list[int],
    emb_channels: int,
    num_blocks: int,
    attends: set[int],
    norm: Norm,
) -> list[_Step]:
    steps, width = [], levels[-1][1]
    for res, level_width in reversed(levels):
        for _ in range(num_blocks + 1):
            block = ResidualBlock(width + skips.pop(), level_width, emb_channels, norm)
            steps.append(_Step(block, level_width, takes_skip=True))
            width = level_width
        if res in attends:
            steps.append(_Step(Attention(width, norm), width))
        if res != levels[0][0]:
            steps.append(_Step(Upsample(width), width))
    return steps
