"""DiT as arXiv:2310.05264 trained it on CIFAR-10: a transformer on pixels that knows the time and no class.

State dicts of LucasYFL/Multistage_Diffusion load strictly once their embedding of classes, which that network never
reads, is left out. Each output depends on its own input alone, and no random number is drawn.

Sources: Peebles and Xie 2022, arXiv:2212.09748, section 3 and figure 3 (adaLN-Zero). Parameter names and the exact GELU
(the original DiT has its tanh approximation) as in the checkpoints of LucasYFL/Multistage_Diffusion@9b5df663
`dpm-solver/score_sde_pytorch/models/DiT.py`. That file and facebookresearch/DiT, which it comes from, are CC BY-NC 4.0:
no code of either is here.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo.diffusion.networks.embeddings import cos_sin
from reprozoo.diffusion.networks.transformer import Attention, Mlp, PatchEmbed

FREQUENCIES = 256  # length of the embedding of the time before its two layers
NORM_EPS = 1e-6


class DiT(nn.Module):
    """A transformer of adaLN-Zero blocks over patches of an image.

    Args:
        input_size: height and width of the image, a multiple of `patch_size`.
        hidden_size: width of the tokens, a multiple of four and of `num_heads`.
        depth: number of blocks.
    """

    pos_embed: Tensor

    def __init__(
        self,
        *,
        input_size: int,
        patch_size: int,
        in_channels: int = 3,
        hidden_size: int = 384,
        depth: int = 12,
        num_heads: int = 6,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        self.patch_size, self.in_channels = patch_size, in_channels
        self.grid = input_size // patch_size
        self.x_embedder = PatchEmbed(patch_size, in_channels, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.register_buffer("pos_embed", sin_cos_positions(self.grid, hidden_size)[None])
        self.blocks = nn.ModuleList(Block(hidden_size, num_heads, mlp_ratio) for _ in range(depth))
        self.final_layer = FinalLayer(hidden_size, patch_size**2 * in_channels)

    def forward(self, x: Tensor, timesteps: Tensor) -> Tensor:
        """The raw network.

        Args:
            x: (batch, in_channels, input_size, input_size) in the data's range.
            timesteps: (batch,) time, 0 to 999; need not be whole.
        """
        tokens = self.x_embedder(x) + self.pos_embed
        condition = functional.silu(self.t_embedder(timesteps, x.dtype))
        for block in self.blocks:
            tokens = block(tokens, condition)
        return self._image(self.final_layer(tokens, condition))

    def _image(self, tokens: Tensor) -> Tensor:
        batch, size = len(tokens), self.patch_size
        patches = tokens.reshape(batch, self.grid, self.grid, size, size, self.in_channels)
        pixels = self.grid * size
        return patches.permute(0, 5, 1, 3, 2, 4).reshape(batch, self.in_channels, pixels, pixels)


class TimestepEmbedder(nn.Module):
    """The time through two layers."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size))

    def forward(self, timesteps: Tensor, dtype: torch.dtype) -> Tensor:
        embedded: Tensor = self.mlp(cos_sin(timesteps, FREQUENCIES).to(dtype))
        return embedded


class Modulation(nn.Sequential):
    """From the condition to `count` vectors; the first place is kept for the activation that the checkpoints count."""

    def __init__(self, hidden_size: int, count: int) -> None:
        super().__init__(nn.Identity(), nn.Linear(hidden_size, count * hidden_size))
        self.count = count

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        vectors: Tensor = self[1](condition)
        return vectors[:, None].chunk(self.count, dim=2)


class Block(nn.Module):
    """Attention and a two-layer network, each normalised, shifted, scaled and gated by the condition."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attn = Attention(dim, num_heads, qkv_bias=True)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.adaLN_modulation = Modulation(dim, 6)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(condition)
        x = x + gate1 * self.attn(_modulated(x, shift1, scale1))
        x = x + gate2 * self.mlp(_modulated(x, shift2, scale2))
        return x


class FinalLayer(nn.Module):
    """From tokens to the pixels of their patches."""

    def __init__(self, dim: int, patch_pixels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, patch_pixels)
        self.adaLN_modulation = Modulation(dim, 2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(condition)
        pixels: Tensor = self.linear(_modulated(x, shift, scale))
        return pixels


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], eps=NORM_EPS) * (1 + scale) + shift


def sin_cos_positions(grid: int, dim: int) -> Tensor:
    """Fixed embeddings of the places of a square grid, row by row: (grid**2, dim).

    The first half of the channels are sines and cosines of the column, the second half of the row, at frequencies from
    1 down to about 1/10000.
    """
    places = torch.arange(grid, dtype=torch.float64)
    frequencies = 10_000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    phase = torch.outer(places, frequencies)
    line = torch.cat([phase.sin(), phase.cos()], dim=1)
    return torch.cat([line.repeat(grid, 1), line.repeat_interleave(grid, dim=0)], dim=1).float()
