"""Inverse problems through the engine: batches, scores against truth and measurement, and what is recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reprozoo_plugins.inverse.solving import SolvingZoo

from reprozoo import compare
from reprozoo.engine.setup import Setup, default_batch_size
from reprozoo.engine.store import Store
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.zoo.resolving import default_zoo

MODELS = ["theory-gaussian", "theory-gaussian+flow=sampler"]
PROBLEM = {"inverse": "super-resolution-16", "observation_noise": 0.05, "solver": "dps+steps=4"}
QUICK = {"descriptor": "pixels", "noise_floor": 2, "device": "cpu", "baselines": ()}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_default_batches_leave_room_for_gradients() -> None:
    plain, guided = default_zoo().resolve("tiny-edm"), SolvingZoo(default_zoo()).resolve("tiny-edm")
    projected = SolvingZoo(default_zoo(), "projection").resolve("tiny-edm")
    usual = default_batch_size(plain.image_shape, "cpu")
    setup = Setup(NoiseBank(), range(4))
    assert [setup.batch_size_of(recipe) for recipe in (plain, guided, projected)] == [usual, usual // 4, usual]
    assert Setup(NoiseBank(), range(4), batch_size=50).batch_size_of(guided) == 50


def test_the_same_measurement_for_every_model(photo: Path, tmp_path: Path) -> None:
    """One denoiser twice over, with a noisy measurement of sixteenths."""
    result = compare(MODELS, num_samples=3, observation=str(photo), store=Store(tmp_path / "store"), **PROBLEM, **QUICK)
    assert [side.label for side in result.models] == MODELS
    assert all(side.batch_size == 16 for side in result.models)
    (pair,) = result.select(measure="mean_abs", pairing="same", a=MODELS[0], b=MODELS[1])
    assert pair.equal == 3  # the flow is not run, so that both are one denoiser
    assert result.baselines == []
    assert result.problem == f"super-resolution-16 of {photo}, noise 0.05, by dps+steps=4"
    assert result.question["inverse"] == "super-resolution-16"
    assert result.conditions["observation"]["noise_std"] == 0.05
    assert result.conditions["observation"]["seed"] == 0
    truth, seen = (result.images(name, [2, 0]) for name in ("truth", "observation"))
    assert np.array_equal(truth[0].transpose(1, 2, 0), np.asarray(Image.open(photo)))
    assert len(np.unique(seen[0, 0])) <= 4  # 2 x 2 blocks
    assert {record["name"] for record in result.plugins} >= {"inverse", "theory"}


def test_images_are_scored_against_truth_and_measurement(photo: Path, tmp_path: Path) -> None:
    models = ["theory-gaussian", "theory-gaussian+solver=projection+steps=3"]
    store = Store(tmp_path / "store")
    result = compare(
        models, num_samples=4, inverse="inpaint-16", observation=str(photo), solver="dps+steps=4", store=store, **QUICK
    )
    images = {name: result.images(name, range(4)).astype(float) for name in (*models, "truth")}
    border = np.ones((32, 32), bool)
    border[8:24, 8:24] = False
    for model in models:
        errors = images[model] - images["truth"]
        expected = np.sqrt(np.square(errors[:, :, border]).mean((1, 2)))
        (misfit,) = result.select(measure="misfit", a=model, b="observation")
        assert misfit.values is not None
        assert misfit.values.ravel() == pytest.approx(expected, rel=1e-5, abs=1e-4)  # float32 measurements
        assert result.score("misfit", model, "observation").value == pytest.approx(np.median(expected), rel=1e-5)
        ratio = 10 * np.log10(255**2 / np.square(errors).mean((1, 2, 3)))
        assert result.score("psnr", model, "truth").value == pytest.approx(np.median(ratio))
        assert result.select(measure="mean_abs", a=model, b="truth")
    assert result.facts("misfit").unit == "of 255"
    again = compare(
        models, num_samples=4, inverse="inpaint-16", observation=str(photo), solver="dps+steps=4", store=store, **QUICK
    )
    assert [side.sampled for side in again.models] == [0, 0]


def test_plain_models_have_no_reconstruction(tmp_path: Path) -> None:
    models = ["theory-gaussian", "theory-gaussian+flow=sampler+steps=3"]
    result = compare(models, num_samples=4, store=Store(tmp_path / "store"), **QUICK)
    assert result.problem == ""
    assert result.of_role("reference") == []
    assert result.select(measure="misfit") == []
