"""The U-Nets of Song et al. (DDPM++ and NCSN++), with the parameter names of the released EDM checkpoints.

One class covers the networks of score-SDE, EDM and the CIFAR-10 consistency models: state dicts of all of them load
strictly, once renamed. It promises that each output depends on its own input alone, and draws no random number
outside training.

Sources: Song et al. 2021, arXiv:2011.13456 (yang-song/score_sde_pytorch@cb1f359f, Apache-2.0), for the blocks;
Karras et al. 2022, arXiv:2206.00364, appendix F and table 7, for the configurations. No code of either is copied.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo.diffusion.networks.song_blocks import (
    SQRT_HALF,
    BlockMaker,
    Conv2d,
    FourierEmbedding,
    PositionalEmbedding,
    UNetBlock,
    group_norm,
    linear,
)


class SongUNet(nn.Module):
    """DDPM++ ("positional", "standard", taps 1 1) or NCSN++ ("fourier", "residual", taps 1 3 3 1, noise mult 2).

    Args:
        img_resolution: height and width of the image.
        model_channels: channels at `channel_mult` 1.
        channel_mult: factor per level, from the full resolution down.
        channel_mult_emb: channels of the embedding, over `model_channels`.
        channel_mult_noise: channels of the noise embedding, over `model_channels`.
        num_blocks: residual blocks per level of the encoder; the decoder has one more.
        attn_resolutions: resolutions at which blocks attend.
        dropout: probability, in training only.
        label_dim: number of classes, 0 for an unconditional network.
        augment_dim: length of the augmentation label that some checkpoints were trained with, 0 for none.
        label_dropout: probability of hiding the class label, in training only.
        embedding_type: "positional" or "fourier".
        encoder_type: "standard", "skip" or "residual".
        decoder_type: "standard" or "skip".
        resample_filter: (1, 1) or (1, 3, 3, 1).
        patch_size: 1 in every released checkpoint. With 2, each 2x2 patch of the image becomes one pixel of four times
            the channels before the network and is unfolded after it, which costs a quarter; the levels, and their
            names, then start at half of `img_resolution`.
    """

    def __init__(
        self,
        *,
        img_resolution: int,
        in_channels: int = 3,
        out_channels: int = 3,
        model_channels: int = 128,
        channel_mult: Sequence[int] = (2, 2, 2),
        channel_mult_emb: int = 4,
        channel_mult_noise: int = 1,
        num_blocks: int = 4,
        attn_resolutions: Sequence[int] = (16,),
        dropout: float = 0.0,
        label_dim: int = 0,
        augment_dim: int = 0,
        label_dropout: float = 0.0,
        embedding_type: str = "positional",
        encoder_type: str = "standard",
        decoder_type: str = "standard",
        resample_filter: Sequence[int] = (1, 1),
        patch_size: int = 1,
    ) -> None:
        super().__init__()
        _require("embedding_type", embedding_type, ("positional", "fourier"))
        _require("encoder_type", encoder_type, ("standard", "skip", "residual"))
        _require("decoder_type", decoder_type, ("standard", "skip"))
        self.img_resolution, self.in_channels, self.label_dim = img_resolution, in_channels, label_dim
        self.label_dropout, self.patch_size = label_dropout, patch_size
        emb_channels = model_channels * channel_mult_emb
        noise_channels = model_channels * channel_mult_noise
        embedding = PositionalEmbedding if embedding_type == "positional" else FourierEmbedding
        self.map_noise = embedding(noise_channels)
        self.map_label = linear(label_dim, noise_channels) if label_dim else None
        self.map_augment = linear(augment_dim, noise_channels, bias=False) if augment_dim else None
        self.map_layer0 = linear(noise_channels, emb_channels)
        self.map_layer1 = linear(emb_channels, emb_channels)
        block = BlockMaker(emb_channels=emb_channels, taps=tuple(resample_filter), dropout=dropout)
        widths = [model_channels * mult for mult in channel_mult]
        top = img_resolution // patch_size
        levels = [(top >> level, width) for level, width in enumerate(widths)]
        in_channels, out_channels = in_channels * patch_size**2, out_channels * patch_size**2
        attends = frozenset(attn_resolutions)
        self.enc, skips = make_encoder(block, levels, in_channels, model_channels, num_blocks, attends, encoder_type)
        self.dec = make_decoder(block, levels, out_channels, skips, num_blocks, attends, decoder_type)

    def forward(
        self,
        x: Tensor,
        noise_labels: Tensor,
        class_labels: Tensor | None = None,
        augment_labels: Tensor | None = None,
    ) -> Tensor:
        """The raw network F.

        Args:
            x: (batch, in_channels, img_resolution, img_resolution) network input, scaled by the caller.
            noise_labels: (batch,) the time, as this network's family encodes it.
            class_labels: (batch, label_dim) one-hot rows; zeros or None mean no class.
            augment_labels: (batch, augment_dim); None, as in all sampling, means no augmentation.
        """
        emb = self._embedding(noise_labels, class_labels, augment_labels)
        x, skips = run_encoder(self.enc, functional.pixel_unshuffle(x, self.patch_size), emb)
        return functional.pixel_shuffle(run_decoder(self.dec, x, emb, skips), self.patch_size)

    def _embedding(self, noise_labels: Tensor, class_labels: Tensor | None, augment_labels: Tensor | None) -> Tensor:
        emb = self.map_noise(noise_labels).to(self.map_layer0.weight.dtype)
        if self.map_label is not None:
            labels = emb.new_zeros(len(emb), self.label_dim) if class_labels is None else class_labels.to(emb.dtype)
            if self.training and self.label_dropout:
                labels = labels * (torch.rand(len(emb), 1, device=emb.device) >= self.label_dropout)
            emb = emb + self.map_label(labels * math.sqrt(self.label_dim))
        if self.map_augment is not None and augment_labels is not None:
            emb = emb + self.map_augment(augment_labels)
        emb = functional.silu(self.map_layer0(emb))
        return functional.silu(self.map_layer1(emb))


def make_encoder(
    block: BlockMaker,
    levels: list[tuple[int, int]],
    in_channels: int,
    model_channels: int,
    num_blocks: int,
    attends: frozenset[int],
    encoder_type: str,
) -> tuple[nn.ModuleDict, list[int]]:
    """The layers from the image down, in the order they run, and the channels of what each leaves for the decoder."""
    enc, skips = nn.ModuleDict(), [model_channels]
    width, pyramid = model_channels, in_channels
    for res, level_width in levels:
        prefix = f"{res}x{res}_"
        if not len(enc):
            enc[prefix + "conv"] = Conv2d(in_channels, width, 3)
        else:
            enc[prefix + "down"] = block(width, width, resample="down")
            skips.append(width)
            if encoder_type == "skip":
                enc[prefix + "aux_down"] = Conv2d(pyramid, pyramid, 0, resample="down", taps=block.taps)
                enc[prefix + "aux_skip"] = Conv2d(pyramid, width, 1)
            if encoder_type == "residual":
                enc[prefix + "aux_residual"] = Conv2d(
                    pyramid, width, 3, resample="down", taps=block.taps, pad_before_filter=True
                )
                pyramid = width
        for index in range(num_blocks):
            enc[f"{prefix}block{index}"] = block(width, level_width, attention=res in attends)
            width = level_width
            skips.append(width)
    return enc, skips


def make_decoder(
    block: BlockMaker,
    levels: list[tuple[int, int]],
    out_channels: int,
    skips: list[int],
    num_blocks: int,
    attends: frozenset[int],
    decoder_type: str,
    middle: bool = True,
) -> nn.ModuleDict:
    """The layers from the bottom up to the image, in the order they run; ``middle``: with the two at the bottom."""
    dec, skips = nn.ModuleDict(), list(skips)
    bottom, width = levels[-1][0], skips[-1]
    for res, level_width in reversed(levels):
        prefix = f"{res}x{res}_"
        if res == bottom:
            dec.update(dict(make_middle(block, res, width).items()) if middle else {})
        else:
            dec[prefix + "up"] = block(width, width, resample="up")
        for index in range(num_blocks + 1):
            attention = index == num_blocks and res in attends
            dec[f"{prefix}block{index}"] = block(width + skips.pop(), level_width, attention=attention)
            width = level_width
        if decoder_type == "skip" or res == levels[0][0]:
            if decoder_type == "skip" and res != bottom:
                dec[prefix + "aux_up"] = Conv2d(out_channels, out_channels, 0, resample="up", taps=block.taps)
            dec[prefix + "aux_norm"] = group_norm(width, max_groups=block.max_groups)
            dec[prefix + "aux_conv"] = Conv2d(width, out_channels, 3, init_scale=1e-5)
    return dec


def make_middle(block: BlockMaker, res: int, width: int) -> nn.ModuleDict:
    """The two layers at the bottom."""
    prefix = f"{res}x{res}_"
    return nn.ModuleDict({prefix + "in0": block(width, width, attention=True), prefix + "in1": block(width, width)})


def run_encoder(enc: nn.ModuleDict, x: Tensor, emb: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The state at the bottom, and what each layer leaves for the decoder."""
    skips: list[Tensor] = []
    pyramid = x
    for name, layer in enc.items():
        if name.endswith("aux_down"):
            pyramid = layer(pyramid)
        elif name.endswith("aux_skip"):
            x = skips[-1] = x + layer(pyramid)
        elif name.endswith("aux_residual"):
            x = skips[-1] = pyramid = (x + layer(pyramid)) * SQRT_HALF
        else:
            x = layer(x, emb) if isinstance(layer, UNetBlock) else layer(x)
            skips.append(x)
    return x, skips


def run_decoder(dec: nn.ModuleDict, x: Tensor, emb: Tensor, skips: list[Tensor]) -> Tensor:
    """The image; ``skips`` is used up."""
    image: Tensor | None = None
    normed = x
    for name, layer in dec.items():
        if name.endswith("aux_up"):
            image = layer(image)
        elif name.endswith("aux_norm"):
            normed = functional.silu(layer(x))
        elif name.endswith("aux_conv"):
            image = layer(normed) if image is None else image + layer(normed)
        else:
            takes_skip = "_block" in name
            x = layer(torch.cat([x, skips.pop()], dim=1) if takes_skip else x, emb)
    assert image is not None
    return image


def _require(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
