"""Inverse problems from the command line, over theory that needs no training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Cli, Outcome

PAIR = ("theory-gaussian", "theory-gaussian+solver=projection")
QUICK = ("-n", 4, "--descriptor", "pixels", "--noise-floor", 0, "--no-baseline", "--device", "cpu")
PROBLEM = ("--inverse", "inpaint-16", "--observation", "photo.png", "--solver", "dps+steps=8")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests here."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def photos(cli: Cli, tmp_path: Path) -> None:
    """photo.png fits the models; small.png and small-mask.png do not; images.npz holds three."""
    rows, columns = np.mgrid[0:32, 0:32]
    photo = np.stack([4 * rows + 60, 3 * columns + 80, np.full_like(rows, 120)], 2).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(photo[:8, :8]).save(tmp_path / "small.png")
    Image.new("L", (8, 8), 255).save(tmp_path / "small-mask.png")
    Image.new("L", (32, 32), 255).save(tmp_path / "white.png")
    np.savez(tmp_path / "images.npz", images=np.stack([photo, photo[::-1], photo[:, ::-1]]))


@pytest.fixture
def compared(cli: Cli) -> Outcome:
    return cli("compare", *PAIR, *QUICK, *PROBLEM, "-o", "out")


def result(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return document


def medians(document: dict[str, Any], measure: str, reference: str) -> dict[str, float]:
    """Of each model, by label."""
    found = [m for m in document["measurements"] if m["measure"] == measure and m["b"] == reference]
    return {m["a"]: m["scores"][0]["value"] for m in found}


def test_truth_and_measurement_are_reported(cli: Cli, compared: Outcome, tmp_path: Path) -> None:
    assert compared.code == 0, compared.err
    assert "inpaint-16 of photo.png, by dps+steps=8" in compared.out
    document = result(tmp_path / "out")
    likeness, misfit = medians(document, "psnr", "truth"), medians(document, "misfit", "observation")
    assert all(5 < likeness[model] < 60 for model in PAIR)
    assert misfit[PAIR[1]] < 1.5  # projection ends on the measurement, up to rounding
    assert misfit[PAIR[0]] != misfit[PAIR[1]]
    assert document["conditions"]["observation"]["operator"]["name"] == "mask"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "inpaint-16 of photo.png, by dps+steps=8" in page
    assert 'aria-label="truth, noise 0"' in page
    assert 'aria-label="observation, noise 3"' in page
    assert "--inverse inpaint-16 --observation photo.png --solver dps+steps=8" in page
    assert "PSNR" in page
    assert "misfit" in page


def test_the_second_run_samples_nothing_and_a_changed_problem_everything(cli: Cli, compared: Outcome) -> None:
    again = cli("compare", *PAIR, *QUICK, *PROBLEM, "-o", "again", "--json")
    assert [side["sampled"] for side in json.loads(again.out)["sides"][:2]] == [0, 0]
    changed = cli("compare", *PAIR, *QUICK, *PROBLEM, "--observation-noise", 0.1, "-o", "changed", "--json")
    assert changed.code == 0, changed.err
    assert [side["sampled"] for side in json.loads(changed.out)["sides"][:2]] == [4, 4]


def test_each_noise_gets_its_own_image(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("sample", PAIR[0], "-n", 4, *PROBLEM, "--observation", "images.npz", "-o", "samples.npz")
    assert outcome.code == 0, outcome.err
    samples, truths = np.load("samples.npz")["images"], np.load("images.npz")["images"]
    border = np.ones((32, 32), bool)
    border[8:24, 8:24] = False
    errors = np.abs(samples[:, None].astype(int) - truths[None])[:, :, border].mean((2, 3))
    assert errors.argmin(1).tolist() == [0, 1, 2, 0]


def test_two_settings_of_a_solver_in_one_run(cli: Cli, tmp_path: Path) -> None:
    specs = ("theory-gaussian", "theory-gaussian+solver=dps+steps=8+zeta=0.1")
    outcome = cli("compare", *specs, *QUICK, *PROBLEM, "-o", "zetas")
    assert outcome.code == 0, outcome.err
    document = result(tmp_path / "zetas")
    first, second = (side["facts"]["solver"] for side in document["sides"][:2])
    assert (first["zeta"], second["zeta"]) == (None, 0.1)
    assert first["steps"] == second["steps"]
    misfit = medians(document, "misfit", "observation")
    assert misfit[specs[0]] < misfit[specs[1]]  # a smaller step towards the measurement stays farther from it


def test_plain_models_are_compared_with_each_other_alone(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("compare", PAIR[0], "theory-gaussian+flow=sampler+steps=3", *QUICK, "-o", "plain")
    assert outcome.code == 0, outcome.err
    document = result(tmp_path / "plain")
    assert {side["role"] for side in document["sides"]} == {"model"}
    assert document["problem"] == ""
    assert "misfit" not in (tmp_path / "plain" / "report.html").read_text()


OBSERVED = ("--inverse", "inpaint-16", "--observation", "photo.png")
CASES = {
    "observation without a problem": (("--observation", "photo.png"), 2, "the observation belongs to an inverse"),
    "solver without a problem": (("--solver", "dps"), 2, "the solver belongs to an inverse problem"),
    "noise without a problem": (("--observation-noise", 0.1), 2, "the observation noise belongs to an inverse"),
    "problem without observation": (("--inverse", "inpaint-16"), 2, "an inverse problem needs images to observe"),
    "unknown operator": ((*OBSERVED, "--inverse", "inpant-16"), 2, "did you mean 'inpaint'"),
    "box too large": ((*OBSERVED, "--inverse", "inpaint-32"), 2, "from 1 to 31 pixels wide"),
    "mask that hides nothing": ((*OBSERVED, "--inverse", "mask+file=white.png"), 2, "white everywhere"),
    "mask of another size": ((*OBSERVED, "--inverse", "mask+file=small-mask.png"), 2, "8×8 and the models make images"),
    "observation of another size": ((*OBSERVED, "--observation", "small.png"), 2, "8×8 with 3 channels and the models"),
    "observation that is no image": ((*OBSERVED, "--observation", "nope.png"), 2, "cannot read the image nope.png"),
    "observation that is nothing": ((*OBSERVED, "--observation", "cifar11"), 2, "no data set is called 'cifar11'"),
    "negative noise": ((*OBSERVED, "--observation-noise", -1), 2, "-1.0 is not in the range"),
    "unknown solver": ((*OBSERVED, "--solver", "dsp"), 2, "did you mean 'dps'"),
    "solver for other data": ((*OBSERVED, "--solver", "projection+steps=0"), 2, "expected steps to be at least 1"),
    "class of an unconditional model": ((*OBSERVED, "--class", 3), 2, "would ignore the class label"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "sentence"), CASES.values(), ids=CASES.keys())
def test_sentence_and_exit_code(cli: Cli, arguments: tuple[object, ...], code: int, sentence: str) -> None:
    outcome = cli("sample", "theory-gaussian", "-n", 2, *arguments, "-o", "x.png")
    assert outcome.code == code, outcome.err
    assert sentence in outcome.err
    assert outcome.err.count("error: ") == 1
    assert outcome.out == ""


@pytest.mark.parametrize("model", ["samples:images.npz", "cd", "dit-xl-2-256", "theory-gaussian+steps=3"])
def test_models_without_a_denoiser_of_pixels(cli: Cli, model: str) -> None:
    outcome = cli("sample", model, "-n", 2, *OBSERVED, "-o", "x.png", "--offline")
    assert outcome.code == 2
    expected = "is for the model's sampler" if "steps" in model else f"{model} has no denoiser of pixels"
    assert expected in outcome.err
