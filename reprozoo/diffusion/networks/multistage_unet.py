"""The U-Net of multistage diffusion models: one encoder and, for each stage of the noise, a decoder of its own.

Which decoder an input gets depends on its own noise label alone; the authors' code looks at the first of the batch and
uses its stage for all. Parameter names are those of the authors' EDM-type checkpoints; ``song_names`` has those of the
score_sde type, which also shares the two blocks at the bottom.

Source: Zhang et al. 2023, "Improving Training Efficiency of Diffusion Models via Multi-Stage Framework and Tailored
Multi-Decoder Architecture" (arXiv:2312.09181); LucasYFL/Multistage_Diffusion@9b5df663 ``models/ncsnpp_multistage.py``
(from score_sde, Apache-2.0). Nothing of its EDM part is adapted: only the names and shapes in its state dict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo.diffusion.networks.song_blocks import BlockMaker, PositionalEmbedding, linear
from reprozoo.diffusion.networks.song_unet import make_decoder, make_encoder, make_middle, run_decoder, run_encoder


class MultistageUNet(nn.Module):
    """DDPM++ with several decoders.

    Args:
        stage_starts: noise labels above which (strictly) the second, third, ... decoder is used; increasing.
        de_model_channels: channels of each decoder at ``channel_mult`` 1, from little noise to much.
        en_model_channels: those of the encoder.
        shared_middle: whether the two blocks at the bottom belong to the encoder (score_sde type) or to each decoder
            (EDM type).
        encoder_type, resample_filter, patch_size, and everything else: as in ``SongUNet``.
    """

    def __init__(
        self,
        *,
        img_resolution: int,
        stage_starts: Sequence[float],
        in_channels: int = 3,
        out_channels: int = 3,
        en_model_channels: int = 128,
        de_model_channels: Sequence[int] = (192, 128, 16),
        channel_mult: Sequence[int] = (2, 2, 2),
        channel_mult_emb: int = 4,
        num_blocks: int = 4,
        attn_resolutions: Sequence[int] = (16,),
        label_dim: int = 0,
        augment_dim: int = 0,
        encoder_type: str = "standard",
        resample_filter: Sequence[int] = (1, 1),
        shared_middle: bool = False,
        patch_size: int = 1,
    ) -> None:
        super().__init__()
        if len(stage_starts) + 1 != len(de_model_channels) or list(stage_starts) != sorted(set(stage_starts)):
            raise ValueError(
                f"{len(de_model_channels)} decoders need {len(de_model_channels) - 1} increasing stage_starts, "
                f"got {list(stage_starts)}."
            )
        self.stage_starts = tuple(stage_starts)
        self.label_dim, self.patch_size = label_dim, patch_size
        in_channels, out_channels = in_channels * patch_size**2, out_channels * patch_size**2
        emb_channels = en_model_channels * channel_mult_emb
        self.map_noise = PositionalEmbedding(en_model_channels)
        self.map_label = linear(label_dim, en_model_channels) if label_dim else None
        self.map_augment = linear(augment_dim, en_model_channels, bias=False) if augment_dim else None
        self.map_layer0 = linear(en_model_channels, emb_channels)
        self.map_layer1 = linear(emb_channels, emb_channels)
        block = BlockMaker(emb_channels=emb_channels, taps=tuple(resample_filter), dropout=0.0, max_groups=16)
        sizes = [img_resolution // patch_size >> level for level in range(len(channel_mult))]
        attends = frozenset(attn_resolutions)
        widths = [en_model_channels * mult for mult in channel_mult]
        self.enc, skips = make_encoder(
            block,
            list(zip(sizes, widths, strict=True)),
            in_channels,
            en_model_channels,
            num_blocks,
            attends,
            encoder_type,
        )
        self.mid = make_middle(block, sizes[-1], widths[-1]) if shared_middle else None
        self.decs = nn.ModuleList()
        for channels in de_model_channels:
            levels = [(size, channels * mult) for size, mult in zip(sizes, channel_mult, strict=True)]
            self.decs.append(
                make_decoder(
                    block, levels, out_channels, skips, num_blocks, attends, "standard", middle=not shared_middle
                )
            )

    def forward(self, x: Tensor, noise_labels: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """The raw network; arguments as ``SongUNet``'s."""
        emb = self._embedding(noise_labels, class_labels)
        bottom, skips = run_encoder(self.enc, functional.pixel_unshuffle(x, self.patch_size), emb)
        for layer in () if self.mid is None else self.mid.values():
            bottom = layer(bottom, emb)
        stages = self.stages(noise_labels)
        output: Tensor | None = None
        for stage in sorted(set(stages.tolist())):
            rows = (stages == stage).nonzero()[:, 0]
            decoded = run_decoder(self.decs[stage], bottom[rows], emb[rows], [skip[rows] for skip in skips])
            output = decoded.new_empty(len(x), *decoded.shape[1:]) if output is None else output
            output = output.index_copy(0, rows, decoded)
        assert output is not None
        return functional.pixel_shuffle(output, self.patch_size)

    def stages(self, noise_labels: Tensor) -> Tensor:
        """(batch,) index of each row's decoder: how many of ``stage_starts`` lie below its noise label."""
        labels = noise_labels.float()
        return torch.bucketize(labels, labels.new_tensor(self.stage_starts))  # float32 in half precision too

    def _embedding(self, noise_labels: Tensor, class_labels: Tensor | None) -> Tensor:
        emb = self.map_noise(noise_labels).to(self.map_layer0.weight.dtype)
        if self.map_label is not None:
            labels = emb.new_zeros(len(emb), self.label_dim) if class_labels is None else class_labels.to(emb.dtype)
            emb = emb + self.map_label(labels * math.sqrt(self.label_dim))
        emb = functional.silu(self.map_layer0(emb))
        return functional.silu(self.map_layer1(emb))
