"""The U-Net of progressive distillation: improved DDPM's, told the noise level as a time between 0 and 1000.

Checkpoints of the original are Flax's; ``state_dict_from_flax`` turns their arrays, by name, into a state dict that
loads strictly. Each output depends on its own input alone, and no random number is drawn.

Source: Salimans and Ho 2022, arXiv:2202.00512; google-research@30adf0ec `diffusion_distillation/unet.py` (Apache-2.0),
followed in names and numerics. Left out: dropout (0 in every student) and other ways to tell the network its logSNR.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo.diffusion.networks.embeddings import sin_cos

GROUPS, NORM_EPS = 32, 1e-6  # the defaults of flax.linen.GroupNorm


class ProgressiveUNet(nn.Module):
    """A U-Net whose resolution changes inside residual blocks.

    Args:
        img_resolution: height and width of the image.
        ch: channels at `ch_mult` 1, a multiple of 32.
        emb_ch: channels of the embedding of the time.
        ch_mult: factor per level, from the full resolution down.
        num_res_blocks: per level on the way down; one more on the way up.
        attn_resolutions: resolutions at which blocks attend; the middle always does.
        num_heads: of attention, where `head_dim` is not given.
        head_dim: channels of one head.
        num_classes: 1 for an unconditional network.
        patch_size: as ``SongUNet``'s; 1 in every released checkpoint.
    """

    def __init__(
        self,
        *,
        img_resolution: int = 32,
        in_channels: int = 3,
        ch: int = 256,
        emb_ch: int = 1024,
        ch_mult: Sequence[int] = (1, 1, 1),
        num_res_blocks: int = 3,
        attn_resolutions: Sequence[int] = (8, 16),
        num_heads: int = 1,
        head_dim: int | None = None,
        num_classes: int = 1,
        patch_size: int = 1,
    ) -> None:
        super().__init__()
        self.ch, self.num_classes, self.patch_size = ch, num_classes, patch_size
        in_channels, img_resolution = in_channels * patch_size**2, img_resolution // patch_size
        self.dense0, self.dense1 = nn.Linear(ch, emb_ch), nn.Linear(emb_ch, emb_ch)
        self.class_emb = nn.Linear(num_classes, emb_ch) if num_classes > 1 else None
        self.conv_in = nn.Conv2d(in_channels, ch, 3, padding=1)
        widths = [ch * mult for mult in ch_mult]
        heads = {"num_heads": num_heads, "head_dim": head_dim}
        make = partial(_level, emb_ch=emb_ch, heads=heads)
        attends = [img_resolution >> number in attn_resolutions for number in range(len(widths))]
        last = len(widths) - 1
        skips, down, up = [ch], [], []
        for number, width in enumerate(widths):
            entering = [skips[-1], *[width] * (num_res_blocks - 1)]
            resample = "down" if number < last else None
            down.append(make(entering, width, attends=attends[number], resample=resample))
            skips += [width] * (num_res_blocks + (number < last))
        below = widths[-1]
        for number, width in reversed(list(enumerate(widths))):
            entering = [channels + skips.pop() for channels in [below, *[width] * num_res_blocks]]
            resample = "up" if number else None
            up.append(make(entering, width, attends=attends[number], resample=resample))
            below = width
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(reversed(up))
        self.mid = _middle(widths[-1], emb_ch, heads)
        self.norm_out = group_norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], in_channels, 3, padding=1)

    def forward(self, x: Tensor, timesteps: Tensor, classes: Tensor | None = None) -> Tensor:
        """The raw network.

        Args:
            x: (batch, in_channels, img_resolution, img_resolution), of unit variance or less.
            timesteps: (batch,) 1000 * atan(sigma) / (pi / 2).
            classes: (batch,) class indices, for a conditional network.
        """
        emb = self._embedding(timesteps, classes)
        x = self.conv_in(functional.pixel_unshuffle(x, self.patch_size))
        skips = [x]
        for layers in _dicts(self.down):
            for name, layer in layers.items():
                x = layer(x, emb)
                if not (name.startswith("block_") and name.replace("block_", "attn_") in layers):
                    skips.append(x)  # a block's skip is taken behind its attention
        for layer in self.mid.values():
            x = layer(x, emb)
        for layers in reversed(_dicts(self.up)):
            for name, layer in layers.items():
                x = layer(torch.cat([x, skips.pop()], dim=1) if name.startswith("block_") else x, emb)
        output: Tensor = self.conv_out(functional.silu(self.norm_out(x)))
        return functional.pixel_shuffle(output, self.patch_size)

    def _embedding(self, timesteps: Tensor, classes: Tensor | None) -> Tensor:
        emb = sin_cos(timesteps, self.ch).to(self.dense0.weight.dtype)
        emb = self.dense1(functional.silu(self.dense0(emb)))
        if self.class_emb is not None:
            if classes is None:
                raise ValueError("This network needs classes.")
            emb = emb + self.class_emb(functional.one_hot(classes, self.num_classes).to(emb.dtype))
        return functional.silu(emb)


def _level(
    in_widths: Sequence[int], width: int, *, emb_ch: int, heads: Mapping[str, Any], attends: bool, resample: str | None
) -> nn.ModuleDict:
    """The blocks of one resolution, attention behind each where it attends, and the way to the next resolution."""
    layers: dict[str, nn.Module] = {}
    for i, in_width in enumerate(in_widths):
        layers[f"block_{i}"] = ResnetBlock(in_width, width, emb_ch)
        if attends:
            layers[f"attn_{i}"] = AttnBlock(width, **heads)
    if resample:
        layers[f"{resample}sample"] = ResnetBlock(width, width, emb_ch, resample=resample)
    return nn.ModuleDict(layers)


def _middle(width: int, emb_ch: int, heads: Mapping[str, Any]) -> nn.ModuleDict:
    first, attention = ResnetBlock(width, width, emb_ch), AttnBlock(width, **heads)
    return nn.ModuleDict({"block_1": first, "attn_1": attention, "block_2": ResnetBlock(width, width, emb_ch)})


def _dicts(levels: nn.ModuleList) -> list[nn.ModuleDict]:
    return [layers for layers in levels if isinstance(layers, nn.ModuleDict)]


class ResnetBlock(nn.Module):
    """Residual block, scaled and shifted by the embedding; optionally resamples first."""

    def __init__(self, in_width: int, out_width: int, emb_ch: int, *, resample: str | None = None) -> None:
        super().__init__()
        self.resample = resample
        self.norm1 = group_norm(in_width)
        self.conv1 = nn.Conv2d(in_width, out_width, 3, padding=1)
        self.temb_proj = nn.Linear(emb_ch, 2 * out_width)
        self.norm2 = group_norm(out_width)
        self.conv2 = nn.Conv2d(out_width, out_width, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(in_width, out_width, 1) if in_width != out_width else None

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.conv1(self._resampled(functional.silu(self.norm1(x))))
        scale, shift = self.temb_proj(emb)[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(functional.silu(self.norm2(h) * (1 + scale) + shift))
        x = self._resampled(x)
        total: Tensor = h + (x if self.nin_shortcut is None else self.nin_shortcut(x))
        return total

    def _resampled(self, x: Tensor) -> Tensor:
        if self.resample == "up":
            return functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return functional.avg_pool2d(x, 2) if self.resample == "down" else x


class AttnBlock(nn.Module):
    """Residual self-attention over all pixels."""

    def __init__(self, width: int, *, num_heads: int, head_dim: int | None) -> None:
        super().__init__()
        self.num_heads = width // head_dim if head_dim else num_heads
        self.norm = group_norm(width)
        self.q, self.k, self.v, self.proj_out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = (
            layer(tokens).unflatten(2, (self.num_heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        attended = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        change: Tensor = self.proj_out(attended)
        return x + change.transpose(1, 2).reshape(x.shape)


def group_norm(channels: int) -> nn.GroupNorm:
    """Flax's default group norm."""
    return nn.GroupNorm(GROUPS, channels, eps=NORM_EPS)


def state_dict_from_flax(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict out of the original's parameters.

    Args:
        arrays: by name, parts joined by "/", e.g. "down_0.block_1/conv1/kernel", as ``read_checkpoint`` gives them.
            Heads of attention may be an axis of their own or not: Flax changed that once.
    """
    return dict(_converted(name, array) for name, array in arrays.items())


def _converted(name: str, array: Tensor) -> tuple[str, Tensor]:
    path, _, leaf = name.rpartition("/")
    module = re.sub(r"^(down|up)_(\d+)\.", r"\1.\2.", path).replace("/", ".")
    if leaf == "bias":
        return f"{module}.bias", array.reshape(-1)
    if leaf != "kernel":
        return f"{module}.{'weight' if leaf == 'scale' else leaf}", array
    if array.ndim == 4:
        return f"{module}.weight", array.permute(3, 2, 0, 1)
    joins_heads = module.endswith(".proj_out")
    matrix = array.reshape(-1, array.shape[-1]) if joins_heads else array.reshape(array.shape[0], -1)
    is_pointwise = module.endswith(".nin_shortcut")
    return f"{module}.weight", matrix.T[:, :, None, None] if is_pointwise else matrix.T
