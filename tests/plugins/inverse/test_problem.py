"""The problem as the engine poses it: what is refused and how early, and what results are compared with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from reprozoo_plugins.inverse.misfit import Misfit
from reprozoo_plugins.inverse.problem import pose
from reprozoo_plugins.inverse.solving import SolvingZoo
from reprozoo_plugins.inverse.sources import Observations

from reprozoo.base.errors import UnavailableError, UsageError
from reprozoo.engine.sampling import images_document
from reprozoo.engine.setup import Setup
from reprozoo.maps.conditions import InTurn
from reprozoo.maps.images import from_uint8
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.maps.noise.files import export_noise
from reprozoo.measures.problems import Posed, Reference
from reprozoo.zoo.cards import canonical_digest
from reprozoo.zoo.plugins import import_object, installed_plugins
from reprozoo.zoo.resolving import default_zoo

SPECS = ("theory-gaussian", "tiny-edm")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def question(**given: Any) -> SimpleNamespace:
    every = {"inverse": None, "observation": None, "observation_noise": 0.0, "solver": None, "noise": None, "seed": 0}
    return SimpleNamespace(**(every | given))


def posed(specs: tuple[str, ...] = SPECS, **given: Any) -> Posed:
    return pose(question(**given), default_zoo(), specs, InTurn(), offline=True)


def reference(found: Posed, label: str) -> Reference:
    return next(one for one in found.references if one.label == label)


def test_it_is_registered() -> None:
    assert import_object(installed_plugins().problems["inverse"].value.load) is pose


def test_a_problem_makes_solvers_observations_and_references(photo: Path) -> None:
    found = posed(inverse="inpaint-16", observation=str(photo), solver="dps+steps=4")
    assert isinstance(found.zoo, SolvingZoo)
    assert found.zoo.resolve("tiny-edm", offline=True).options["steps"] == 4
    assert isinstance(found.conditions, Observations)
    assert found.title == f"inpaint-16 of {photo}, by dps+steps=4"
    assert [record["gave"] for record in found.plugins] == ["operator inpaint-16"]
    noisy = posed(inverse="inpaint-16", observation=str(photo), observation_noise=0.05)
    assert noisy.title == f"inpaint-16 of {photo}, noise 0.05, by dps"


def test_truth_and_measurement_belong_to_each_noise(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    found = posed(inverse="super-resolution-16", observation=str(tmp_path / "images.npz"))
    truth, seen = reference(found, "truth"), reference(found, "observation")
    assert truth.measures == ("psnr", "mean_abs")
    assert np.array_equal(truth.rows([0, 4, 2]), images[[0, 1, 2]])
    assert np.array_equal(truth.pictures([5]), images[[2]])
    blocks = from_uint8(torch.from_numpy(images)).unflatten(3, (2, 16)).unflatten(2, (2, 16)).mean((3, 5))
    assert seen.rows([1, 3]) == pytest.approx(blocks[[1, 0]].numpy(), abs=1e-6)
    assert seen.pictures([1]).dtype == np.uint8
    assert len(np.unique(seen.pictures([1])[0, 0])) <= 4  # 2 x 2 blocks
    (misfit,) = seen.measures
    assert isinstance(misfit, Misfit)
    assert misfit.values(truth.rows([0, 1]), seen.rows([0, 1])).tolist() == pytest.approx([0, 0], abs=1e-4)


def test_a_reference_of_other_content_has_another_key(photo: Path, tmp_path: Path) -> None:
    Image.open(photo).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png")
    Image.open(photo).save(tmp_path / "same.png")
    asked: list[dict[str, Any]] = [
        {}, {"observation": str(tmp_path / "turned.png")}, {"inverse": "inpaint-12"}, {"observation_noise": 0.1},
        {"observation_noise": 0.1, "seed": 1},
    ]  # fmt: skip
    usual = {"inverse": "inpaint-16", "observation": str(photo)}
    found = [posed(**usual | given) for given in asked]
    assert len({reference(one, "observation").key for one in found}) == 5
    assert len({reference(one, "truth").key for one in found}) == 2
    same = posed(**usual | {"observation": str(tmp_path / "same.png")})
    assert [one.key for one in same.references] == [one.key for one in found[0].references]


def test_noise_in_observations_has_the_seed_of_the_run(photo: Path, tmp_path: Path) -> None:
    """In the conditions that images are made from, and in what they are compared with."""
    export_noise(NoiseBank(3), [0, 1], (3, 32, 32), tmp_path / "noise.safetensors")
    problem = {"inverse": "grayscale", "observation": str(photo), "observation_noise": 0.1}
    for given in ({"seed": 3}, {"noise": str(tmp_path / "noise.safetensors")}, {"noise": NoiseBank(3)}):
        found = posed(**problem | given)
        bound = found.conditions.bound(NoiseBank(3), [None, None])
        assert bound.to_json()["observation"]["seed"] == 3
        made = bound.at(0).observation.measurement.numpy()
        assert np.array_equal(reference(found, "observation").rows([0])[0], made)
    other = posed(**problem | {"seed": 4})
    assert not np.array_equal(reference(other, "observation").rows([0])[0], made)


def test_a_side_may_have_options_of_its_own_solver(photo: Path) -> None:
    specs = ("tiny-edm", "tiny-edm+solver=dps+zeta=0.1")
    found = posed(specs, inverse="inpaint-16", observation=str(photo), solver="dps+steps=6")
    first, second = (found.zoo.resolve(spec, offline=True).options for spec in specs)
    assert (first["steps"], first["zeta"], second["steps"], second["zeta"]) == (6, None, 100, 0.1)


FIRST_KEYS = {  # of the version whose plugin was called dps, with torch 2.6 and noise of seed 5
    "tiny-edm": ({}, "4e5bef3d3468603953e23e5d00b58d838b77cd1ff5aa010b5db4c0711e07fe35"),
    "tiny-uvit": (
        {"solver": "projection+steps=7"}, "9a0c7dbb1190fc18779efe6a7197f1faaddb18ceb90f829ea08789c5993e8143",
    ),
    "theory-gaussian+solver=gaussian-posterior": (
        {"observation_noise": 0.1}, "f5a565e9a8a722a2bc6ae266dbad3c7be4827623c4cf321acbd87ac364da9807",
    ),
    "tiny-edm+dtype=bf16+solver=dps": (
        {"inverse": "super-resolution-4"}, "727cba59d06a4eaa0bb8a3c0af07650793f251a7eff3bfd91cfb713fc9f20bed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("spec", FIRST_KEYS)
def test_stored_images_are_found_again(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of the store is that of the first version, for the same question, machine and torch."""
    given, key = FIRST_KEYS[spec]
    ramp = (np.arange(3072) % 251).astype(np.uint8).reshape(32, 32, 3)
    Image.fromarray(ramp).save(tmp_path / "photo.png")
    usual = {"inverse": "inpaint-16", "observation": str(tmp_path / "photo.png"), "noise": NoiseBank(5)}
    found = posed((spec,), **usual | given)
    recipe = found.zoo.resolve(spec, offline=True)
    recipe = replace(recipe, plugin={**recipe.plugin, "version": "0.1.0"})
    monkeypatch.setattr(torch, "__version__", "2.6.0")
    setup = Setup(NoiseBank(5), range(1), found.conditions.bound(NoiseBank(5), [None]))
    assert canonical_digest(images_document(recipe, setup, 16)) == key


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"observation": "photo.png"}, "the observation belongs to an inverse problem"),
        ({"solver": "dps"}, "the solver belongs to an inverse problem"),
        ({"observation_noise": 0.1}, "the observation noise belongs to an inverse problem"),
        ({"inverse": "inpaint-16"}, "an inverse problem needs images to observe"),
        ({}, "an inverse problem needs an operator"),
        ({"inverse": "inpant-16", "observation": "x.png"}, "no operator is called 'inpant-16' .did you mean 'inpaint'"),
        ({"inverse": "inpaint-16", "observation": "x.png", "solver": "dsp"}, "no solver is called 'dsp'"),
        ({"inverse": "inpaint-99", "observation": "x.png"}, "from 1 to 31 pixels wide"),
        ({"inverse": "inpaint-16", "observation": "x.png"}, "cannot read the image x.png"),
        ({"inverse": "inpaint-16", "observation": "x.png", "observation_noise": -1.0}, "a std of at least 0"),
    ],
)
def test_what_is_no_problem(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        posed(**given)


@pytest.mark.parametrize(
    ("specs", "sentence"),
    [
        (("tiny-edm", "cd"), "cd has no denoiser of pixels"),
        (("tiny-edm+rho=5",), "is for the model's sampler"),
        (("tiny-edn",), "did you mean 'tiny-edm'"),
        ((), "solved by models, and none was given"),
    ],
)
def test_models_that_solve_no_problem(specs: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        posed(specs, inverse="inpaint-16", observation="x.png")


def test_offline_reaches_what_is_observed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path / "empty"))
    with pytest.raises(UnavailableError, match="offline"):
        posed(inverse="inpaint-16", observation="cifar10:test")


LIGHT = """
import sys
from types import SimpleNamespace
from reprozoo_plugins.inverse.problem import pose
from reprozoo.base.errors import UsageError
from reprozoo.zoo.resolving import default_zoo
asked = dict(inverse="inpaint-16", observation="x.png", observation_noise=0.0, solver=None, noise=None, seed=0)
for given, spec in (
    ({"inverse": "inpant"}, "tiny-edm"), ({"inverse": "inpaint+with=3"}, "tiny-edm"), ({"solver": "dsp"}, "tiny-edm"),
    ({"solver": "dps+zeta=-1"}, "tiny-edm"), ({"observation": None}, "tiny-edm"), ({}, "tiny-edn"), ({}, "cd"),
    ({}, "tiny-edm+steps=3"), ({}, "tiny-edm+solver=dps+zetta=1"),
):
    try:
        pose(SimpleNamespace(**(asked | given)), default_zoo(), [spec], None)
    except UsageError:
        continue
    raise SystemExit(f"{given} {spec} was accepted")
assert "torch" not in sys.modules
"""


def test_mistakes_are_found_without_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
