"""U-ViT: the original's names, and the mathematics of its parts."""

import math

import pytest
import torch
from torch import nn

from reprozoo.diffusion.networks.embeddings import cos_sin
from reprozoo.diffusion.networks.transformer import Attention
from reprozoo.diffusion.networks.uvit import UViT


def randomised(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter[0].numel() + 1))
    return network.eval()


def small(**options: object) -> UViT:
    defaults = {"img_size": 16, "patch_size": 4, "embed_dim": 32, "depth": 4, "num_heads": 4}
    network = UViT(**{**defaults, **options})
    randomised(network)
    return network


@pytest.mark.parametrize("options", [{}, {"num_classes": 10}, {"mlp_time_embed": True}, {"conv": False, "skip": False}])
def test_output_depends_on_its_own_input_alone(options: dict[str, object]) -> None:
    network = small(**options)
    x, times = torch.randn(3, 3, 16, 16), torch.tensor([1.0, 500.5, 999.0])
    y = torch.tensor([0, 5, 9]) if "num_classes" in options else None
    together = network(x, times, y)
    alone = [network(x[i : i + 1], times[i : i + 1], None if y is None else y[i : i + 1]) for i in range(3)]
    assert together.shape == x.shape
    assert together.std() > 0.01
    # Float32 sums in another order.
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)
    assert (together - network(x, times + 50, y)).abs().max() > 1e-4


def test_names_and_size_of_the_released_cifar10_model() -> None:
    """U-ViT-S/2, 44 M parameters (arXiv:2209.12152, table 1)."""
    with torch.device("meta"):
        network = UViT(img_size=32, patch_size=2, embed_dim=512, depth=12, num_heads=8)
    state = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert round(sum(p.numel() for p in network.parameters()) / 1e6) == 44
    expected = {
        "pos_embed": (1, 257, 512),
        "patch_embed.proj.weight": (512, 3, 2, 2),
        "in_blocks.5.norm1.bias": (512,),
        "in_blocks.0.attn.qkv.weight": (1536, 512),
        "mid_block.attn.proj.bias": (512,),
        "out_blocks.0.skip_linear.weight": (512, 1024),
        "out_blocks.5.mlp.fc1.weight": (2048, 512),
        "out_blocks.5.mlp.fc2.bias": (512,),
        "norm.weight": (512,),
        "decoder_pred.weight": (12, 512),
        "final_layer.weight": (3, 3, 3, 3),
    }
    assert {name: state.get(name) for name in expected} == expected
    assert not {"in_blocks.0.attn.qkv.bias", "in_blocks.0.skip_linear.weight", "label_emb.weight"} & state.keys()


def test_label_comes_before_time_in_the_tokens() -> None:
    network = small(num_classes=10, skip=False)
    seen = []
    network.in_blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    network(torch.zeros(1, 3, 16, 16), torch.tensor([7.0]), torch.tensor([3]))
    tokens = seen[0] - network.pos_embed
    torch.testing.assert_close(tokens[0, 0], network.label_emb.weight[3])
    torch.testing.assert_close(tokens[0, 1], cos_sin(torch.tensor([7.0]), 32)[0])


def test_attention_is_softmax_of_scaled_products() -> None:
    attention = Attention(12, 3, qkv_bias=False)
    randomised(attention)
    x = torch.randn(2, 5, 12)
    q, k, v = (part.unflatten(2, (3, 4)).transpose(1, 2) for part in attention.qkv(x).chunk(3, dim=2))
    mixed = ((q @ k.transpose(2, 3)) / 2).softmax(dim=3) @ v
    torch.testing.assert_close(attention(x), attention.proj(mixed.transpose(1, 2).flatten(2)), rtol=1e-4, atol=1e-5)


def test_patches_return_to_their_places() -> None:
    """Tokens that hold the pixels of their patch, channel last, give back the image."""
    network = small()
    image = torch.randn(2, 3, 16, 16)
    patches = image.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 4, 5, 1).reshape(2, 16, 48)
    assert torch.equal(network._unpatchify(patches), image)


def test_timestep_embedding_is_cosines_then_sines() -> None:
    row = cos_sin(torch.tensor([999.0]), 4)[0]
    expected = [math.cos(999), math.cos(9.99), math.sin(999), math.sin(9.99)]
    # Float32 phase of 999 radians.
    torch.testing.assert_close(row, torch.tensor(expected), rtol=0, atol=1e-4)


def test_class_must_be_given_exactly_when_there_are_classes() -> None:
    x, times = torch.zeros(1, 3, 16, 16), torch.zeros(1)
    with pytest.raises(ValueError, match="has no classes"):
        small()(x, times, torch.zeros(1, dtype=torch.long))
    with pytest.raises(ValueError, match="needs classes"):
        small(num_classes=10)(x, times)


def test_half_precision_stays_near() -> None:
    network, x, time = small(), torch.randn(1, 3, 16, 16), torch.tensor([500.5])
    with torch.no_grad():
        expected = network(x, time)
        found = network.to(torch.bfloat16)(x.to(torch.bfloat16), time)
    assert found.dtype == torch.bfloat16
    # Eight bits of mantissa through some twenty layers.
    assert (found.float() - expected).norm() < 0.05 * expected.norm()
