"""``pull`` and ``import`` from the command line: plans, imports, refusals and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from reprozoo.zoo import resolving as zoo
from reprozoo.zoo.cards import Registry
from tests import hub_layouts
from tests.hub_server import hub_server

REGISTRY = Path(__file__).parents[2] / "registry"
CARD = """
kind = "model"
id = "imported"
title = "A small U-ViT whose weights a person fetches"
family = "uvit"
licence = "Apache-2.0"
paper = "arXiv:2209.12152"
noise_shape = [3, 8, 8]
image_shape = [3, 8, 8]
[network]
img_size = 8
patch_size = 4
embed_dim = 8
depth = 2
num_heads = 2
[kernel]
name = "vp"
[sampler]
name = "dpm-solver"
steps = 3
[training]
dataset = "none"
[[weights]]
kind = "manual"
page = "https://example.org/weights"
instructions = "take the file"
format = "torch"
"""
HUB_CARD = (
    CARD.partition("[[weights]]")[0].replace('"imported"', '"from-hub"')
    + """
[[weights]]
kind = "hub"
repo = "a/edm"
revision = "unknown"
files = ["model.pt"]
sha256 = {}
format = "torch"
"""
)


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """The empty cache, and the two cards in a registry beside the shipped one."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    registry = tmp_path / "config" / "reprozoo" / "registry"
    registry.mkdir(parents=True)
    (registry / "imported.toml").write_text(CARD)
    (registry / "from-hub.toml").write_text(HUB_CARD)
    found = zoo.Zoo(registry=Registry([REGISTRY, registry]))
    monkeypatch.setattr(zoo, "default_zoo", lambda: found)
    return tmp_path


@pytest.fixture
def weights(cards):
    """Weights that fit the card, as torch saves them."""
    from reprozoo.diffusion.networks.uvit import UViT

    network = UViT(img_size=8, patch_size=4, embed_dim=8, depth=2, num_heads=2)
    torch.save(network.state_dict(), cards / "m.pth")
    return cards / "m.pth"


def test_a_file_is_imported_converted_and_found(cli, weights, home):
    outcome = cli("pull", "imported")
    assert (outcome.code, "reprozoo import" in outcome.err) == (4, True)
    outcome = cli("import", "imported", str(weights), "--json")
    assert outcome.code == 0, outcome.err
    fact = json.loads(outcome.out)
    assert (fact["format"], fact["verified"]) == ("torch", True)
    assert list((home / "weights" / "converted" / fact["sha256"]).glob("*.safetensors"))
    assert cli("pull", "imported", "--offline").code == 0
    assert '"cached"' in cli("models", "--json", "--family", "uvit").out


def test_a_file_that_does_not_fit_is_not_kept(cli, weights, home):
    state = torch.load(weights, weights_only=True)
    torch.save({**state, "extra": torch.ones(1)}, weights)
    outcome = cli("import", "imported", str(weights))
    assert outcome.code == 5
    assert "does not fit the network of imported and was not kept" in outcome.err
    assert not [p for p in (home / "weights" / "files").rglob("*") if p.is_file()]
    torch.save(state, weights)
    assert cli("import", "imported", str(weights)).code == 0


def test_a_refused_file_leaves_the_one_before(cli, cards, weights, monkeypatch):
    """Of a model that nobody has trained, whose latest file replaces the one before."""
    text = CARD.replace('kind = "manual"', 'kind = "untrained"\nrecipe = "imported"').replace('"imported"', '"own"')
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("page", "instructions")))
    registry = cards / "config" / "reprozoo" / "registry"
    (registry / "own.toml").write_text(text)
    found = zoo.Zoo(registry=Registry([REGISTRY, registry]))
    monkeypatch.setattr(zoo, "default_zoo", lambda: found)
    assert cli("import", "own", weights).code == 0
    torch.save({"another.weight": torch.zeros(3)}, cards / "other.pth")
    assert "was not kept" in cli("import", "own", cards / "other.pth").err
    assert cli("pull", "own", "--offline").code == 0


def test_another_file_than_the_first_is_refused_with_both_digests(cli, weights):
    first = json.loads(cli("import", "imported", str(weights), "--json").out)["sha256"]
    state = torch.load(weights, weights_only=True)
    torch.save({name: tensor + 1 for name, tensor in state.items()}, weights)
    outcome = cli("import", "imported", str(weights))
    assert outcome.code == 5
    assert f"expected {first}" in outcome.err


def test_hostile_and_missing_files_are_not_imported(cli, cards):
    (cards / "evil.pth").write_bytes(b"\x80\x02cposix\nsystem\nX\x01\x00\x00\x00x\x85R.")
    outcome = cli("import", "imported", str(cards / "evil.pth"))
    assert (outcome.code, "not executed" in outcome.err or "damaged" in outcome.err) == (5, True)
    assert cli("import", "imported", str(cards / "nothing")).code == 2
    assert "needs no file from outside" in cli("import", "theory-gaussian", str(cards / "evil.pth")).err
    assert "choose one with --name: weights" in cli("import", "imported", str(cards / "evil.pth"), "--name", "vae").err


def test_a_dry_run_says_what_would_be_fetched(cli, cards, monkeypatch):
    files = hub_layouts.state_dict()
    with hub_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        commit = server.add("a/edm", files)
        outcome = cli("pull", "--dry-run", "from-hub", "imported", "theory-mog", "--json")
        assert outcome.code == 0, outcome.err
        plan = json.loads(outcome.out)
        assert plan["bytes_to_fetch"] == len(files["model.pt"])
        assert [file["status"] for file in plan["files"]] == ["downloadable", "manual"]
        assert server.count("resolve") == 0
        assert "to fetch: " in cli("pull", "--dry-run", "from-hub").out
        assert cli("pull", "from-hub").code == 0
        assert json.loads(cli("pull", "--dry-run", "from-hub", "--json").out)["bytes_to_fetch"] == 0
        assert cli("pull", f"from-hub@{commit[:8]}").code == 0
    assert cli("pull", "from-hub", "--offline").code == 0
    assert "has no revisions" in cli("pull", "imported@main").err


@pytest.mark.parametrize(
    ("models", "family", "code", "sentence"),
    [
        (["from-hub", "from-hub+stpes=4"], "uvit", 2, "no option 'stpes' (did you mean 'steps'?)"),
        (["from-hub", "imported+dtype=float8"], "uvit", 2, "float8"),
        (["from-hub", "left-over"], "gone", 3, "no plugin provides the family 'gone'"),
    ],
)
def test_nothing_is_fetched_for_a_comparison_that_cannot_run(cli, cards, monkeypatch, models, family, code, sentence):
    left_over = cards / "config" / "reprozoo" / "registry" / "left-over.toml"
    left_over.write_text(CARD.replace('"imported"', '"left-over"').replace('"uvit"', f'"{family}"'))
    found = zoo.Zoo(registry=Registry([REGISTRY, left_over.parent]))
    monkeypatch.setattr(zoo, "default_zoo", lambda: found)
    with hub_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        server.add("a/edm", hub_layouts.state_dict())
        outcome = cli("compare", *models, "-n", 4, "--descriptor", "pixels")
        assert (outcome.code, outcome.out) == (code, "")
        assert sentence in outcome.err
        assert server.requests == []


def test_a_host_that_cannot_be_reached_is_named(cli, cards, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    outcome = cli("pull", "from-hub")
    assert outcome.code == 4
    assert "could not reach 127.0.0.1" in outcome.err


def test_cards_of_ones_own(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.toml").write_text(CARD.replace('"imported"', '"mine"'))
    outcome = cli("--registry", own, "show", "mine")
    assert outcome.code == 0, outcome.err
    assert "A small U-ViT" in outcome.out
    assert cli("show", "mine").code == 2  # forgotten again
    users = tmp_path / "config" / "reprozoo" / "registry" / "models"
    users.mkdir(parents=True)
    (users.parent / "a.toml").write_text(CARD.replace('"imported"', '"beside"'))
    (users / "b.toml").write_text(CARD.replace('"imported"', '"below"'))
    for name in ("mine", "beside", "below"):
        assert cli("--registry", own, "show", name).code == 0
    (own / "mine.toml").write_text(CARD.replace('"imported"', '"tiny-edm"'))
    outcome = cli("--registry", own, "models")
    assert outcome.code == 2
    assert str(own / "mine.toml") in outcome.err
    assert "registry/models/tiny-edm.toml" in outcome.err
    assert cli("models").code == 0


@pytest.mark.parametrize(
    ("model", "command"),
    [
        ("tiny-edm", "compare tiny-edm tiny-ddpm"),  # and not tiny-cd, which was made from it
        ("tiny-edm+steps=9", "compare tiny-edm+steps=9 tiny-ddpm"),
        ("tiny-w32-n64", "compare tiny-w32-n64 tiny-w64-n64"),  # of the same images, not tiny-w64-n512
        ("tiny-gan-a", "compare tiny-gan-a tiny-gan-b"),  # of the same noise, not tiny-edm
        ("edm-cond-vp", "compare edm-cond-vp tiny-edm-cond --class 0-9"),
        ("adm-imagenet128", "compare adm-imagenet128 adm-imagenet128+steps=100 --class 0-999"),  # alone of its shape
        ("vae-vampprior", "compare vae-vampprior samples:FOLDER"),
    ],
)
def test_show_says_how_to_compare(cli, model, command):
    assert cli("show", model).out.endswith(f"Compare it on the same noise: reprozoo {command}\n")


def test_show_says_everything_about_the_files(cli):
    shown = " ".join(cli("show", "sd-v1-4").out.split())
    for text in ("revision b95be7d6f134c3a9e62ee616f310733567f069ce", "unet/config.json;", "guidance_scale = 7.5"):
        assert text in shown
    assert "registry/models/sd-v1-4.toml" in shown
    shown = " ".join(cli("show", "ddpmv1").out.split())
    for text in ("https://drive.google.com/", "instructions the folder holds", "then reprozoo import ddpmv1 FILE"):
        assert text in shown
