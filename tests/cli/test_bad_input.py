"""Bad input: each is one sentence on stderr, nothing on stdout, and the right exit code; found before any sampling."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Cli

PAIR = ("theory-gaussian", "theory-gaussian+flow=sampler")
QUICK = ("-n", 2, "--descriptor", "pixels", "--noise-floor", 0)

CASES = {
    "unknown id": (("compare", "theory-gausian", "theory-mog"), 2, "did you mean 'theory-gaussian'?"),
    "unknown id of show": (("show", "tiny_edn"), 2, "did you mean 'tiny-edm'?"),
    "unknown option": (("compare", *PAIR, "--sede", 1), 2, "No such option '--sede'"),
    "unknown command": (("comprae",), 2, "Did you mean 'compare'?"),
    "unknown scheme": (("compare", "nope:x", "theory-mog", *QUICK), 2, "no plugin reads nope: specs"),
    "option that is not the map's": (("compare", "theory-gaussian+stepz=3", PAIR[1], *QUICK), 2, "no option 'stepz'"),
    "option with a bad value": (("compare", "theory-gaussian+steps=x", PAIR[1], *QUICK), 2, "expected a whole number"),
    "option without its value": (("compare", "theory-gaussian+steps", PAIR[1], *QUICK), 2, "expected a whole number"),
    "one model": (("compare", "theory-gaussian", *QUICK), 2, "two or more models"),
    "no model": (("compare",), 2, "Missing argument"),
    "class label of an unconditional model": (("compare", *PAIR, "--class", 3, *QUICK), 2, "ignore the class label"),
    "random class for an unconditional model": (("compare", *PAIR, "--class", "random", *QUICK), 2, "ignore the class"),
    "prompt for a model without": (("compare", *PAIR, "--prompt", "a cat", *QUICK), 2, "would ignore the prompt"),
    "class and prompt": (("compare", *PAIR, "--class", 3, "--prompt", "a cat", *QUICK), 2, "exclude each other"),
    "file of prompts that is none": (("compare", *PAIR, "--prompts", "x.txt", *QUICK), 2, "cannot be read as prompts"),
    "class label that is none": (("compare", *PAIR, "--class", "cat", *QUICK), 2, "'cat' is no class label"),
    "n = 0": (("compare", *PAIR, "-n", 0), 2, "'-n' / '--num-samples': 0 is not in the range"),
    "n = 10^9": (("compare", *PAIR, "-n", 10**9, "--descriptor", "pixels"), 2, "1000000000 is not in the range"),
    "n without its value": (("compare", *PAIR, "-n"), 2, "Option '-n' requires an argument"),
    "n is no number": (("compare", *PAIR, "-n", "many"), 2, "not a valid integer"),
    "negative seed": (("compare", *PAIR, "--seed", -1, *QUICK), 2, "'--seed': -1 is not in the range 0<=x"),
    "negative first": (("compare", *PAIR, "--first", -1, *QUICK), 2, "'--first': -1 is not in the range 0<=x<="),
    "seed and noise file": (("compare", *PAIR, "--seed", 1, "--noise", "x.npy", *QUICK), 2, "exclude each other"),
    "noise file that is not there": (("compare", *PAIR, "--noise", "nope.safetensors", *QUICK), 2, "nope.safetensors"),
    "unknown descriptor": (("compare", *PAIR, "-n", 2, "--descriptor", "pixel"), 2, "did you mean 'pixels'?"),
    "unknown measure": (("compare", *PAIR, "--measure", "pnsr", *QUICK), 2, "did you mean 'psnr'?"),
    "threshold out of range": (("compare", *PAIR, "--threshold", 1.5), 2, "similarity is from -1 to below 1, got 1.5"),
    "threshold that is no number": (("compare", *PAIR, "--threshold", "nan"), 2, "a number for similarity, got nan"),
    "endless MAE threshold": (("compare", *PAIR, "--threshold", "mae=inf"), 2, "expected a number for mae, got inf"),
    "MAE threshold of 0": (("compare", *PAIR, "--threshold", "mae=0"), 2, "of mae is above 0 and at most 255, got 0"),
    "threshold of nothing": (("compare", *PAIR, "--threshold", "mea=3"), 2, "did you mean 'mae'?"),
    "threshold of another command": (("compare", *PAIR, "--threshold", "gl=0.5"), 2, "'gl' has a threshold"),
    "option that is no number": (("compare", "theory-gaussian+steps=nan", PAIR[1], *QUICK), 2, "a whole number"),
    "solver option that is no number": (
        ("compare", *PAIR, "--inverse", "grayscale", "--observation", "cifar10", "--solver", "dps+zeta=nan", *QUICK), 2,
        "zeta=nan: expected a number",
    ),
    "baseline and none": (("compare", *PAIR, "--baseline", "theory-mog", "--no-baseline", *QUICK), 2, "exclude each"),
    "option that a shown model does not have": (("show", "theory-gaussian+stepz=3"), 2, "no option 'stepz'"),
    "data set that a plugin makes": (("data", "pull", "recipe-data"), 2, "there is nothing to pull"),
    "unknown dtype": (("compare", *PAIR, "--dtype", "int4"), 2, "'int4' is not one of 'float32', 'float16',"),
    "unknown device": (("compare", *PAIR, "--device", "abacus", *QUICK), 2, "device 'abacus' cannot be used"),
    "batch size 0": (("compare", *PAIR, "--batch-size", 0), 2, "0 is not in the range"),
    "score to fail under": (("compare", *PAIR, "--fail-under", "fid=3"), 2, "there is no score 'fid'"),
    "score of a bound": (("compare", *PAIR, "--fail-under", "pr=0.9"), 2, "--fail-under pr: there is no score 'pr'"),
    "bound without a score": (("compare", *PAIR, "--fail-under", "0.9"), 2, "'0.9': expected SCORE=NUMBER"),
    "bound of nan": (("compare", *PAIR, "--fail-over", "mean_abs=nan"), 2, "'nan' is no number"),
    "bound given twice": (("compare", *PAIR, "--fail-over", "rp=1,rp=0"), 2, "'rp=0': expected SCORE=NUMBER"),
    "bound of another command": (("compare", *PAIR, "--fail-over", "gl=1"), 2, "there is no score 'gl'"),
    "value to fail under": (("compare", *PAIR, "--fail-under", "rp=x"), 2, "'x' is no number"),
    "range to fail under": (("compare", *PAIR, "--fail-under", "rp=90"), 2, "rp is a share, so its bound is between 0"),
    "both outputs": (("compare", *PAIR, "--json", "--csv", *QUICK), 2, "exclude each other"),
    "offline with nothing cached": (("compare", *PAIR, "-n", 2, "--offline"), 4, "not on this machine"),
    "pull of nothing known": (("pull", "tiny-edm", "nope"), 2, "no model is called"),
    "pull, offline": (("pull", "sscd", "--offline"), 4, "--offline forbids to fetch it"),
    "unknown data set": (("data", "pull", "cifar11"), 2, "did you mean 'cifar10'?"),
    "data set, offline": (("data", "pull", "cifar10", "--offline"), 4, "--offline"),
    "unknown family": (("models", "--family", "edmm"), 2, "did you mean 'edm'?"),
    "unknown status": (("models", "--status", "fine"), 2, "'fine' is not one of"),
    "score of nothing": (("score", "a", "b", "--descriptor", "pixels"), 2, "there is no file or folder ./a"),
    "folder of nothing": (("compare", "theory-gaussian", "./a", *QUICK), 2, "there is no file or folder ./a"),
    "shapes that differ": (("compare", "tiny-edm", "dit-xl-2-256"), 2, "of one is 3×32×32, of the other 4×32×32"),
    "question that is none": (("run", "nope.toml"), 2, "nope.toml cannot be read as a question"),
    "images to compare": (("images_of",), 2, "there is no command"),
    "generalize without data": (("generalize", "theory-mog", "-n", 2, "--descriptor", "pixels"), 2, "data set"),
    "grid too large": (("sample", "theory-gaussian", "-n", 20000, "-o", "x.png"), 2, "too large to look at"),
    "images as jpeg": (("sample", "theory-gaussian", "-n", 2, "-o", "x.jpg"), 2, "not as 'x.jpg'"),
    "prune of nothing": (("cache", "prune"), 2, "nothing was chosen"),
    "prune by a bad age": (("cache", "prune", "--unused-for", "3"), 2, "no length of time"),
    "noise as a picture": (("noise", "export", "x.png"), 2, "noise is written as"),
    "noise of no shape": (("noise", "export", "--shape", "3y3", "x.npy"), 2, "'3y3' is no shape"),
    "noise that does not fit": (("noise", "export", "-n", 10**11, "x.npy"), 2, "do not fit"),
    "noise in no folder": (("noise", "export", "nope/x.npy"), 2, "there is no folder"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "sentence"), CASES.values(), ids=CASES.keys())
def test_sentence_and_exit_code(cli: Cli, arguments: tuple[object, ...], code: int, sentence: str) -> None:
    outcome = cli(*arguments)
    assert outcome.code == code, outcome.err
    assert sentence in outcome.err
    assert outcome.err.count("error: ") == 1
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


def test_a_folder_that_is_written_like_a_model_is_pointed_out(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    outcome = cli("compare", "theory-gaussian", "images", *QUICK)
    assert outcome.code == 2
    assert "for the images in this place write ./images" in outcome.err


def test_unreadable_noise_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "noise.npy").write_bytes(b"not numpy")
    outcome = cli("compare", *PAIR, "--noise", "noise.npy", *QUICK)
    assert outcome.code == 2
    assert "noise.npy" in outcome.err


def test_noise_file_of_another_shape(cli: Cli, tmp_path: Path) -> None:
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32))
    outcome = cli("compare", *PAIR, "--noise", "noise.npy", *QUICK)
    assert outcome.code == 2
    assert "shape" in outcome.err


def test_noise_file_with_too_few_noises(cli: Cli, tmp_path: Path) -> None:
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32))
    outcome = cli("compare", *PAIR, "--noise", "noise.npy", "-n", 3, "--descriptor", "pixels")
    assert outcome.code == 2
    assert "holds 2 noises, and 3 are asked for" in outcome.err


def test_models_of_different_noise_shapes(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    for index in range(2):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / "small" / f"{index}.png")
    outcome = cli("compare", "theory-gaussian", "samples:small", *QUICK)
    assert outcome.code == 2
    assert "noise shape of one is 3×32×32, of the other 3×8×8" in outcome.err


@pytest.mark.parametrize("command", ["compare", "sample"])
def test_output_that_cannot_be_written(cli: Cli, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("in the way")
    models = PAIR if command == "compare" else PAIR[:1]
    outcome = cli(command, *models, "-n", 2, "-o", "file/folder")
    assert outcome.code == 2
    assert "cannot write" in outcome.err or "file" in outcome.err


def test_missing_family(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from reprozoo.zoo import plugins, resolving

    points = importlib.metadata.entry_points(group="reprozoo")
    without = resolving.Zoo(plugins.Plugins(points, disabled=["edm"]))
    monkeypatch.setattr(resolving, "default_zoo", lambda: without)
    outcome = cli("compare", "tiny-edm", "theory-gaussian", *QUICK)
    assert outcome.code == 3
    assert "plugin edm is disabled" in outcome.err
