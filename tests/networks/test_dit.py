"""The pixel DiT: the sizes and names of its checkpoints, and the mathematics of its parts."""

from __future__ import annotations

import math

import torch

from reprozoo.diffusion.networks.dit import DiT, sin_cos_positions
from tests.seeded import seeded


def small() -> DiT:
    network = DiT(input_size=8, patch_size=2, hidden_size=32, depth=2, num_heads=2)
    network.load_state_dict(seeded((name, tensor.shape) for name, tensor in network.state_dict().items()))
    return network.eval()


def test_names_and_size_of_the_papers_model() -> None:
    """DiT-S/8: 33.0 M with the embedding of classes of the checkpoint, which takes 1001 x 384."""
    with torch.device("meta"):
        network = DiT(input_size=32, patch_size=8)
    state = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert sum(p.numel() for p in network.parameters()) == 33_000_384 - 1001 * 384 - 16 * 384
    expected = {
        "pos_embed": (1, 16, 384),
        "x_embedder.proj.weight": (384, 3, 8, 8),
        "t_embedder.mlp.0.weight": (384, 256),
        "blocks.11.attn.qkv.bias": (1152,),
        "blocks.0.adaLN_modulation.1.weight": (2304, 384),
        "blocks.0.mlp.fc1.weight": (1536, 384),
        "final_layer.linear.weight": (192, 384),
        "final_layer.adaLN_modulation.1.bias": (768,),
    }
    assert {name: state.get(name) for name in expected} == expected


def test_output_depends_on_its_own_input_alone() -> None:
    network, x, times = small(), torch.randn(3, 3, 8, 8), torch.tensor([1.0, 500.5, 999.0])
    with torch.no_grad():
        together = network(x, times)
        alone = torch.cat([network(x[i : i + 1], times[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)  # float32 sums in another order
        assert (together - network(x, times + 50)).abs().max() > 1e-4


def test_a_gate_of_zero_leaves_the_tokens_as_they_are() -> None:
    network, x = small(), torch.randn(1, 16, 32)
    block = network.blocks[0]
    with torch.no_grad():
        block.adaLN_modulation[1].weight.zero_()
        block.adaLN_modulation[1].bias.zero_()
        assert torch.equal(block(x, torch.randn(1, 32)), x)


def test_positions_are_column_then_row() -> None:
    places = sin_cos_positions(3, 8)
    row, column = 2, 1
    half = [math.sin(column), math.sin(column / 100), math.cos(column), math.cos(column / 100)]
    other = [math.sin(row), math.sin(row / 100), math.cos(row), math.cos(row / 100)]
    torch.testing.assert_close(places[row * 3 + column], torch.tensor(half + other))


def test_half_precision_stays_near() -> None:
    network, x, time = small(), torch.randn(1, 3, 8, 8), torch.tensor([500.5])
    with torch.no_grad():
        expected = network(x, time)
        found = network.to(torch.bfloat16)(x.to(torch.bfloat16), time)
    assert found.dtype == torch.bfloat16
    # Eight bits of mantissa through some twenty layers.
    assert (found.float() - expected).norm() < 0.05 * expected.norm()
