"""GANs: the generators' contract, the names of the released files, and shapes of their cards."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from reprozoo import IntegrityError, NoiseBank, UsageError
from reprozoo.diffusion.networks.generators import GENERATORS, ConvGenerator
from reprozoo.testing import assert_map_contract
from reprozoo.zoo.cards import HubSource
from reprozoo.zoo.plugins import installed_registry
from tests.families import load_family

SIMPLE = {"architecture": "simple-cnn", "z_dim": 6, "dim": 8, "dim_mults": [2, 1]}
RESNET = {"architecture": "resnet", "z_dim": 6, "channels": [8, 8, 4]}
FACTS = {"family": "gan", "noise_shape": [6], "image_shape": [3, 16, 16]}


def network_of(config: dict[str, Any]) -> torch.nn.Module:
    """With random weights, and running averages as after a training."""
    torch.manual_seed(0)
    arguments = {key: value for key, value in config.items() if key != "architecture"}
    network = GENERATORS[config["architecture"]](**arguments)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    network(torch.randn(32, 6))
    return network.eval()


@pytest.mark.parametrize("config", [SIMPLE, RESNET], ids=["simple-cnn", "resnet"])
def test_a_generator_is_a_map(config: dict[str, Any], tmp_path: Path) -> None:
    network = network_of(config)
    save_file(network.state_dict(), tmp_path / "file")
    loaded: Any = load_family({**FACTS, "network": config}, {"weights": tmp_path / "file"})
    assert_map_contract(loaded)
    noise = NoiseBank(3).noise(range(4), (6,))
    with torch.no_grad():
        torch.testing.assert_close(loaded(noise), network(noise))
    assert loaded.nfe == 1


def test_files_of_the_original_code_are_read(tmp_path: Path) -> None:
    """xyfJASON/gans-pytorch saves both networks; its generator's tensors, by name."""
    network = network_of(SIMPLE)
    state = network.state_dict()
    assert list(state)[:3] == ["first_conv.weight", "first_conv.bias", "layers.0.0.weight"]
    assert {"layers.0.0.running_var", "layers.0.2.weight", "last_conv.0.bias", "last_conv.2.weight"} <= set(state)
    assert state["first_conv.weight"].shape == (6, 16, 4, 4)
    torch.save({"G": state, "D": {"first_conv.weight": torch.zeros(3)}}, tmp_path / "model.pt")
    loaded: Any = load_family(
        {**FACTS, "network": SIMPLE}, {"weights": tmp_path / "model.pt"}, formats={"weights": "torch:G"}
    )
    noise = NoiseBank(3).noise(range(4), (6,))
    with torch.no_grad():
        torch.testing.assert_close(loaded(noise), network(noise))


@pytest.mark.parametrize("name", ["gan-sngan-cifar10", "gan-wgan-gp-cifar10", "tiny-gan-a", "tiny-gan-b"])
def test_cards_describe_a_generator_of_their_shapes(name: str) -> None:
    card = installed_registry().model(name)
    arguments = {key: value for key, value in card.network.items() if key != "architecture"}
    network = GENERATORS[card.network["architecture"]](**arguments)
    noise = torch.zeros(2, *card.noise_shape)
    assert network.eval()(noise).shape == (2, *card.image_shape)


def test_the_released_file_has_room_for_exactly_this_generator_and_its_critic() -> None:
    """The critic mirrors the generator: 4x4 convolutions from 3 over 256, 512 and 1024 channels to 1, and two norms."""
    card = installed_registry().model("gan-wgan-gp-cifar10")
    arguments = {key: value for key, value in card.network.items() if key != "architecture"}
    generator = sum(tensor.numel() for tensor in ConvGenerator(**arguments).state_dict().values())
    widths = (3, 256, 512, 1024, 1)
    critic = sum(16 * a * b + b for a, b in pairwise(widths)) + 4 * (512 + 1024)
    (source,) = card.weights
    assert isinstance(source, HubSource)
    assert isinstance(source.bytes, int)
    assert 0 < source.bytes - 4 * (generator + critic) < 16_384  # names and the frame of the archive


def test_wrong_architecture_and_wrong_file_are_sentences(tmp_path: Path) -> None:
    save_file(network_of(RESNET).state_dict(), tmp_path / "file")
    with pytest.raises(UsageError, match="no architecture 'stylegan'; expected one of simple-cnn, resnet"):
        load_family({**FACTS, "network": {"architecture": "stylegan"}}, {"weights": tmp_path / "file"})
    with pytest.raises(IntegrityError, match=r"another network than its card: it lacks first_conv\.weight"):
        load_family({**FACTS, "network": SIMPLE}, {"weights": tmp_path / "file"})
