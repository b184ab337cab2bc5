"""``patch_size``: the same network on patches as pixels, so that what is known of it without patches still holds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from reprozoo.diffusion.networks.ddpm_unet import DDPMUNet
from reprozoo.diffusion.networks.multistage_unet import MultistageUNet
from reprozoo.diffusion.networks.progressive_unet import ProgressiveUNet
from reprozoo.diffusion.networks.song_unet import SongUNet

SMALL: dict[str, Any] = {"model_channels": 32, "channel_mult": [1, 1], "num_blocks": 1, "attn_resolutions": [4]}
STAGES = {"en_model_channels": 8, "de_model_channels": [8, 4], "stage_starts": [0.5], "out_channels": 3}
NETWORKS: dict[type[nn.Module], dict[str, Any]] = {
    DDPMUNet: SMALL,
    SongUNet: {**SMALL, "out_channels": 3},
    MultistageUNet: {key: value for key, value in SMALL.items() if key != "model_channels"} | STAGES,
    ProgressiveUNet: {"ch": 32, "emb_ch": 32, "ch_mult": [1, 1], "num_res_blocks": 1, "attn_resolutions": [4]},
}


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_patches_are_pixels_of_more_channels(network: type[nn.Module]) -> None:
    arguments = NETWORKS[network]
    channels = {name: 12 for name in ("in_channels", "out_channels") if name in arguments or name == "in_channels"}
    torch.manual_seed(0)
    patched = network(**arguments, img_resolution=16, patch_size=2)
    for parameter in patched.parameters():
        nn.init.normal_(parameter, std=0.1)
    plain = network(**{**arguments, **channels}, img_resolution=8)
    plain.load_state_dict(patched.state_dict(), strict=True)
    x, time = torch.randn(3, 3, 16, 16), torch.tensor([0.1, 0.6, 0.9])
    with torch.no_grad():
        expected = functional.pixel_shuffle(plain(functional.pixel_unshuffle(x, 2), time), 2)
        assert torch.equal(patched(x, time), expected)
    assert expected.std() > 0.01
