"""Members that nobody has trained yet: listed, refused with what to do, and there once their weights were imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from reprozoo_plugins.lab.recipe import Recipe, find_recipe
from safetensors.torch import save_file

from reprozoo import NoiseBank, UnavailableError, load, resolve
from reprozoo import cli as command_line
from reprozoo.zoo.cards import UntrainedSource
from reprozoo.zoo.plugins import installed_registry
from reprozoo.zoo.weights import fetch, import_file, importable, status
from tests.plugins.lab.runs import randomised

UNTRAINED = [
    card.id
    for card in installed_registry().models.values()
    if any(isinstance(s, UntrainedSource) for s in card.weights)
]


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path / "home"))


@pytest.fixture
def name() -> str:
    return next(iter(UNTRAINED), "") or pytest.skip("every member is trained")


def test_it_is_listed_and_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["models", "--status", "untrained", "--json"]) == 0
    listed = {row["id"] for row in json.loads(capsys.readouterr().out)["models"]}
    assert listed == set(UNTRAINED)
    assert command_line.run(["show", name]) == 0
    shown = capsys.readouterr().out
    assert "untrained: has a recipe and no weights yet" in shown
    assert f"the weights that `reprozoo train {name}` makes" in shown


def test_using_it_says_what_to_do(name: str) -> None:
    with pytest.raises(UnavailableError, match=rf"nobody has trained it yet: `reprozoo train {name}` makes") as caught:
        resolve(name)
    assert caught.value.exit_code == 4
    assert f"reprozoo import {name} train/{name}/weights.safetensors" in str(caught.value)


def test_imported_weights_make_it_a_model_and_later_ones_replace_them(name: str, tmp_path: Path) -> None:
    card = installed_registry().model(name)
    source, network = importable(card), randomised(Recipe.read(find_recipe(name)))
    digests = []
    for scale in (1.0, 0.5):
        tensors = {
            key: scale * value if value.is_floating_point() else value for key, value in network.state_dict().items()
        }
        save_file(tensors, tmp_path / "weights.safetensors")
        digests.append(import_file(source, tmp_path / "weights.safetensors").sha256)
        assert status(source) == "cached"
        assert fetch(source, card_dir=card.home).sha256 == digests[-1]
    assert digests[0] != digests[1]
    with torch.no_grad():
        images = load(name)(NoiseBank(0).noise(range(1), card.noise_shape))
    assert images.shape == (1, *card.image_shape)
