"""Inverse problems in the engine: batches, conditions beside observations, and what is recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reprozoo import compare
from reprozoo.base.errors import UsageError
from reprozoo.engine.posing import observed_rows, pose, problem_settings, reconstructed
from reprozoo.engine.setup import Setup, default_batch_size
from reprozoo.engine.store import Store
from reprozoo.inverse import Observations, SolvingZoo
from reprozoo.maps.conditions import InTurn
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.zoo.resolving import default_zoo


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


def test_no_problem_changes_nothing() -> None:
    conditions, zoo = InTurn(), default_zoo()
    posed = pose(zoo, ["tiny-edm"], conditions, inverse=None, observation=None)
    assert posed == (zoo, conditions)
    assert problem_settings(None, None, 0.0, None) == {}
    assert observed_rows(conditions) == {}
    assert reconstructed([], [], [], conditions) == []


def test_the_same_measurement_for_every_model(photo: Path, tmp_path: Path) -> None:
    """From Python: one denoiser twice over, with a noisy measurement of sixteenths."""
    specs = ["theory-gaussian", "theory-gaussian+flow=sampler"]
    result = compare(
        specs, num_samples=3, inverse="super-resolution-16", observation=photo, observation_noise=0.05,
        solver="dps+steps=4", descriptor="pixels", noise_floor=2, device="cpu", store=Store(tmp_path / "store"),
    )  # fmt: skip
    assert [run.label for run in result.models] == specs
    assert all(run.reconstruction is not None and run.batch_size == 16 for run in result.models)
    assert result.pairs[0].identical == 3  # the flow is not run, so that both are one denoiser
    assert result.baselines == []
    assert result.settings["inverse"] == "super-resolution-16"
    assert result.conditions["observation"]["noise_std"] == 0.05
    assert result.conditions["observation"]["seed"] == 0
    truth, seen = (result.images(name, [2, 0]) for name in ("truth", "observation"))
    assert np.array_equal(truth[0].transpose(1, 2, 0), np.asarray(Image.open(photo)))
    assert len(np.unique(seen[0, 0])) <= 4  # 2 x 2 blocks
    assert {record["name"] for record in result.plugins} >= {"dps", "theory"}


def test_problems_of_models_of_no_denoiser(photo: Path) -> None:
    with pytest.raises(UsageError, match="cd has no denoiser of pixels"):
        pose(default_zoo(), ["tiny-edm", "cd"], InTurn(), inverse="inpaint-16", observation=photo)
    _, posed = pose(default_zoo(), ["tiny-edm"], InTurn(), inverse="inpaint-16", observation=photo)
    assert isinstance(posed, Observations)
