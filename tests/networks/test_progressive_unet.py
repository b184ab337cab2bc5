"""The U-Net of progressive distillation: its checkpoint's names and sizes, and what its layers depend on."""

from __future__ import annotations

import math

import pytest
import torch

from reprozoo.diffusion.networks.embeddings import sin_cos
from reprozoo.diffusion.networks.progressive_unet import ProgressiveUNet, state_dict_from_flax
from tests.seeded import seeded


def small(**options: object) -> ProgressiveUNet:
    settings = {"img_resolution": 8, "ch": 32, "emb_ch": 32, "ch_mult": (1, 2), "num_res_blocks": 1}
    network = ProgressiveUNet(**settings | {"attn_resolutions": (4,)} | options)
    network.load_state_dict(seeded((name, tensor.shape) for name, tensor in network.state_dict().items()))
    return network.eval()


def test_size_of_the_cifar10_model() -> None:
    """As many parameters as the original counts with Flax."""
    with torch.device("meta"):
        network = ProgressiveUNet()
    assert sum(p.numel() for p in network.parameters()) == 60_004_099


def test_output_depends_on_its_own_input_alone() -> None:
    network, x, times = small(), torch.randn(3, 3, 8, 8), torch.tensor([1.0, 500.5, 999.0])
    with torch.no_grad():
        together = network(x, times)
        alone = torch.cat([network(x[i : i + 1], times[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)  # float32 sums in another order
        assert (together - network(x, times + 50)).abs().max() > 1e-4


def test_classes_change_the_output_and_are_needed() -> None:
    network, x, time = small(num_classes=4), torch.randn(1, 3, 8, 8), torch.tensor([500.0])
    with torch.no_grad():
        assert (network(x, time, torch.tensor([0])) - network(x, time, torch.tensor([3]))).abs().max() > 1e-4
        with pytest.raises(ValueError, match="needs classes"):
            network(x, time)


def test_embedding_ends_at_exactly_a_ten_thousandth() -> None:
    row = sin_cos(torch.tensor([1000.0]), 4)[0]
    expected = [math.sin(1000), math.sin(0.1), math.cos(1000), math.cos(0.1)]
    torch.testing.assert_close(row, torch.tensor(expected), rtol=0, atol=1e-4)  # float32 phase of 1000 radians


@pytest.mark.parametrize("heads_apart", [True, False], ids=["heads an axis", "heads joined"])
def test_flax_layouts(heads_apart: bool) -> None:
    """A dense layer is x @ kernel, a convolution's kernel is (height, width, in, out), names have two separators."""
    heads = (2, 3) if heads_apart else (6,)
    arrays = seeded(
        [
            ("down_0.attn_1/q/kernel", (6, *heads)),
            ("down_0.attn_1/q/bias", heads),
            ("down_0.attn_1/proj_out/kernel", (*heads, 6)),
            ("mid.block_1/conv1/kernel", (3, 3, 4, 5)),
            ("mid.block_1/norm1/scale", (4,)),
            ("up_2.block_0/nin_shortcut/kernel", (4, 5)),
            ("dense0/kernel", (4, 7)),
        ]
    )
    state = state_dict_from_flax(arrays)
    x = torch.randn(6)
    q = torch.nn.functional.linear(x, state["down.0.attn_1.q.weight"], state["down.0.attn_1.q.bias"])
    kernel, bias = arrays["down_0.attn_1/q/kernel"].reshape(6, 6), arrays["down_0.attn_1/q/bias"].reshape(6)
    torch.testing.assert_close(q, x @ kernel + bias)
    out = torch.nn.functional.linear(x, state["down.0.attn_1.proj_out.weight"])
    torch.testing.assert_close(out, x @ arrays["down_0.attn_1/proj_out/kernel"].reshape(6, 6))
    assert state["mid.block_1.conv1.weight"][4, 3, 0, 2] == arrays["mid.block_1/conv1/kernel"][0, 2, 3, 4]
    assert torch.equal(state["mid.block_1.norm1.weight"], arrays["mid.block_1/norm1/scale"])
    assert torch.equal(
        state["up.2.block_0.nin_shortcut.weight"][:, :, 0, 0], arrays["up_2.block_0/nin_shortcut/kernel"].T
    )
    assert torch.equal(state["dense0.weight"], arrays["dense0/kernel"].T)
