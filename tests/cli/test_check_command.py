"""``reprozoo check``: its lines, JSON and exit codes; and that a model of every family keeps the contract."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reprozoo import testing
from reprozoo.testing import CHECKS, DENOISER_CHECKS
from reprozoo.zoo.cards import BundledSource, Registry
from reprozoo.zoo.plugins import installed_plugins
from tests.cli.conftest import Cli
from tests.originals import OWN, write_card, write_own_card

ROOT = Path(__file__).parents[2]
GOLDENS = (
    "adm", "consistency-flax", "consistency-torch", "dit-pixels", "edm-ve", "edm-adm", "multistage-vp",
    "multistage-edm", "progressive", "score-sde-ddpm", "score-sde-ddpmpp", "uvit-pixels",
)  # fmt: skip
CARDS = Registry([ROOT / "registry"]).models.values()
# What ships, in few steps: formulas, and networks whose weights are in the registry.
SHIPPED = {
    card.id: f"{card.id}+steps=3" if "steps" in card.sampler and card.network else card.id
    for card in CARDS
    if card.family != "theory-empirical" and all(isinstance(source, BundledSource) for source in card.weights)
}
FAMILIES_OF_THE_HUB = {"stable_diffusion", "diffusers"}  # tests/plugins/test_diffusers_pipelines.py, over a Hub server
FRESH_PROCESS = ("spawn", "offline", "memory")  # seconds each time


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cards of random weights in the originals' formats, a training set, and images made elsewhere."""
    folder = tmp_path_factory.mktemp("made")
    for name in GOLDENS:
        write_card(name, folder)
    for family in OWN:
        write_own_card(family, folder)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    np.savez(folder / "training.npz", images=pixels)
    np.savez(folder / "samples.npz", images=pixels[:3], indices=np.arange(3))
    return folder


def families() -> dict[str, str]:
    """Spec -> family of everything checked here, the quickest of a family first; {} stands for the folder ``made``."""
    shipped = {spec: next(card.family for card in CARDS if card.id == name) for name, spec in SHIPPED.items()}
    goldens = {f"golden-{name}": name.split("-")[0] for name in GOLDENS}
    goldens |= {spec: "score_sde" for spec, family in goldens.items() if family == "score"}
    theory = {"theory-empirical+data={}/training.npz+steps=3": "theory-empirical"}
    own = {f"random-{family}": family for family in OWN}
    return shipped | goldens | own | theory | {"samples:{}/samples.npz": "samples"}


def check(cli: Cli, spec: str, made: Path, *options: str) -> dict[str, str]:
    """The statuses of the checks, all of them ok or skipped."""
    outcome = cli("--registry", made, "check", spec.format(made), "--json", "-q", "--device", "cpu", *options)
    document = json.loads(outcome.out)
    failed = [result for result in document["checks"] if result["status"] == "failed"]
    assert (outcome.code, document["ok"], failed) == (0, True, [])
    return {result["name"]: result["status"] for result in document["checks"]}


ONE_A_FAMILY = {family: spec for spec, family in reversed(families().items()) if spec not in SHIPPED.values()}


@pytest.mark.parametrize("spec", ONE_A_FAMILY.values())
def test_a_model_of_every_family_keeps_the_contract(cli: Cli, made: Path, spec: str) -> None:
    here = [name for name in CHECKS if name not in FRESH_PROCESS]
    statuses = check(cli, spec, made, *(option for name in here for option in ("--only", name)))
    assert list(statuses) == here
    has_denoiser = families()[spec] not in ("consistency", "samples", "gan", "vae")
    assert {statuses[name] for name in DENOISER_CHECKS} == {"ok" if has_denoiser else "skipped"}


@pytest.mark.slow
@pytest.mark.parametrize("spec", families())
def test_and_in_a_fresh_process(cli: Cli, made: Path, spec: str) -> None:
    statuses = check(cli, spec, made)
    assert {statuses[name] for name in FRESH_PROCESS} == {"ok"}


def test_no_family_is_left_out() -> None:
    assert set(installed_plugins().families) <= {*families().values(), *FAMILIES_OF_THE_HUB}


def test_a_line_for_each_check(cli: Cli, made: Path) -> None:
    chosen = ("images", "uses-condition", "licence")
    outcome = cli("--registry", made, "check", "golden-dit-pixels", *(f"--only={name}" for name in chosen))
    assert [line.split()[:2] for line in outcome.out.splitlines()] == [
        ["ok", "images"],
        ["skipped", "uses-condition"],
        ["ok", "licence"],
    ]
    assert outcome.code == 0
    assert "checking golden-dit-pixels" in outcome.err


def test_a_broken_promise_is_an_error_of_the_plugin(cli: Cli, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(subject: testing.Subject) -> str:
        raise testing.CheckFailed("differs by 3")

    monkeypatch.setitem(CHECKS, "determinism", forgets)  # type: ignore[arg-type]  # a dictionary, as it is made
    outcome = cli("--registry", made, "check", "golden-dit-pixels", "--only", "determinism", "--only", "images")
    assert outcome.code == 3
    assert outcome.out.splitlines()[1].split() == ["FAILED", "determinism", "differs", "by", "3"]
    assert "error: golden-dit-pixels breaks the contract of maps: determinism" in outcome.err
    document = json.loads(cli("--registry", made, "check", "golden-dit-pixels", "--only=determinism", "--json").out)
    (result,) = document["checks"]
    assert (document["ok"], result["status"], result["detail"]) == (False, "failed", "differs by 3")


def test_what_cannot_be_loaded_keeps_its_exit_code(cli: Cli, made: Path, tmp_path: Path) -> None:
    write_card("dit-pixels", tmp_path)
    (tmp_path / "dit-pixels.weights").write_bytes(b"damaged")
    assert cli("--registry", tmp_path, "check", "golden-dit-pixels").code == 5
    assert cli("--registry", made, "check", "golden-dit-pixel").code == 2
    outcome = cli("--registry", made, "check", "golden-dit-pixels", "--only", "determinsm")
    assert outcome.code == 2
    assert "did you mean 'determinism'?" in outcome.err
