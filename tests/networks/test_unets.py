"""DDPM, ADM and multistage U-Nets at their released sizes, and what sets them apart. Their numbers: tests/plugins."""

from __future__ import annotations

import pytest
import torch

from reprozoo.base.errors import IntegrityError
from reprozoo.diffusion.networks.adm_names import from_guided_diffusion
from reprozoo.diffusion.networks.adm_unet import ADMBlock, ADMUNet
from reprozoo.diffusion.networks.ddpm_unet import DDPMUNet
from reprozoo.diffusion.networks.embeddings import cos_sin
from reprozoo.diffusion.networks.multistage_unet import MultistageUNet
from reprozoo.diffusion.networks.song_blocks import pixel_attention
from reprozoo.diffusion.networks.song_names import from_score_sde, score_sde_parameters
from reprozoo.diffusion.networks.song_unet import SongUNet


def millions(network: torch.nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1)


def test_released_sizes() -> None:
    with torch.device("meta"):
        assert millions(DDPMUNet(img_resolution=32)) == 35.2
        assert millions(ADMUNet(img_resolution=64, label_dim=1000)) == 295.9  # arXiv:2206.00364, table 7: 296 M
        multistage = MultistageUNet(img_resolution=32, stage_starts=[0, 1], augment_dim=9)
    parts = [millions(part) for part in (multistage.enc, *multistage.decs)]
    assert parts[1] > parts[2] > parts[3], "more channels where there is little noise"


def test_names_of_released_networks() -> None:
    with torch.device("meta"):
        ddpm = DDPMUNet(img_resolution=32).state_dict()
        adm = ADMUNet(img_resolution=64, label_dim=1000).state_dict()
        stages = MultistageUNet(img_resolution=32, stage_starts=[0, 1]).state_dict()
    assert ddpm["all_modules.7.NIN_0.W"].shape == (256, 256)  # first block at 16x16, then its attention
    assert adm["map_label.weight"].shape == (768, 1000)
    assert adm["dec.8x8_in0.qkv.weight"].shape == (2304, 768, 1, 1)
    assert "enc.64x64_block0.qkv.weight" not in adm
    assert stages["decs.2.8x8_block0.conv0.weight"].shape == (32, 512, 3, 3)


def test_average_has_one_name_for_each_parameter() -> None:
    with torch.device("meta"):
        plain = SongUNet(img_resolution=32, channel_mult=(1, 2, 2, 2))
        fourier = SongUNet(
            img_resolution=32, channel_mult=(1, 2, 2, 2), embedding_type="fourier", encoder_type="residual",
            resample_filter=(1, 3, 3, 1), channel_mult_noise=2,
        )  # fmt: skip
    assert len(score_sde_parameters(plain)) == len(set(score_sde_parameters(plain)))
    names = score_sde_parameters(fourier)
    assert names[:2] == ["all_modules.1.weight", "all_modules.1.bias"], "the frequencies are not trained"
    assert names[-1].endswith(".bias")


def test_conversion_refuses_what_is_missing_and_what_is_left() -> None:
    network = SongUNet(img_resolution=16, model_channels=16, channel_mult=(1,), num_blocks=1, attn_resolutions=())
    with pytest.raises(IntegrityError, match=r"a file lacks all_modules\.0\.weight"):
        from_score_sde(network, {}, "a file")
    adm = ADMUNet(img_resolution=8, model_channels=64, channel_mult=(1,), num_blocks=1, attn_resolutions=())
    with pytest.raises(IntegrityError, match=r"a file lacks time_embed\.0\.weight"):
        from_guided_diffusion(adm, {}, "a file")


def test_attention_heads_are_separate() -> None:
    """Two heads of a block are two one-headed attentions on halves of the rows."""
    torch.manual_seed(0)
    block = ADMBlock(16, 16, 8, heads=2).double()
    torch.nn.init.normal_(block.qkv.weight)
    block.proj.weight.data = torch.eye(16, dtype=torch.float64)[:, :, None, None]
    x = torch.randn(1, 16, 4, 4, dtype=torch.float64)
    q, k, v = block.qkv(x).reshape(2, 8, 3, 16).unbind(2)
    weights = torch.softmax(torch.einsum("hcq,hck->hqk", q, k) / 8**0.5, dim=2)
    expected = torch.einsum("hqk,hck->hcq", weights, v).reshape(x.shape)
    torch.testing.assert_close(block.proj(pixel_attention(block.qkv(x), heads=2)), expected)


def test_embedding_is_cosines_then_sines() -> None:
    row = cos_sin(torch.tensor([0.0, 2.0]), 8)
    torch.testing.assert_close(row[0], torch.tensor([1.0] * 4 + [0.0] * 4))
    torch.testing.assert_close(row[1, 5], torch.tensor(0.2).sin())  # 10000 ** (-1 / 4) = 0.1


def test_decoders_must_fit_the_stages() -> None:
    with pytest.raises(ValueError, match="3 decoders need 2 increasing stage_starts"):
        MultistageUNet(img_resolution=16, stage_starts=[1.0, 0.5])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_stages_begin_at_the_same_label_in_half_precision(dtype: torch.dtype) -> None:
    network = MultistageUNet(img_resolution=16, stage_starts=[442.0, 630.8], en_model_channels=8,
                             de_model_channels=[8, 8, 8], channel_mult=[1], num_blocks=1)  # fmt: skip
    labels = torch.tensor([441.9, 442.1, 630.7, 630.9])
    assert network.to(dtype).stages(labels).tolist() == [0, 1, 1, 2]
