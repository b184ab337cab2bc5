"""What the vision transformers here have in common: patches as tokens, attention, two-layer networks.

The names of the parameters are those of timm's, which U-ViT and DiT checkpoints share. Each token sequence is treated
by itself, and no random number is drawn.

Source: baofff/U-ViT@ce551708 `libs/uvit.py` and `libs/timm.py` (MIT), followed in names and numerics. Attention is
PyTorch's own in the input's dtype; the original's "flash" mode computes it in float32.
"""

from torch import Tensor, nn
from torch.nn import functional


class PatchEmbed(nn.Module):
    """Image to tokens: (batch, channels, height, width) to (batch, patches, dim)."""

    def __init__(self, patch_size: int, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return tokens


class Attention(nn.Module):
    """Multi-head self-attention over all tokens."""

    def __init__(self, dim: int, num_heads: int, *, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, dim // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = functional.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = self.proj(attended.transpose(1, 2).reshape(batch, tokens, dim))
        return mixed


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return projected
