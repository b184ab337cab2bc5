"""U-ViT: the original's files and numbers, on pixels and on latents, and the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from reprozoo import IntegrityError, NoiseBank, UsageError
from reprozoo.testing import assert_map_contract
from tests.autoencoders import tiny_autoencoder
from tests.families import assert_golden, load_family, score_sde_file
from tests.seeded import Golden


@pytest.fixture
def pixels() -> Golden:
    return Golden.read("uvit-pixels")


@pytest.fixture
def pixel_file(pixels: Golden, tmp_path: Path) -> Path:
    torch.save(pixels.weights(), tmp_path / "cifar10_uvit_small.pth")
    return tmp_path / "cifar10_uvit_small.pth"


def with_changes(facts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**facts, **{name: facts.get(name, {}) | change for name, change in changes.items()}}


def test_pixels_as_the_original(pixels: Golden, pixel_file: Path) -> None:
    assert_golden(pixels, load_family(pixels.facts["card"], {"weights": pixel_file}))
    few = with_changes(pixels.facts["card"], sampler={"steps": 7})
    assert_map_contract(load_family(few, {"weights": pixel_file}))


def test_latents_as_the_original(tmp_path: Path) -> None:
    golden = Golden.read("uvit-latents")
    torch.save(golden.weights(), tmp_path / "uvit.pth")
    files = {"weights": tmp_path / "uvit.pth", "vae": tiny_autoencoder(tmp_path / "vae")}
    loaded = load_family(golden.facts["card"], files)
    assert_golden(golden, loaded)
    few = with_changes(golden.facts["card"], sampler={"steps": 6})
    assert_map_contract(load_family(few, files))


def test_positional_average_and_pixels_from_0_to_1(pixels: Golden, pixel_file: Path, tmp_path: Path) -> None:
    """The paper's own checkpoint: score_sde's file, and data in [0, 1], which become images in [-1, 1]."""
    averaged = score_sde_file(tmp_path / "checkpoint_26.pth", pixels.weights())
    unit = with_changes(pixels.facts["card"], network={"centered": False})
    ours = load_family(unit, {"weights": averaged}, formats={"weights": "score-sde"})
    plain = load_family(pixels.facts["card"], {"weights": pixel_file})
    assert all(torch.equal(a, b) for a, b in zip(ours.network.parameters(), plain.network.parameters(), strict=True))
    x0 = torch.tensor([0.0, 0.5, 1.0])
    assert ours.decode(x0).tolist() == [-1, 0, 1]
    assert plain.decode(x0) is x0


def test_guidance_changes_images_and_needs_a_null_class(pixels: Golden, pixel_file: Path, tmp_path: Path) -> None:
    golden = Golden.read("uvit-latents")
    torch.save(golden.weights(), tmp_path / "uvit.pth")
    files = {"weights": tmp_path / "uvit.pth", "vae": tiny_autoencoder(tmp_path / "vae")}
    noise, x = NoiseBank(0).noise(range(1), (4, 8, 8)), torch.ones(1, dtype=torch.float64)
    estimates = []
    for scale in (0.0, 0.4):
        loaded = load_family(with_changes(golden.facts["card"], options={"guidance_scale": scale}), files)
        estimates.append(loaded.predict_eps(noise.double(), x, torch.tensor([1])))
    assert (estimates[0] - estimates[1]).abs().max() > 0.01
    unconditional = with_changes(pixels.facts["card"], options={"guidance_scale": 0.4})
    with pytest.raises(UsageError, match="guidance needs a conditional network"):
        load_family(unconditional, {"weights": pixel_file})


def test_another_network_is_refused_with_a_sentence(pixels: Golden, pixel_file: Path) -> None:
    wider = with_changes(pixels.facts["card"], network={"embed_dim": 64})
    with pytest.raises(IntegrityError, match=r"another shape pos_embed, \(1, 17, 32\) where the card's network has"):
        load_family(wider, {"weights": pixel_file})
