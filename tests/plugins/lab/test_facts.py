"""What is written at the end of a training: measures that are known in closed form, and a card that can be copied."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from reprozoo_plugins.lab import facts
from reprozoo_plugins.lab.command import train
from reprozoo_plugins.lab.data import TrainingData
from reprozoo_plugins.lab.evaluation import SIGMAS, denoising_errors, frechet_distance, rounded
from reprozoo_plugins.lab.facts import card_text, write_facts
from reprozoo_plugins.lab.recipe import Recipe, find_recipe
from reprozoo_plugins.lab.recording import curve_svg
from reprozoo_plugins.lab.trainer import Trainer
from torch import Tensor

from reprozoo import UnavailableError, UsageError
from reprozoo.zoo.cards import Registry
from reprozoo.zoo.plugins import installed_registry
from tests.plugins.lab.runs import pictures, recipe, trainer


def test_errors_of_the_best_denoiser_are_what_is_left_unknown() -> None:
    """For pixels N(0, std²) the posterior variance is std² sigma² / (std² + sigma²)."""
    std = 0.4
    images = std * torch.randn(300, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    seen: list[range] = []

    def best(x: Tensor, sigma: Tensor, rows: range) -> Tensor:
        seen.append(rows)
        return x * (std**2 / (std**2 + sigma**2))[:, None, None, None]

    expected = [std**2 * sigma**2 / (std**2 + sigma**2) for sigma in SIGMAS]
    assert denoising_errors(best, images) == pytest.approx(expected, rel=0.03)
    assert seen[:3] == [range(100), range(100, 200), range(200, 300)]


def test_frechet_distance_of_known_gaussians() -> None:
    """Colours moved by 0.1 and stretched by half: the means' distance squared and the stds' difference squared."""
    generator = torch.Generator().manual_seed(0)
    images = 0.2 * torch.randn(4000, 1, 8, 8, generator=generator)
    assert frechet_distance(images, images) == pytest.approx(0, abs=1e-9)
    moved = frechet_distance(images, images + 0.1)
    assert moved == pytest.approx(64 * 0.1**2, rel=1e-6)
    stretched = frechet_distance(images, 1.5 * images)
    mean = float((0.5 * images.mean(dim=0)).square().sum())
    assert stretched == pytest.approx(64 * (0.5 * 0.2) ** 2 + mean, rel=0.02)
    assert frechet_distance(images.flip(0), 1.5 * images) == pytest.approx(stretched)


def test_digits_that_are_kept() -> None:
    assert [rounded(value) for value in (0.0, 0.123456, -12345.6, 1.0)] == [0, 0.1235, -12350.0, 1.0]
    assert math.isnan(rounded(math.nan))


def test_a_curve_runs_from_axis_to_axis() -> None:
    svg = curve_svg([(100, 3.0), (200, 1.0), (300, 2.0)], "loss")
    assert 'points="48.0,48.0 320.0,272.0 592.0,160.0"' in svg


@pytest.mark.parametrize(
    ("kind", "measure", "columns"),
    [
        ("edm", "denoising_error", {"images", "sigma", "this_model"}),
        ("gan", "frechet_distance", {"images", "this_model", "training_images"}),
    ],
)
def test_facts_of_a_run(kind: str, measure: str, columns: set[str], tmp_path: Path) -> None:
    data = pictures()
    held_out = pictures(7).images_u8
    run = trainer(recipe(kind), tmp_path, TrainingData(data.images_u8, None, lambda: (held_out, None)))
    run.run()
    assert write_facts(run) == [tmp_path / "facts.json"]  # no card is called "tiny"
    written: dict[str, Any] = json.loads((tmp_path / "facts.json").read_text())
    assert written["images_seen"] == 32
    assert written["steps"] == 8
    assert (written["images_sha256"], written["training_images"]) == (data.digest, 20)
    assert written["parameters"] == sum(parameter.numel() for parameter in run.network.parameters())
    assert written["hours"] > 0
    assert "of a CPU (" in written["hardware"]
    assert set(written[measure]) == columns
    assert written[measure]["images"] == 7
    assert all(value > 0 for value in torch.tensor(written[measure]["this_model"]).flatten().tolist())


def test_classes_reach_the_denoiser_that_is_measured(tmp_path: Path) -> None:
    from tests.plugins.lab.runs import UNET

    data = pictures(classes=4)
    with_labels = TrainingData(data.images_u8, data.labels, lambda: (data.images_u8, data.labels))
    run = trainer(recipe(network={**UNET, "label_dim": 4}), tmp_path, with_labels)
    run.run()
    errors = facts.measured(run)["denoising_error"]
    assert errors["images"] == 20
    assert data.labels is not None
    wrong = (data.labels + 1) % 4
    run.held_out = lambda: (data.images_u8, wrong)
    assert facts.measured(run)["denoising_error"]["this_model"] != errors["this_model"]


def test_a_student_is_measured_by_its_samples(tmp_path: Path) -> None:
    data = pictures()
    run = trainer(recipe("progressive"), tmp_path, TrainingData(data.images_u8, None, lambda: (data.images_u8, None)))
    run.run()
    assert set(facts.measured(run)) == {"frechet_distance"}


@pytest.mark.parametrize(("part", "columns"), [(None, {"gaussian"}), ("even", set())])
def test_the_gaussian_beside_is_that_of_the_training_set(
    part: str | None, columns: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "_gaussian_data", lambda: "random")
    monkeypatch.setattr(facts, "load", lambda *_, **__: FakeGaussian())
    table = json.loads(recipe().to_json())
    table["data"]["part"] = part
    data = pictures()
    run = trainer(
        Recipe.from_table(table), tmp_path, TrainingData(data.images_u8, None, lambda: (data.images_u8, None))
    )
    run.run()
    found = facts.measured(run)["denoising_error"]
    assert set(found) - {"images", "sigma", "this_model"} == columns
    comment = " ".join(facts._comment("denoising_error", found))
    assert ("Gaussian denoiser of the training set" in comment) == bool(columns)


class FakeGaussian:
    """A map whose denoiser knows nothing."""

    def denoiser(self, conditions: list[Any]) -> Any:
        return lambda x, sigma: torch.zeros_like(x)


def test_images_that_cannot_be_had_do_not_cost_the_training(tmp_path: Path) -> None:
    def missing() -> tuple[Tensor, None]:
        raise UnavailableError("no route")

    said: list[str] = []
    run = trainer(recipe(), tmp_path, TrainingData(pictures().images_u8, None, missing), report=said.append)
    run.run()
    assert facts.measured(run) == {}
    assert said[-1] == "not measured: no route"


def test_a_card_gets_the_facts_and_weights_that_ship(tmp_path: Path) -> None:
    card = installed_registry().model("tiny-edm-half-a")
    table = {"sigma": [0.1, 75.0], "this_model": [0.003, 0.25]}
    given = {
        "images_sha256": "0" * 64,
        "recipe": "recipes/tiny-edm-half-a.toml",
        "hours": 1.5,
        "denoising_error": table,
    }
    text = card_text(card.source_file.read_text(), card.id, given, "1" * 64)
    (tmp_path / "tiny-edm-half-a.toml").write_text(text)
    written = Registry([tmp_path]).model("tiny-edm-half-a")
    assert written.training == {"dataset": "recipe-data", "split": "tiny-edm-half-a", **given}
    assert written.source().to_json() | {"name": ""} == {
        "kind": "bundled", "name": "", "format": "safetensors", "file": "weights/tiny-edm-half-a.safetensors",
        "sha256": "1" * 64,
    }  # fmt: skip
    assert written.image_config() == card.image_config()
    assert card_text(text, card.id, given, "1" * 64) == text  # a longer training replaces what a shorter one wrote
    with pytest.raises(UsageError, match=r"the card of x has no \[training\]"):
        card_text("", "x", given, "")


def test_training_by_command_writes_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch of the smallest network, from a file of images, as a person would run it."""
    import numpy as np

    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=images)
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    head, _, tail = find_recipe("tiny-w32-n64").read_text().partition("[data]")
    data = f'[data]\nname = "cifar10"\nimages_sha256 = "{digest}"\n\n[training]'
    (tmp_path / "own.toml").write_text(head + data + tail.partition("[training]")[2])
    monkeypatch.setattr(facts, "measured", lambda run, **settings: {})
    monkeypatch.chdir(tmp_path)
    arguments = ["own.toml", "--data", "set.npz", "--images", "64", "--offline"]
    handler = signal.getsignal(signal.SIGINT)
    done = CliRunner().invoke(train, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert signal.getsignal(signal.SIGINT) is handler
    folder = tmp_path / "train" / "tiny-w32-n64"
    assert f"written: {Path('train/tiny-w32-n64/card.toml')}" in done.output
    card = tomllib.loads((folder / "card.toml").read_text())
    assert card["training"]["images_seen"] == 64
    assert card["training"]["images_sha256"] == digest
    assert card["weights"][0]["sha256"] == hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    monkeypatch.setattr(Trainer, "run", lambda self: None)  # as after Ctrl-C before the first step
    stopped = CliRunner().invoke(train, [*arguments, "-o", "other"], catch_exceptions=False, standalone_mode=False)
    assert stopped.return_value == 130
    assert "stopped at 0 of 64 images; --resume goes on from here" in stopped.output
    again = CliRunner().invoke(train, [*arguments, "--resume", "-q"], catch_exceptions=False)
    assert again.stdout.startswith("64 images, loss")
