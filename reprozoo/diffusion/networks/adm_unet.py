"""The U-Net of ADM ("ablated diffusion model"): ImageNet networks of guided-diffusion, EDM and the consistency models.

Parameters have the names of the released EDM checkpoints (where it is called DhariwalUNet); ``adm_names`` converts
those of guided-diffusion. Each output depends on its own input alone.

Sources: Dhariwal and Nichol 2021, arXiv:2105.05233, and openai/guided-diffusion@22e0df81 ``guided_diffusion/unet.py``
(MIT), rewritten; arXiv:2206.00364, appendix F, for EDM's configuration. No code of EDM is adapted: only the names and
shapes in its state dict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo.diffusion.networks.embeddings import cos_sin
from reprozoo.diffusion.networks.song_blocks import Conv2d, group_norm, linear, pixel_attention

NORM_EPS = 1e-5


class ADMBlock(nn.Module):
    """Residual block: the embedding scales and shifts the normed state (or is added before); may resample and attend.

    Args:
        heads: of the attention; 0 for none.
        scale_shift: whether the embedding gives a scale and a shift, or only something to add.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        emb_channels: int,
        *,
        resample: str | None = None,
        heads: int = 0,
        scale_shift: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.scale_shift, self.dropout = heads, scale_shift, dropout
        self.norm0 = group_norm(in_channels, eps=NORM_EPS)
        self.conv0 = Conv2d(in_channels, out_channels, 3, resample=resample)
        self.affine = linear(emb_channels, out_channels * (2 if scale_shift else 1))
        self.norm1 = group_norm(out_channels, eps=NORM_EPS)
        self.conv1 = Conv2d(out_channels, out_channels, 3, init_scale=1e-5)
        self.skip: Conv2d | None = None
        if resample or in_channels != out_channels:
            kernel = 1 if in_channels != out_channels else 0
            self.skip = Conv2d(in_channels, out_channels, kernel, resample=resample)
        if heads:
            self.norm2 = group_norm(out_channels, eps=NORM_EPS)
            self.qkv = Conv2d(out_channels, 3 * out_channels, 1)
            self.proj = Conv2d(out_channels, out_channels, 1, init_scale=1e-5)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        hidden = self.conv0(functional.silu(self.norm0(x)))
        given = self.affine(emb)[:, :, None, None]
        if self.scale_shift:
            scale, shift = given.chunk(2, dim=1)
            hidden = self.norm1(hidden) * (1 + scale) + shift
        else:
            hidden = self.norm1(hidden + given)
        hidden = functional.dropout(functional.silu(hidden), self.dropout, self.training)
        x = self.conv1(hidden) + (x if self.skip is None else self.skip(x))
        return x + self.proj(pixel_attention(self.qkv(self.norm2(x)), heads=self.heads)) if self.heads else x


@dataclass(frozen=True, kw_only=True)
class _BlockMaker:
    """What all blocks of one network have in common, and where they attend."""

    emb_channels: int
    attends: frozenset[int]
    channels_per_head: int
    heads: int
    scale_shift: bool
    dropout: float

    def __call__(
        self, in_channels: int, out_channels: int, *, res: int = 0, resample: str | None = None, attention: bool = False
    ) -> ADMBlock:
        heads = self.heads or out_channels // self.channels_per_head
        return ADMBlock(
            in_channels,
            out_channels,
            self.emb_channels,
            resample=resample,
            heads=heads if attention or res in self.attends else 0,
            scale_shift=self.scale_shift,
            dropout=self.dropout,
        )


class ADMUNet(nn.Module):
    """ADM's U-Net; the defaults are EDM's for ImageNet 64x64.

    Args:
        img_resolution: height and width of the image.
        out_channels: twice those of the image where the variance is learned.
        model_channels: channels at ``channel_mult`` 1.
        channel_mult: factor per level, from the full resolution down.
        num_blocks: residual blocks per level of the encoder; the decoder has one more.
        attn_resolutions: resolutions at which blocks attend.
        channels_per_head: width of a head of attention.
        heads: number of heads at all levels, where that is fixed instead; 0 where it is not.
        scale_shift: see ``ADMBlock``.
        label_dim: number of classes, 0 for an unconditional network.
        augment_dim: length of the augmentation label of some checkpoints, never given in sampling.
        dropout, label_dropout: in training only.
    """

    def __init__(
        self,
        *,
        img_resolution: int,
        in_channels: int = 3,
        out_channels: int = 3,
        model_channels: int = 192,
        channel_mult: Sequence[float] = (1, 2, 3, 4),
        channel_mult_emb: int = 4,
        num_blocks: int = 3,
        attn_resolutions: Sequence[int] = (32, 16, 8),
        channels_per_head: int = 64,
        heads: int = 0,
        scale_shift: bool = True,
        label_dim: int = 0,
        augment_dim: int = 0,
        dropout: float = 0.0,
        label_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.label_dim, self.label_dropout = label_dim, label_dropout
        emb_channels = model_channels * channel_mult_emb
        self.model_channels = model_channels
        self.map_augment = linear(augment_dim, model_channels, bias=False) if augment_dim else None
        self.map_layer0 = linear(model_channels, emb_channels)
        self.map_layer1 = linear(emb_channels, emb_channels)
        self.map_label = linear(label_dim, emb_channels, bias=False) if label_dim else None
        block = _BlockMaker(
            emb_channels=emb_channels,
            attends=frozenset(attn_resolutions),
            channels_per_head=channels_per_head,
            heads=heads,
            scale_shift=scale_shift,
            dropout=dropout,
        )
        levels = [(img_resolution >> level, int(model_channels * mult)) for level, mult in enumerate(channel_mult)]
        self.enc, skips = _encoder(block, levels, in_channels, num_blocks)
        self.dec = _decoder(block, levels, skips, num_blocks)
        self.out_norm = group_norm(levels[0][1], eps=NORM_EPS)
        self.out_conv = Conv2d(levels[0][1], out_channels, 3, init_scale=1e-5)

    def forward(self, x: Tensor, noise_labels: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """The raw network.

        Args:
            x: (batch, in_channels, img_resolution, img_resolution) network input, scaled by the caller.
            noise_labels: (batch,) the time, as this network's family encodes it.
            class_labels: (batch, label_dim) one-hot rows; zeros or None mean no class.
        """
        emb = self._embedding(noise_labels, class_labels)
        skips = []
        for layer in self.enc.values():
            x = layer(x, emb) if isinstance(layer, ADMBlock) else layer(x)
            skips.append(x)
        for name, layer in self.dec.items():
            x = layer(torch.cat([x, skips.pop()], dim=1) if "_block" in name else x, emb)
        output: Tensor = self.out_conv(functional.silu(self.out_norm(x)))
        return output

    def _embedding(self, noise_labels: Tensor, class_labels: Tensor | None) -> Tensor:
        emb = cos_sin(noise_labels, self.model_channels).to(self.map_layer0.weight.dtype)
        emb = self.map_layer1(functional.silu(self.map_layer0(emb)))
        if self.map_label is not None and class_labels is not None:
            labels = class_labels.to(emb.dtype)
            if self.training and self.label_dropout:
                labels = labels * (torch.rand(len(emb), 1, device=emb.device) >= self.label_dropout)
            emb = emb + self.map_label(labels)
        return functional.silu(emb)


def _encoder(
    block: _BlockMaker, levels: list[tuple[int, int]], in_channels: int, num_blocks: int
) -> tuple[nn.ModuleDict, list[int]]:
    """The layers from the image down, in the order they run, and the channels of what each leaves for the decoder."""
    enc, skips, width = nn.ModuleDict(), [levels[0][1]], levels[0][1]
    for res, level_width in levels:
        if res == levels[0][0]:
            enc[f"{res}x{res}_conv"] = Conv2d(in_channels, width, 3)
        else:
            enc[f"{res}x{res}_down"] = block(width, width, resample="down")
            skips.append(width)
        for index in range(num_blocks):
            enc[f"{res}x{res}_block{index}"] = block(width, level_width, res=res)
            width = level_width
            skips.append(width)
    return enc, skips


def _decoder(block: _BlockMaker, levels: list[tuple[int, int]], skips: list[int], num_blocks: int) -> nn.ModuleDict:
    """The layers from the bottom up, in the order they run."""
    dec, skips, (bottom, width) = nn.ModuleDict(), list(skips), levels[-1]
    for res, level_width in reversed(levels):
        if res == bottom:
            dec[f"{res}x{res}_in0"] = block(width, width, attention=True)
            dec[f"{res}x{res}_in1"] = block(width, width)
        else:
            dec[f"{res}x{res}_up"] = block(width, width, resample="up")
        for index in range(num_blocks + 1):
            dec[f"{res}x{res}_block{index}"] = block(width + skips.pop(), level_width, res=res)
            width = level_width
    return dec
