"""DiT: the paper's own on pixels, the original's on latents from both kinds of file, and the originals' numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiTTransformer2DModel

from reprozoo import IntegrityError, UsageError
from reprozoo.diffusion.networks.dit_latent import state_dict_from_original
from reprozoo.testing import assert_map_contract
from tests.autoencoders import tiny_autoencoder
from tests.families import assert_golden, load_family, relative, score_sde_file
from tests.seeded import Golden


@pytest.fixture
def pixels() -> Golden:
    return Golden.read("dit-pixels")


@pytest.fixture
def latents() -> Golden:
    return Golden.read("dit-latents")


@pytest.fixture
def latent_files(latents: Golden, tmp_path: Path) -> dict[str, Path]:
    torch.save(latents.weights(), tmp_path / "DiT-XL-2-256x256.pt")
    return {"weights": tmp_path / "DiT-XL-2-256x256.pt", "vae": tiny_autoencoder(tmp_path / "vae")}


def load_pixels(card: dict[str, Any], file: Path) -> Any:
    return load_family(card, {"weights": file}, formats={"weights": "score-sde"})


def test_pixels_as_the_original(pixels: Golden, tmp_path: Path) -> None:
    """From a positional average that also holds the embedding of classes, which the network never reads."""
    weights = pixels.weights()
    assert "y_embedder.embedding_table.weight" in weights
    file = score_sde_file(tmp_path / "a.pth", weights, untrained=["pos_embed"])
    assert_golden(pixels, load_pixels(pixels.facts["card"], file))
    few = pixels.facts["card"] | {"sampler": pixels.facts["card"]["sampler"] | {"steps": 7}}
    assert_map_contract(load_pixels(few, file))


def test_another_pixel_network_is_refused_with_a_sentence(pixels: Golden, tmp_path: Path) -> None:
    file = score_sde_file(tmp_path / "a.pth", pixels.weights(), untrained=["pos_embed"])
    deeper = pixels.facts["card"] | {"network": pixels.facts["card"]["network"] | {"depth": 3}}
    with pytest.raises(IntegrityError, match="it is the checkpoint of another network"):
        load_pixels(deeper, file)


def test_latents_as_the_original(latents: Golden, latent_files: dict[str, Path]) -> None:
    loaded = load_family(latents.facts["card"], latent_files)
    assert_golden(latents, loaded)
    assert_map_contract(loaded)


def test_diffusers_folder_holds_the_same_network(
    latents: Golden, latent_files: dict[str, Path], tmp_path: Path
) -> None:
    card = latents.facts["card"]
    theirs = DiTTransformer2DModel(**card["network"])
    theirs.load_state_dict(state_dict_from_original(latents.weights()))
    theirs.save_pretrained(tmp_path / "transformer")
    loaded: Any = load_family(card, latent_files | {"weights": tmp_path / "transformer"})
    assert_golden(latents, loaded)
    # Why it is corrected: the same weights in diffusers' class as it is. 1.5 % is its smallest report (random weights).
    x, time, labels = torch.ones(1, 4, 8, 8), torch.tensor([499.0]), torch.tensor([2])
    with torch.no_grad():
        assert relative(theirs(x, timestep=time, class_labels=labels).sample, loaded.network(x, time, labels)) > 0.01


def test_guidance_leaves_the_fourth_channel_as_the_original_does(
    latents: Golden, latent_files: dict[str, Path]
) -> None:
    estimates = {}
    x, sigma = torch.ones(1, 4, 8, 8, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    for options in ((1.0, 3), (4.0, 3), (4.0, 4)):
        settings = dict(zip(("guidance_scale", "guided_channels"), options, strict=True))
        loaded: Any = load_family(latents.facts["card"] | {"options": settings}, latent_files)
        estimates[options] = loaded.predict_eps(x, sigma, torch.tensor([1]))[0]
    plain, three, four = estimates.values()
    assert torch.allclose(three[3], plain[3], atol=1e-5)
    assert torch.allclose(three[:3], four[:3], atol=1e-5)
    assert (four[3] - plain[3]).abs().max() > 0.01
    assert (three[:3] - plain[:3]).abs().amax(dim=(1, 2)).min() > 0.01


def test_another_latent_network_is_refused_with_a_sentence(latents: Golden, latent_files: dict[str, Path]) -> None:
    more = latents.facts["card"] | {"network": latents.facts["card"]["network"] | {"num_layers": 3}}
    with pytest.raises(IntegrityError, match=r"it lacks transformer_blocks\.2\."):
        load_family(more, latent_files)


def test_pixels_are_not_guided(pixels: Golden, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no classes, so there is nothing to guide"):
        load_pixels(pixels.facts["card"] | {"options": {"guidance_scale": 4.0}}, tmp_path / "none")
    with pytest.raises(UsageError, match="guided_channels=5: expected 1 to 4"):
        load_pixels(pixels.facts["card"] | {"options": {"guided_channels": 5}}, tmp_path / "none")
