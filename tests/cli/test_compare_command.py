"""``compare``, ``score`` and ``generalize`` from the command line, on theory that needs no training."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reprozoo.engine.result import ROW_COLUMNS, Comparison
from reprozoo.report.reading import read_result
from reprozoo.zoo import resolving
from reprozoo.zoo.weights import fetching
from tests.cli.conftest import Cli, Outcome

PAIR = ("theory-gaussian", "theory-gaussian+flow=sampler+steps=3")
QUICK = ("-n", 4, "--descriptor", "pixels", "--noise-floor", 2, "--device", "cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests here: what one has sampled, the others read."""
    return tmp_path_factory.mktemp("home")


def read(folder: Path) -> Comparison:
    return read_result(folder)


@pytest.fixture
def compared(cli: Cli) -> Outcome:
    return cli("compare", *PAIR, *QUICK, "-o", "out")


def test_table_and_files(compared: Outcome, tmp_path: Path) -> None:
    assert compared.code == 0
    assert all(spec in compared.out for spec in PAIR)
    assert "rp[pixels@32, >0.9]" in compared.out
    assert "shuffled noise" in compared.out
    assert "noise floor of theory-gaussian" in compared.out
    assert compared.out.rstrip().endswith("report: out/report.html")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["report.html", "result.json", "scores.csv", "values.safetensors"]
    assert "theory-gaussian: " in compared.err
    page = (tmp_path / "out" / "report.html").read_text()
    assert "reprozoo compare theory-gaussian theory-gaussian+flow=sampler+steps=3 -n 4" in page


def test_the_second_run_samples_nothing(cli: Cli, compared: Outcome) -> None:
    again = cli("compare", *PAIR, *QUICK, "-o", "again", "--json")
    assert [side["sampled"] for side in json.loads(again.out)["sides"]] == [0, 0]


def test_each_spec_is_chosen_and_each_file_of_weights_hashed_once(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: Counter[str] = Counter()
    hashed: Counter[str] = Counter()
    choose, sha256_of = resolving.Zoo.choose, fetching.sha256_of

    def counting_choose(self: resolving.Zoo, text: str, **options: Any) -> Any:
        chosen[text] += 1
        return choose(self, text, **options)

    def counting_sha256_of(path: Path) -> str:
        hashed[str(path)] += 1
        return sha256_of(path)

    monkeypatch.setattr(resolving.Zoo, "choose", counting_choose)
    monkeypatch.setattr(fetching, "sha256_of", counting_sha256_of)
    outcome = cli(
        "compare", *PAIR, "theory-mog", *QUICK, "--baseline", "theory-gaussian+flow=sampler+steps=4", "-o", "out"
    )
    assert outcome.code == 0, outcome.err
    assert chosen == dict.fromkeys([*PAIR, "theory-mog", "theory-gaussian+flow=sampler+steps=4"], 1)
    assert hashed
    assert set(hashed.values()) == {1}


def test_large_weights_are_said_before_the_run(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reprozoo.cli.fetching.LARGE", 1e5)
    outcome = cli("compare", *PAIR, *QUICK, "-o", "large")
    notes = [line for line in outcome.err.splitlines() if "GB of weights to read" in line]
    assert [line.split(":")[0] for line in notes] == list(PAIR)
    assert "GB of weights" not in cli("compare", *PAIR, *QUICK, "-o", "large", "-q").err


def test_json_is_one_document_and_nothing_else(cli: Cli, compared: Outcome, tmp_path: Path) -> None:
    outcome = cli("compare", *PAIR, *QUICK, "-o", "json", "--json")
    assert json.loads(outcome.out)["indices"] == [[0, 4]]
    assert outcome.out == (tmp_path / "json" / "result.json").read_text()
    assert "report: json/report.html" in outcome.err
    assert read(tmp_path / "json").num_samples == 4


def test_csv_is_scores_csv(cli: Cli, compared: Outcome, tmp_path: Path) -> None:
    outcome = cli("compare", *PAIR, *QUICK, "-o", "csv", "--csv")
    assert outcome.out == (tmp_path / "csv" / "scores.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert list(rows[0]) == list(ROW_COLUMNS)
    same = [row for row in rows if (row["measure"], row["pairing"]) == ("mean_abs", "same")]
    assert [row["index"] for row in same] == list("0123")
    assert {(row["a"], row["b"]) for row in same} == {PAIR}
    floors = [row for row in rows if (row["measure"], row["pairing"]) == ("mean_abs", "repeat")]
    assert [row["a"] for row in floors] == [PAIR[0]] * 2 + [PAIR[1]] * 2


def test_quiet_says_nothing_on_stderr(cli: Cli, compared: Outcome) -> None:
    outcome = cli("compare", *PAIR, *QUICK, "-o", "quiet", "-q")
    assert outcome.err == ""
    assert "shuffled noise" in outcome.out


def test_what_was_asked_for_is_in_the_result(cli: Cli, tmp_path: Path) -> None:
    cli(
        "compare", *PAIR, *QUICK, "--seed", 7, "--threshold", 0.5, "--threshold", "mae=20", "--no-baseline",
        "--batch-size", 2, "--dtype", "fp32", "--noise-floor", 0, "-o", "out",
    )  # fmt: skip
    question = read(tmp_path / "out").question
    expected = {
        "seed": 7,
        "threshold": {"similarity": 0.5, "mae": 20.0},
        "baselines": [],
        "batch_size": 2,
        "dtype": "float32",
        "sides": list(PAIR),
        "descriptor": ["pixels"],
    }
    assert expected.items() <= question.items()
    assert [read(tmp_path / "out").score(name).label for name in ("rp", "mae")] == [
        "rp[pixels@32, >0.5]",
        "mae[<20/255]",
    ]


def test_default_folder_depends_on_the_arguments_alone(cli: Cli, tmp_path: Path) -> None:
    for threshold in (0.9, 0.9, 0.8):
        cli("compare", *PAIR, *QUICK, "--threshold", threshold)
    folders = sorted(path.name for path in (tmp_path / "reprozoo-out").iterdir())
    assert len(folders) == 2
    assert all(name.startswith("theory-gaussian--theory-gaussian+flow=sampler+steps=3-") for name in folders)


def test_a_saved_question_is_asked_again(cli: Cli, compared: Outcome, tmp_path: Path) -> None:
    saved = cli("compare", *PAIR, *QUICK, "-o", "first", "--save-question", "question.toml", "--json")
    assert saved.code == 0, saved.err
    again = cli("run", "question.toml", "-o", "second", "--json")
    assert again.code == 0, again.err
    first, second = json.loads(saved.out), json.loads(again.out)
    for name in ("question", "measurements", "values_sha256"):
        assert first[name] == second[name]
    assert cli("run", "question.toml", "-o", "second", "--fail-under", "rp=1").code == 1


def test_exported_noise_is_the_same_noise(cli: Cli, compared: Outcome, tmp_path: Path) -> None:
    cli("noise", "export", "-n", 4, "noise.safetensors")
    outcome = cli("compare", *PAIR, *QUICK, "--noise", "noise.safetensors", "-o", "from-file", "--json")
    by_file, by_seed = json.loads(outcome.out), read(tmp_path / "out")
    assert by_file["noise"]["sha256"] == by_seed.noise["sha256"]
    assert by_file["sides"][0]["images_sha256"] == by_seed.models[0].images_sha256


THREE = ("theory-gaussian", "theory-gaussian+flow=sampler", "theory-gaussian+flow=sampler+steps=1")


def test_fail_under_names_the_worst_pair(cli: Cli) -> None:
    arguments = ("compare", *THREE, *QUICK[:-4], "--noise-floor", 0, "--threshold", 0.9999, "-o", "out")
    outcome = cli(*arguments, "--fail-under", "rp=0.5")
    result = read(Path("out"))
    scores = {pair: result.score("rp", *pair).value for pair in result.model_pairs()}
    worst = min(scores, key=lambda pair: scores[pair])
    assert scores[worst] < 0.5
    assert outcome.code == 1
    assert (
        f"failed: rp[pixels@32, >0.9999] of {worst[0]} and {worst[1]} is {scores[worst]:.4g}, below 0.5" in outcome.err
    )
    assert cli(*arguments, "--fail-under", "rp=0,mae=0").code == 0


def test_every_score_has_bounds_of_both_kinds(cli: Cli) -> None:
    arguments = ("compare", *THREE, *QUICK[:-4], "--noise-floor", 0, "-o", "out")
    cli(*arguments)
    result = read(Path("out"))
    for name in ("psnr", "mean_abs", "pfd", "similarity", "max_abs"):
        values = [result.score(name, *pair).value for pair in result.model_pairs()]
        least, most = min(values), max(values)
        assert cli(*arguments, "--fail-under", f"{name}={least!r}").code == 0
        assert cli(*arguments, "--fail-over", f"{name}={most!r}").code == 0
        below = cli(*arguments, "--fail-under", f"{name}={least + 0.01!r}", "--fail-over", f"{name}={most - 0.01!r}")
        assert below.code == 1
        assert [line.split(",")[-1].split()[0] for line in below.err.splitlines() if line.startswith("failed")] == [
            "below", "above",
        ]  # fmt: skip


def test_images_of_another_program(cli: Cli, compared: Outcome, tmp_path: Path) -> None:
    assert cli("sample", PAIR[0], "-n", 4, "-o", "images").code == 0
    for place in ("samples:images", "./images"):
        outcome = cli("compare", PAIR[0], place, *QUICK, "-o", "again", "--json")
        assert outcome.code == 0, outcome.err
        (same,) = read(tmp_path / "again").select(measure="max_abs", pairing="same")
        assert same.equal == 4


def test_score(cli: Cli, tmp_path: Path) -> None:
    for spec, place in zip(PAIR, ("a.npz", "b"), strict=True):
        assert cli("sample", spec, "-n", 4, "-o", place).code == 0
    outcome = cli("score", "a.npz", "b", "--descriptor", "pixels", "-o", "out", "--fail-under", "rp=1.0")
    assert "a.npz × ./b" in outcome.out
    assert outcome.code == (0 if read(tmp_path / "out").score("rp").value == 1 else 1)
    assert "reprozoo score a.npz ./b --descriptor pixels" in (tmp_path / "out" / "report.html").read_text()


def test_score_of_images_that_do_not_match(cli: Cli, tmp_path: Path) -> None:
    cli("sample", PAIR[0], "-n", 4, "-o", "four")
    cli("sample", PAIR[0], "-n", 3, "-o", "three")
    outcome = cli("score", "four", "three", "--descriptor", "pixels")
    assert outcome.code == 2
    assert "index 3 is only in ./four" in outcome.err


def test_generalize(cli: Cli, tmp_path: Path) -> None:
    cli("sample", PAIR[0], "-n", 4, "--seed", 1, "-o", "train.npz")
    arguments = ("generalize", PAIR[0], "--data", "train.npz", "-n", 4, "--descriptor", "pixels", "-o", "out")
    outcome = cli(*arguments)
    assert outcome.code == 0, outcome.err
    assert "gl[pixels@32, >0.9]" in outcome.out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["report.html", "result.json", "scores.csv", "values.safetensors"]
    document = json.loads(cli(*arguments, "--json").out)
    assert document["data"]["count"] == 4
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").open()))
    nearest = [row for row in rows if row["pairing"] == "nearest" and row["measure"].startswith("similarity")]
    assert [row["index"] for row in nearest] == list("0123")
    assert {row["partner"] for row in nearest} <= set("0123")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "reprozoo generalize theory-gaussian" in page
    assert "--data train.npz" in page


def test_generalize_finds_copies(cli: Cli, tmp_path: Path) -> None:
    cli("sample", PAIR[0], "-n", 4, "-o", "train.npz")
    arguments = ("generalize", PAIR[0], "--data", "train.npz", "-n", 4, "--descriptor", "pixels", "-o", "out")
    assert cli(*arguments, "--fail-under", "gl=0.5").code == 1
    assert read(tmp_path / "out").score("gl", PAIR[0]).value == 0
    assert cli(*arguments, "--fail-over", "gl=0,memorization=1").code == 0


def test_samples_in_every_form_are_the_same(cli: Cli, tmp_path: Path) -> None:
    from PIL import Image

    cli("sample", PAIR[0], "-n", 3, "-o", "images.npz")
    cli("sample", PAIR[0], "-n", 3, "-o", "folder")
    cli("sample", PAIR[0], "-n", 3, "-o", "grid.png", "--columns", 3)
    archive = np.load(tmp_path / "images.npz")
    assert archive["indices"].tolist() == [0, 1, 2]
    for index in range(3):
        alone = np.asarray(Image.open(tmp_path / "folder" / f"{index:06d}.png"))
        np.testing.assert_array_equal(alone, archive["images"][index])
    assert Image.open(tmp_path / "grid.png").size == (3 * 34 + 2, 36)  # 2 pixels between and around


def test_samples_of_later_noises_keep_their_indices(cli: Cli, tmp_path: Path) -> None:
    assert cli("sample", PAIR[0], "-n", 5, "-o", "whole.npz").code == 0
    assert cli("sample", PAIR[0], "-n", 2, "--first", 3, "-o", "part.npz").code == 0
    assert cli("sample", PAIR[0], "-n", 2, "--first", 3, "-o", "part").code == 0
    whole, part = np.load(tmp_path / "whole.npz"), np.load(tmp_path / "part.npz")
    assert part["indices"].tolist() == [3, 4]
    np.testing.assert_array_equal(part["images"], whole["images"][3:])
    assert sorted(path.name for path in (tmp_path / "part").iterdir()) == ["000003.png", "000004.png"]


def test_samples_are_not_mixed_with_others(cli: Cli, tmp_path: Path) -> None:
    cli("sample", PAIR[0], "-n", 3, "-o", "folder")
    assert cli("sample", PAIR[0], "-n", 3, "-o", "folder").code == 0
    outcome = cli("sample", PAIR[0], "-n", 2, "-o", "folder")
    assert outcome.code == 2
    assert "folder holds other files already, e.g. 000002.png" in outcome.err
