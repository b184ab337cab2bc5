"""VAEs: decoders keep the contract of maps, a learned prior is inverted exactly, and of a whole model's file only the
decoder's mean is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from reprozoo import IntegrityError, NoiseBank, UsageError
from reprozoo.diffusion.networks.decoders import DECODERS, FlowDecoder
from reprozoo.testing import assert_map_contract
from reprozoo.zoo.plugins import installed_registry
from tests.families import load_family

GATED = {"architecture": "vampprior", "z_dim": 5, "hidden": 12, "image_shape": [3, 8, 8]}
RESNET = {"architecture": "resnet", "z_dim": 5, "channels": [8, 4]}
FLOW = {"architecture": "flow-prior", "decoder": "resnet", "z_dim": 6, "channels": [8, 4], "couplings": 3, "hidden": 7}
FACTS = {"family": "vae", "noise_shape": [5], "image_shape": [3, 8, 8]}


def network_of(config: dict[str, Any]) -> torch.nn.Module:
    torch.manual_seed(0)
    arguments = {key: value for key, value in config.items() if key != "architecture"}
    network = DECODERS[config["architecture"]](**arguments)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


@pytest.mark.parametrize("config", [GATED, RESNET, FLOW], ids=["vampprior", "resnet", "flow-prior"])
def test_a_decoder_is_a_map(config: dict[str, Any], tmp_path: Path) -> None:
    network = network_of(config)
    save_file(network.state_dict(), tmp_path / "file")
    facts = {**FACTS, "noise_shape": [config["z_dim"]], "network": config}
    loaded: Any = load_family(facts, {"weights": tmp_path / "file"})
    assert_map_contract(loaded)
    noise = NoiseBank(3).noise(range(4), (config["z_dim"],))
    with torch.no_grad():
        torch.testing.assert_close(loaded(noise), network(noise))


def test_the_mean_of_the_vampprior_code(tmp_path: Path) -> None:
    """Its ``p_x``: x = h(z) sigmoid(g(z)) twice, a sigmoid of a linear layer, pixels in [0, 1]; all by its names."""
    state = network_of(GATED).state_dict()
    whole = {**state, "p_x_logvar.linear.weight": torch.ones(2), "q_z_mean.weight": torch.ones(2)}
    torch.save(whole, tmp_path / "model.pt")
    loaded: Any = load_family({**FACTS, "network": GATED}, {"weights": tmp_path / "model.pt"})
    noise = NoiseBank(3).noise(range(4), (5,))
    x = noise
    for layer in ("p_x_layers.0", "p_x_layers.1"):
        h, g = (x @ state[f"{layer}.{part}.weight"].T + state[f"{layer}.{part}.bias"] for part in ("h", "g"))
        x = h * torch.sigmoid(g)
    mean = torch.sigmoid(x @ state["p_x_mean.linear.weight"].T + state["p_x_mean.linear.bias"])
    torch.testing.assert_close(loaded(noise), (2 * mean - 1).reshape(4, 3, 8, 8))


def test_a_learned_prior_is_inverted_with_its_volume() -> None:
    network = network_of(FLOW)
    assert isinstance(network, FlowDecoder)
    noise = NoiseBank(3).noise(range(4), (6,)).double()
    flow = network.double().flow
    latent = noise
    for coupling in flow:
        latent = coupling(latent)
    assert (latent - noise).abs().max() > 0.1
    with torch.no_grad():
        found, volume = network.noise_of(latent)
        torch.testing.assert_close(found, noise)
        torch.testing.assert_close(network(noise), network.decoder(latent))
    for row, change in zip(latent, volume, strict=True):
        jacobian: Any = torch.autograd.functional.jacobian(lambda z: network.noise_of(z[None])[0][0], row)
        torch.testing.assert_close(change, torch.linalg.slogdet(jacobian).logabsdet)


def test_a_learned_prior_of_nothing_it_knows_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="decoder is 'vampprior'; it must be one of simple-cnn, resnet"):
        FlowDecoder(decoder="vampprior", z_dim=4)
    with pytest.raises(UsageError, match="z_dim is 5; couplings need an even one"):
        FlowDecoder(decoder="resnet", z_dim=5)


@pytest.mark.parametrize("name", ["vae-vampprior", "tiny-vae-a", "tiny-vae-b"])
def test_cards_describe_a_decoder_of_their_shapes(name: str) -> None:
    card = installed_registry().model(name)
    arguments = {key: value for key, value in card.network.items() if key != "architecture"}
    network = DECODERS[card.network["architecture"]](**arguments).eval()
    assert network(torch.zeros(2, *card.noise_shape)).shape == (2, *card.image_shape)


def test_wrong_architecture_and_wrong_file_are_sentences(tmp_path: Path) -> None:
    save_file(network_of(RESNET).state_dict(), tmp_path / "file")
    with pytest.raises(
        UsageError, match="no architecture 'conv'; expected one of simple-cnn, resnet, vampprior, flow-prior"
    ):
        load_family({**FACTS, "network": {"architecture": "conv"}}, {"weights": tmp_path / "file"})
    with pytest.raises(IntegrityError, match=r"another network than its card: it lacks p_x_layers\.0"):
        load_family({**FACTS, "network": GATED}, {"weights": tmp_path / "file"})
