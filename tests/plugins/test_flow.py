"""Rectified flow: the velocity as a denoiser, and Euler's steps in the flow's own time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from reprozoo import NoiseBank, UsageError
from reprozoo.diffusion.networks.dit import DiT
from reprozoo.diffusion.networks.song_unet import SongUNet
from reprozoo.testing import assert_map_contract
from tests.families import load_family

UNET = {"img_resolution": 8, "model_channels": 8, "channel_mult": [1], "num_blocks": 1}
DIT = {"input_size": 8, "patch_size": 4, "hidden_size": 16, "depth": 1, "num_heads": 2}
NETWORKS: dict[str, tuple[type[torch.nn.Module], dict[str, Any]]] = {"song-unet": (SongUNet, UNET), "dit": (DiT, DIT)}
FACTS = {"family": "flow", "noise_shape": [3, 8, 8], "image_shape": [3, 8, 8], "kernel": {"name": "rectified-flow"}}
SAMPLER = {"name": "euler", "steps": 4, "spacing": "time_uniform", "t_end": 0.0}


def loaded(architecture: str, path: Path, **config: Any) -> tuple[Any, torch.nn.Module]:
    build, arguments = NETWORKS[architecture]
    torch.manual_seed(0)
    network = build(**arguments).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    save_file(network.state_dict(), path)
    facts = {**FACTS, "sampler": SAMPLER, "network": {"architecture": architecture, **arguments, **config}}
    return load_family(facts, {"weights": path}), network


@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_flow_keeps_the_contract(architecture: str, tmp_path: Path) -> None:
    assert_map_contract(loaded(architecture, tmp_path / "file")[0])


def test_euler_follows_the_velocity_in_equal_steps_of_time(tmp_path: Path) -> None:
    """x -= v(x, t) / 4 at t = 1, 3/4, 1/2, 1/4, the network being told ``time_scale * t``."""
    flow, network = loaded("song-unet", tmp_path / "file", time_scale=10.0)
    noise = NoiseBank(1).noise(range(3), (3, 8, 8))
    x = noise.double()
    with torch.no_grad():
        for t in (1.0, 0.75, 0.5, 0.25):
            x = x - network(x.float(), torch.full((3,), 10 * t)).double() / 4
        found = flow.sampler(flow.denoiser([]), flow.kernel.initial_state(noise.double()))
    torch.testing.assert_close(found, x, atol=1e-5, rtol=1e-5)  # float32 networks


def test_wrong_architecture_is_a_sentence(tmp_path: Path) -> None:
    loaded("dit", tmp_path / "file")
    with pytest.raises(UsageError, match="no architecture 'mlp'; expected one of song-unet, dit"):
        load_family({**FACTS, "sampler": SAMPLER, "network": {"architecture": "mlp"}}, {"weights": tmp_path / "file"})
