"""U-ViT: a vision transformer with long skip connections, time and class as tokens.

State dicts of the original load strictly. It promises that each output depends on its own input alone, and draws no
random number.

Source: Bao et al. 2022, arXiv:2209.12152; baofff/U-ViT@ce551708 `libs/uvit.py` (MIT), followed in names and numerics.
"""

import torch
from torch import Tensor, nn

from reprozoo.diffusion.networks.embeddings import cos_sin
from reprozoo.diffusion.networks.transformer import Attention, Mlp, PatchEmbed


class Block(nn.Module):
    """Pre-norm transformer block; with `skip`, it first merges the tokens of its mirror block in the first half."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, *, qkv_bias: bool, skip: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.skip_linear = nn.Linear(2 * dim, dim) if skip else None

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if self.skip_linear is not None:
            assert skip is not None
            x = self.skip_linear(torch.cat([x, skip], dim=-1))
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x


class UViT(nn.Module):
    """U-ViT of `depth // 2` blocks, a middle one, and `depth // 2` with skips.

    Args:
        img_size: height and width of the image, a multiple of `patch_size`.
        embed_dim: width of the tokens, even.
        depth: number of blocks without the middle one, even.
        qkv_bias: False in every released model.
        mlp_time_embed: pass the time embedding through two layers; False in every released pixel model.
        num_classes: 0 or less for an unconditional network.
        conv: end with a 3x3 convolution over the joined patches.
        skip: without it, the same transformer without the long skips.
    """

    def __init__(
        self,
        *,
        img_size: int,
        patch_size: int,
        in_chans: int = 3,
        embed_dim: int = 512,
        depth: int = 12,
        num_heads: int = 8,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        mlp_time_embed: bool = False,
        num_classes: int = -1,
        conv: bool = True,
        skip: bool = True,
    ) -> None:
        super().__init__()
        self.patch_size, self.in_chans, self.embed_dim = patch_size, in_chans, embed_dim
        self.grid = img_size // patch_size
        self.patch_embed = PatchEmbed(patch_size, in_chans, embed_dim)
        self.time_embed = _time_mlp(embed_dim) if mlp_time_embed else nn.Identity()
        self.label_emb = nn.Embedding(num_classes, embed_dim) if num_classes > 0 else None
        self.extras = 1 if self.label_emb is None else 2
        self.pos_embed = nn.Parameter(torch.zeros(1, self.extras + self.grid**2, embed_dim))

        def block(*, skip: bool = False) -> Block:
            return Block(embed_dim, num_heads, mlp_ratio, qkv_bias=qkv_bias, skip=skip)

        self.in_blocks = nn.ModuleList(block() for _ in range(depth // 2))
        self.mid_block = block()
        self.out_blocks = nn.ModuleList(block(skip=skip) for _ in range(depth // 2))
        self.norm = nn.LayerNorm(embed_dim)
        self.decoder_pred = nn.Linear(embed_dim, patch_size**2 * in_chans)
        self.final_layer = nn.Conv2d(in_chans, in_chans, 3, padding=1) if conv else nn.Identity()
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.apply(_init_linear)

    def forward(self, x: Tensor, timesteps: Tensor, y: Tensor | None = None) -> Tensor:
        """The raw network.

        Args:
            x: (batch, in_chans, img_size, img_size) in the data's range.
            timesteps: (batch,) time, 0 to about 999 in the released models; need not be whole.
            y: (batch,) class indices; required by a conditional network, refused by any other.
        """
        if (y is None) != (self.label_emb is None):
            raise ValueError("This U-ViT " + ("has no classes; pass y=None." if y is not None else "needs classes y."))
        tokens = self.patch_embed(x)
        time_token = self.time_embed(cos_sin(timesteps, self.embed_dim).to(x.dtype))[:, None]
        extras = [time_token] if self.label_emb is None else [self.label_emb(y)[:, None], time_token]
        tokens = torch.cat([*extras, tokens], dim=1) + self.pos_embed
        tokens = self.decoder_pred(self.norm(self._transform(tokens)))[:, self.extras :]
        image: Tensor = self.final_layer(self._unpatchify(tokens))
        return image

    def _transform(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.in_blocks:
            x = block(x)
            skips.append(x)
        x = self.mid_block(x)
        for block in self.out_blocks:
            x = block(x, skips.pop())
        return x

    def _unpatchify(self, tokens: Tensor) -> Tensor:
        batch, size = len(tokens), self.patch_size
        grid = tokens.reshape(batch, self.grid, self.grid, size, size, self.in_chans)
        image = grid.permute(0, 5, 1, 3, 2, 4)
        return image.reshape(batch, self.in_chans, self.grid * size, self.grid * size)


def _time_mlp(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, dim))


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
