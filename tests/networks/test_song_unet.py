"""SongUNet: the released checkpoints' names, and the mathematics of its parts."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo.diffusion.networks.song_blocks import (
    Conv2d,
    FourierEmbedding,
    PositionalEmbedding,
    UNetBlock,
    pixel_attention,
)
from reprozoo.diffusion.networks.song_unet import SongUNet

CONFIGS = {
    "ddpmpp": {"embedding_type": "positional", "encoder_type": "standard", "resample_filter": (1, 1)},
    "ncsnpp": {
        "embedding_type": "fourier",
        "encoder_type": "residual",
        "resample_filter": (1, 3, 3, 1),
        "channel_mult_noise": 2,
    },
    "skip": {"encoder_type": "skip", "decoder_type": "skip", "resample_filter": (1, 3, 3, 1)},
    "conditional": {"label_dim": 10, "augment_dim": 9},
    "patches": {"patch_size": 2, "attn_resolutions": (8,)},
}


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and buffer-free scale a random value: the last layers start near zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter[0].numel() + 1))
    return network.eval()


def small(**options: object) -> SongUNet:
    defaults = {"img_resolution": 32, "model_channels": 16, "channel_mult": (1, 2, 2), "num_blocks": 1}
    network = SongUNet(**{**defaults, **options})
    randomised(network)
    return network


def inputs(batch: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, 32, 32, generator=generator), torch.randn(batch, generator=generator)


@pytest.mark.parametrize("name", CONFIGS)
def test_output_depends_on_its_own_input_alone(name: str) -> None:
    network = small(**CONFIGS[name])
    x, labels = inputs()
    state = torch.random.get_rng_state()
    together = network(x, labels)
    alone = torch.cat([network(x[i : i + 1], labels[i : i + 1]) for i in range(3)])
    assert together.shape == x.shape
    assert together.std() > 0.01, "the network must not be near zero, or the comparison proves nothing"
    assert torch.equal(torch.random.get_rng_state(), state)
    # Float32 sums in another order.
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert (together - network(x, labels + 0.5)).abs().max() > 1e-3


def test_released_uncond_vp_names_and_sizes() -> None:
    """NVIDIA's CIFAR-10 networks: 55.7 M parameters (arXiv:2206.00364, table 7), names as in their state dicts."""
    with torch.device("meta"):
        network = SongUNet(img_resolution=32, augment_dim=9)
    state = network.state_dict()
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 55.7
    expected = {
        "map_layer0.weight": (512, 128),
        "map_layer1.bias": (512,),
        "map_augment.weight": (128, 9),
        "enc.32x32_conv.weight": (128, 3, 3, 3),
        "enc.32x32_block0.norm0.weight": (128,),
        "enc.32x32_block0.affine.weight": (256, 512),
        "enc.32x32_block0.skip.weight": (256, 128, 1, 1),
        "enc.16x16_down.conv0.resample_filter": (1, 1, 2, 2),
        "enc.16x16_down.skip.resample_filter": (1, 1, 2, 2),
        "enc.16x16_block3.qkv.weight": (768, 256, 1, 1),
        "enc.16x16_block3.proj.bias": (256,),
        "dec.8x8_in0.norm2.weight": (256,),
        "dec.8x8_in1.conv1.weight": (256, 256, 3, 3),
        "dec.16x16_up.conv0.resample_filter": (1, 1, 2, 2),
        "dec.16x16_block4.qkv.weight": (768, 256, 1, 1),
        "dec.32x32_block4.conv0.weight": (256, 384, 3, 3),
        "dec.32x32_aux_norm.weight": (256,),
        "dec.32x32_aux_conv.weight": (3, 256, 3, 3),
    }
    assert {name: tuple(state[name].shape) for name in expected} == expected
    absent = ("map_noise.freqs", "dec.16x16_block3.qkv.weight", "dec.8x8_in1.qkv.weight", "dec.16x16_aux_norm.weight")
    assert not set(absent) & state.keys()


def test_released_ve_and_conditional_names() -> None:
    with torch.device("meta"):
        residual = SongUNet(img_resolution=32, label_dim=10, **CONFIGS["ncsnpp"]).state_dict()
        skip = SongUNet(img_resolution=32, **CONFIGS["skip"]).state_dict()
    assert residual["map_noise.freqs"].shape == (128,)
    assert residual["map_label.weight"].shape == (256, 10)
    assert residual["enc.16x16_aux_residual.weight"].shape == (256, 3, 3, 3)
    assert residual["enc.8x8_aux_residual.weight"].shape == (256, 256, 3, 3)
    assert residual["enc.8x8_aux_residual.resample_filter"].shape == (1, 1, 4, 4)
    assert {"enc.16x16_aux_down.resample_filter", "enc.16x16_aux_skip.weight"} <= skip.keys()
    assert "enc.16x16_aux_down.weight" not in skip
    assert {"dec.16x16_aux_up.resample_filter", "dec.8x8_aux_conv.weight", "dec.32x32_aux_conv.weight"} <= skip.keys()


def test_encoder_and_decoder_run_in_the_order_of_the_names() -> None:
    network = SongUNet(img_resolution=16, model_channels=16, channel_mult=(1, 1), num_blocks=1)
    assert list(network.enc) == ["16x16_conv", "16x16_block0", "8x8_down", "8x8_block0"]
    assert list(network.dec) == [
        *("8x8_in0", "8x8_in1", "8x8_block0", "8x8_block1"),
        *("16x16_up", "16x16_block0", "16x16_block1", "16x16_aux_norm", "16x16_aux_conv"),
    ]


@pytest.mark.parametrize("resample", ["up", "down"])
def test_box_filter_equals_its_convolution(resample: str) -> None:
    """The short cut for taps (1, 1) is the general path."""
    x = torch.randn(2, 5, 8, 8, dtype=torch.float64)
    layer = Conv2d(5, 5, 0, resample=resample, taps=(1, 1)).double()
    quick = layer(x)
    layer.is_box = False
    torch.testing.assert_close(quick, layer(x))


@pytest.mark.parametrize("taps", [(1, 1), (1, 3, 3, 1)])
def test_resampling_keeps_a_constant_inside(taps: tuple[int, ...]) -> None:
    x = torch.full((1, 2, 8, 8), 3.0)
    up, down = (Conv2d(2, 2, 0, resample=resample, taps=taps)(x) for resample in ("up", "down"))
    assert (up.shape[-1], down.shape[-1]) == (16, 4)
    torch.testing.assert_close(up[..., 1:-1, 1:-1], torch.full((1, 2, 14, 14), 3.0))
    torch.testing.assert_close(down[..., 1:-1, 1:-1], torch.full((1, 2, 2, 2), 3.0))


def test_fir_upsampling_is_zero_insertion_then_filter() -> None:
    x = torch.randn(1, 1, 6, 6, dtype=torch.float64)
    spread = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    spread[..., ::2, ::2] = x
    row = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 8
    expected = functional.conv2d(functional.pad(spread, (2, 1, 2, 1)), 4 * torch.outer(row, row)[None, None])
    got = Conv2d(1, 1, 0, resample="up", taps=(1, 3, 3, 1)).double()(x)
    torch.testing.assert_close(got, expected)


def test_padding_before_the_filter_commutes_with_the_convolution() -> None:
    """Convolve on the padded image, then filter and stride: the order of the papers' code gives the same."""
    layer = Conv2d(3, 7, 3, resample="down", taps=(1, 3, 3, 1), pad_before_filter=True).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    wide = functional.conv2d(x, layer.weight, padding=2)
    taps = layer.resample_filter.expand(7, 1, -1, -1)
    expected = functional.conv2d(wide, taps, stride=2, groups=7) + layer.bias.reshape(1, -1, 1, 1)
    torch.testing.assert_close(layer(x), expected)


def test_attention_is_softmax_over_interleaved_projections() -> None:
    block = UNetBlock(8, 8, 4, attention=True)
    randomised(block)
    x = torch.randn(2, 8, 4, 4)
    q, k, v = block.qkv(x).reshape(2, 8, 3, 16).unbind(2)
    weights = torch.einsum("ncq,nck->nqk", q, k / math.sqrt(8)).softmax(dim=2)
    expected = block.proj(torch.einsum("nqk,nck->ncq", weights, v).reshape(x.shape))
    attended = block.proj(pixel_attention(block.qkv(x), heads=1))
    torch.testing.assert_close(attended, expected, rtol=1e-4, atol=1e-5)


def test_block_is_the_formula() -> None:
    block = UNetBlock(8, 16, 4)
    randomised(block)
    x, emb = torch.randn(2, 8, 4, 4), torch.randn(2, 4)
    hidden = block.conv0(functional.silu(functional.group_norm(x, 2, block.norm0.weight, block.norm0.bias, 1e-6)))
    hidden = hidden + (emb @ block.affine.weight.T + block.affine.bias)[..., None, None]
    hidden = functional.silu(functional.group_norm(hidden, 4, block.norm1.weight, block.norm1.bias, 1e-6))
    torch.testing.assert_close(block(x, emb), (block.conv1(hidden) + block.skip(x)) * math.sqrt(0.5))


def test_embeddings_are_sines_then_cosines() -> None:
    labels = torch.tensor([0.0, 1.5])
    positional = PositionalEmbedding(8)(labels)
    torch.testing.assert_close(positional[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    torch.testing.assert_close(positional[1, 0], torch.tensor(1.5).sin())
    torch.testing.assert_close(positional[1, 3], torch.tensor(1.5e-4).sin())
    fourier = FourierEmbedding(8)
    # In the network's own order of products: at phases of hundreds of radians another order shows in the sine.
    torch.testing.assert_close(fourier(labels)[1, :4], (1.5 * (2 * math.pi * fourier.freqs)).sin())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("embedding", [PositionalEmbedding(32), FourierEmbedding(32)], ids=["positional", "fourier"])
def test_times_are_float32_in_half_precision(embedding: torch.nn.Module, dtype: torch.dtype) -> None:
    labels = torch.tensor([0.5, 500.0, 999.0])
    exact = embedding(labels)
    assert torch.equal(copy.deepcopy(embedding).to(dtype)(labels), exact)


def test_class_label_is_scaled_and_none_means_no_class() -> None:
    network = small(label_dim=10)
    x, labels = inputs()
    none = network(x, labels)
    torch.testing.assert_close(none, network(x, labels, torch.zeros(3, 10)))
    assert (none - network(x, labels, torch.eye(10)[:3])).abs().max() > 1e-3
    network.map_label.weight.data *= 0
    torch.testing.assert_close(network(x, labels, torch.eye(10)[:3]), network(x, labels))


def test_patches_are_a_folding_of_the_image() -> None:
    """With patch size 2 the network is the plain one on 12 channels at half the resolution."""
    folded = small(patch_size=2)
    plain = small(img_resolution=16, in_channels=12, out_channels=12)
    plain.load_state_dict(folded.state_dict())
    x, labels = inputs()
    expected = functional.pixel_shuffle(plain(functional.pixel_unshuffle(x, 2), labels), 2)
    assert torch.equal(folded(x, labels), expected)


def test_wrong_option_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="embedding_type is 'sines'; it must be one of positional, fourier"):
        SongUNet(img_resolution=32, embedding_type="sines")
