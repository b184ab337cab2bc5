"""The parts of the U-Nets of Song et al.: convolutions that resample, residual blocks, embeddings of the noise level.

``SongUNet`` and ``MultistageUNet`` are made of them; their parameters have the names of the released EDM checkpoints.

Source: Song et al. 2021, arXiv:2011.13456 (yang-song/score_sde_pytorch@cb1f359f, Apache-2.0). No code of it is copied.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo.diffusion.networks.embeddings import sin_cos

SQRT_HALF = math.sqrt(0.5)


class Conv2d(nn.Module):
    """A convolution that may change the resolution by a factor of two, with a fixed low-pass filter.

    Args:
        kernel: 0 (resample only), 1 or 3.
        resample: "up", "down" or None.
        taps: the filter, (1, 1) or (1, 3, 3, 1); it is normalised here.
        pad_before_filter: filter the image padded for the convolution, then stride ("fused" in the papers' code);
            without it the border is padded twice. It matters at the border only.
        init_scale: factor on the Xavier-uniform weights.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        resample: str | None = None,
        taps: Sequence[int] = (1, 1),
        pad_before_filter: bool = False,
        init_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.kernel, self.resample, self.pad_before_filter = kernel, resample, pad_before_filter
        self.is_box, self.filter_pad = list(taps) == [1, 1], (len(taps) - 1) // 2
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        if kernel:
            weight = torch.empty(out_channels, in_channels, kernel, kernel)
            self.weight = nn.Parameter(nn.init.xavier_uniform_(weight).mul_(init_scale))
            self.bias = nn.Parameter(torch.zeros(out_channels))
        if resample:
            row = torch.tensor(taps, dtype=torch.float32)
            self.register_buffer("resample_filter", (torch.outer(row, row) / row.sum() ** 2)[None, None])

    def forward(self, x: Tensor) -> Tensor:
        if self.resample == "down" and self.pad_before_filter:
            return self._filter_then_stride(x)
        if self.resample == "up":
            x = self._upsampled(x)
        elif self.resample == "down":
            x = self._downsampled(x)
        return functional.conv2d(x, self.weight, self.bias, padding=self.kernel // 2) if self.kernel else x

    def _depthwise_filter(self, x: Tensor) -> Tensor:
        return self.resample_filter.to(x.dtype).expand(x.shape[1], 1, -1, -1)

    def _upsampled(self, x: Tensor) -> Tensor:
        if self.is_box:
            return functional.interpolate(x, scale_factor=2.0, mode="nearest")
        weight = 4 * self._depthwise_filter(x)
        return functional.conv_transpose2d(x, weight, stride=2, padding=self.filter_pad, groups=x.shape[1])

    def _downsampled(self, x: Tensor) -> Tensor:
        if self.is_box:
            return functional.avg_pool2d(x, 2)
        return functional.conv2d(x, self._depthwise_filter(x), stride=2, padding=self.filter_pad, groups=x.shape[1])

    def _filter_then_stride(self, x: Tensor) -> Tensor:
        padding = self.filter_pad + self.kernel // 2
        x = functional.conv2d(x, self._depthwise_filter(x), padding=padding, groups=x.shape[1])
        return functional.conv2d(x, self.weight, self.bias, stride=2)


def group_norm(channels: int, *, max_groups: int = 32, eps: float = 1e-6) -> nn.GroupNorm:
    """At most ``max_groups`` groups of at least four channels."""
    return nn.GroupNorm(min(max_groups, channels // 4), channels, eps=eps)


def linear(in_features: int, out_features: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer with Xavier-uniform weights and no initial bias."""
    layer = nn.Linear(in_features, out_features, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class UNetBlock(nn.Module):
    """Residual block, conditioned by adding a projection of the embedding; optionally resamples and attends."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        emb_channels: int,
        *,
        resample: str | None = None,
        attention: bool = False,
        taps: Sequence[int] = (1, 1),
        dropout: float = 0.0,
        max_groups: int = 32,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.dropout = in_channels, out_channels, dropout
        self.norm0 = group_norm(in_channels, max_groups=max_groups)
        self.conv0 = Conv2d(in_channels, out_channels, 3, resample=resample, taps=taps)
        self.affine = linear(emb_channels, out_channels)
        self.norm1 = group_norm(out_channels, max_groups=max_groups)
        self.conv1 = Conv2d(out_channels, out_channels, 3, init_scale=1e-5)
        changes_shape = bool(resample) or in_channels != out_channels
        self.skip = Conv2d(in_channels, out_channels, 1, resample=resample, taps=taps) if changes_shape else None
        self.norm2: nn.GroupNorm | None = None
        if attention:
            self.norm2 = group_norm(out_channels, max_groups=max_groups)
            self.qkv = Conv2d(out_channels, 3 * out_channels, 1, init_scale=math.sqrt(0.2))
            self.proj = Conv2d(out_channels, out_channels, 1, init_scale=1e-5)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        residual = self.conv0(functional.silu(self.norm0(x))) + self.affine(emb)[:, :, None, None]
        residual = functional.dropout(functional.silu(self.norm1(residual)), self.dropout, self.training)
        x = (self.conv1(residual) + (x if self.skip is None else self.skip(x))) * SQRT_HALF
        if self.norm2 is None:
            return x
        attended: Tensor = self.proj(pixel_attention(self.qkv(self.norm2(x)), heads=1))
        return (x + attended) * SQRT_HALF


def pixel_attention(qkv: Tensor, *, heads: int) -> Tensor:
    """Attention of every pixel to all others.

    Args:
        qkv: (batch, 3 channels, height, width), the three projections interleaved per channel of a head: in the order
            (head, channel, q|k|v), not (q|k|v, head, channel).

    Returns:
        (batch, channels, height, width).
    """
    q, k, v = qkv.reshape(len(qkv), heads, -1, 3, qkv[0, 0].numel()).transpose(2, 4).unbind(3)
    attended = functional.scaled_dot_product_attention(q, k, v)
    return attended.transpose(2, 3).reshape(len(qkv), -1, *qkv.shape[2:])


class PositionalEmbedding(nn.Module):
    """Sines and cosines of the noise label at geometric frequencies from 1 to 1/10000."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, labels: Tensor) -> Tensor:
        return sin_cos(labels, self.channels)


class FourierEmbedding(nn.Module):
    """Sines and cosines of the noise label at random frequencies, which are part of the checkpoint and stay float32."""

    freqs: Tensor

    def __init__(self, channels: int, scale: float = 16.0) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.randn(channels // 2) * scale)

    def forward(self, labels: Tensor) -> Tensor:
        phase = torch.outer(labels.float(), 2 * math.pi * self.freqs)
        return torch.cat([phase.sin(), phase.cos()], dim=1)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        before = self.freqs
        moved: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.freqs = before.to(self.freqs.device)  # to another device, not to half precision
        return moved


@dataclass(frozen=True, kw_only=True)
class BlockMaker:
    """What all blocks of one U-Net have in common."""

    emb_channels: int
    taps: tuple[int, ...]
    dropout: float
    max_groups: int = 32

    def __call__(
        self, in_channels: int, out_channels: int, *, resample: str | None = None, attention: bool = False
    ) -> UNetBlock:
        return UNetBlock(
            in_channels,
            out_channels,
            self.emb_channels,
            resample=resample,
            attention=attention,
            taps=self.taps,
            dropout=self.dropout,
            max_groups=self.max_groups,
        )
