"""``reprozoo report``: finished runs shown again, at other thresholds, or several as one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from reprozoo.base.errors import ReprozooError, UsageError
from reprozoo.cli.report import report
from reprozoo.engine.joining import combined
from reprozoo.engine.rescoring import rescored
from reprozoo.engine.result import Comparison
from reprozoo.report.files import write_result
from reprozoo.report.reading import read_result
from tests.fakes import FakeRecipe
from tests.report.runs import Runs

A, B, C = FakeRecipe("a", weights=1), FakeRecipe("b", weights=2, same=0.8), FakeRecipe("c", weights=3, same=0.7)
MEASURED = ("two", "classes", "pearson", "copying", "folders")


def same_scores(first: Comparison, second: Comparison) -> None:
    """That two results have equal measurements, scores, distributions and values."""
    assert len(first.measurements) == len(second.measurements)
    for one, other in zip(first.measurements, second.measurements, strict=True):
        assert one == other
        for name in ("values", "partners"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


# --- thresholds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MEASURED)
def test_the_same_thresholds_give_the_same_scores(runs: Runs, name: str) -> None:
    result = getattr(runs, name)
    again = rescored(result, {})
    same_scores(again, result)
    assert again.tests == result.tests
    assert again.warnings == result.warnings


@pytest.mark.parametrize(
    "thresholds", [{"similarity": 0.95}, {"rp": 0.2, "mae": 9.6}, {"mean_abs": 30.0, "similarity": 0.5}]
)
def test_other_thresholds_give_what_the_engine_gives_at_them(runs: Runs, thresholds: dict[str, float]) -> None:
    """Not only the scores: their names, intervals, conditions, tests and what the warnings say."""
    asked = runs.compare(A, B, C, classes="0-1", threshold=thresholds)
    again = rescored(runs.compare(A, B, C, classes="0-1"), thresholds)
    same_scores(again, asked)
    assert (again.measures, again.tests) == (asked.measures, asked.tests)
    assert sorted(again.warnings) == sorted(asked.warnings)
    assert again.question["threshold"] == asked.question["threshold"]


def test_a_search_at_another_threshold(runs: Runs) -> None:
    again = rescored(runs.copying, {"gl": 0.05, "memorization": 0.9})
    (nearest,) = again.select(measure="similarity", pairing="nearest")
    assert nearest.values is not None
    assert again.score("gl").value == np.mean(nearest.values <= np.float32(0.05))
    assert again.score("gl").label == "gl[pixels@32, >0.05]"
    assert again.score("memorization").label == "memorization[<0.9]"


@pytest.mark.parametrize(
    ("thresholds", "sentence"),
    [
        ({"maes": 0.5}, "nothing called 'maes' has a threshold .did you mean 'mae'"),
        ({"psnr": 20.0}, "nothing called 'psnr' has a threshold"),
        ({"similarity": 1.0}, "from -1 to below 1, got 1"),
        ({"mae": 0.0}, "above 0 and at most 255, got 0"),
    ],
)
def test_thresholds_that_mean_nothing_are_refused(runs: Runs, thresholds: dict[str, float], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        rescored(runs.two, thresholds)


def test_scores_without_values_keep_only_what_has_no_threshold() -> None:
    """The first version did not record the values of mismatched noise."""
    old = read_result(Path(__file__).parent / "schema1" / "compare")
    again = rescored(old, {"rp": 0.2})
    assert again.score("rp").value == 0.5
    (shuffled,) = again.select(measure="similarity", pairing="shuffled")
    assert [score.name for score in shuffled.scores] == ["similarity"]


# --- several runs ----------------------------------------------------------------------------------------------------


def test_other_models_on_the_same_noise_are_put_beside_each_other(runs: Runs) -> None:
    first, second = runs.compare(A, B), runs.compare(A, C)
    both = combined([first, second], ["x", "y"])
    assert [side.label for side in both.sides] == ["a", "b", "c", "theory-gaussian"]
    assert both.model_pairs() == [("a", "b"), ("a", "c")]
    for result, pair in ((first, ("a", "b")), (second, ("a", "c"))):
        assert both.score("rp", *pair) == result.score("rp", *pair)
    assert both.matrix("rp")[1][2] is None
    assert len({(m.measure, m.pairing, m.a, m.b) for m in both.measurements}) == len(both.measurements)
    assert both.noise == first.noise


def test_a_run_beside_itself_is_itself(runs: Runs) -> None:
    both = combined([runs.classes, runs.classes], ["x", "y"])
    same_scores(both, runs.classes)
    assert both.warnings == runs.classes.warnings


def test_a_comparison_and_a_search_of_the_same_model(runs: Runs) -> None:
    alone = runs.compare(A, B, num_samples=20, baselines=[], noise_floor=0)
    both = combined([alone, runs.copying], ["x", "y"])
    assert [side.role for side in both.sides] == ["model", "model", "data"]
    assert both.data == runs.copying.data
    assert both.score("gl").value == runs.copying.score("gl").value


def test_other_noises_of_the_same_models_become_one_run(runs: Runs) -> None:
    """Values of both, in the order of the noises, and the scores of all of them."""
    first = runs.compare(A, B, num_samples=20, classes="0-1", noise_floor=6)
    second = runs.compare(A, B, num_samples=30, first=20, classes="0-1", noise_floor=6)
    whole = runs.compare(A, B, num_samples=50, classes="0-1", noise_floor=6)
    for both in (combined([first, second], ["x", "y"]), combined([second, first], ["x", "y"])):
        assert (both.indices, both.num_samples, both.condition_names) == ([[0, 50]], 50, whole.condition_names)
        for measure in ("similarity", "mean_abs", "psnr", "feature_distance", "max_abs"):
            (one,), (other,) = (r.select(measure=measure, pairing="same", a="a", b="b") for r in (both, whole))
            assert one == other
            np.testing.assert_array_equal(one.values, other.values)
        (floor,) = both.select(measure="similarity", pairing="repeat", a="a")
        assert (floor.count, floor.score("rp").count) == (12, 12)
        assert floor.own is not None
        assert sorted(floor.own.tolist()) == [*range(6), *range(20, 26)]
        (shuffled,) = both.select(measure="similarity", pairing="shuffled")
        assert shuffled.score("rp").count == 50
        assert len(list(both.rows())) == sum(m.count for m in both.measurements)
        assert "sha256" not in both.noise
        assert {side.images_sha256 for side in both.models} == {""}


def test_three_runs_are_joined_one_after_the_other(runs: Runs) -> None:
    parts = [runs.compare(A, B, num_samples=12, first=12 * k, noise_floor=0) for k in range(3)]
    both = combined(parts, ["x", "y", "z"])
    assert both.num_samples == 36
    assert both.score("psnr", "a", "b").count == 36
    assert len(both.question["merged"]) == 3


def test_every_warning_is_said_once(runs: Runs) -> None:
    """Of 12 and 12 noises, and of three models that ignore their noise, in two runs of the same noises."""
    parts = [runs.compare(A, B, num_samples=12, first=12 * k, noise_floor=0) for k in range(2)]
    warnings = combined(parts, ["x", "y"]).warnings
    assert [w for w in warnings if "noises were compared" in w] == [
        "Only 24 noises were compared: the intervals are wide; ask for 1000 or more (-n)."
    ]
    assert len(set(warnings)) == len(warnings)
    blind = [FakeRecipe(name, weights=1, same=0.01 * k) for k, name in enumerate("abc")]
    merged = combined([runs.compare(blind[0], blind[1]), runs.compare(*blind)], ["x", "y"])
    little = [w for w in merged.warnings if "says little" in w]
    assert len(little) == 1
    assert little[0].startswith("3 pairs, ")


def test_a_joined_result_asked_for_the_noises_of_all(runs: Runs) -> None:
    for lengths in ((12, 12), (12, 20), (5, 6, 7)):
        parts = [
            runs.compare(A, B, num_samples=n, first=sum(lengths[:k]), noise_floor=0) for k, n in enumerate(lengths)
        ]
        assert combined(parts, ["x"] * len(parts)).question["num_samples"] == sum(lengths)


def test_a_run_that_is_named_twice_counts_once(runs: Runs) -> None:
    one, other = (runs.compare(A, B, num_samples=12, first=12 * k, noise_floor=0) for k in range(2))
    assert combined([one, one], ["x", "x"]) == one
    both = combined([one, other, one], ["x", "y", "x"])
    assert both == combined([one, other], ["x", "y"])
    assert both.elapsed_s == one.elapsed_s + other.elapsed_s


def test_a_warning_about_few_noises_goes_when_they_are_not_few(runs: Runs) -> None:
    parts = [runs.compare(A, B, num_samples=60, first=60 * k, noise_floor=0) for k in range(2)]
    assert all("Only 60 noises were compared" in " ".join(part.warnings) for part in parts)
    assert not any("noises were compared" in warning for warning in combined(parts, ["x", "y"]).warnings)


def cases(runs: Runs) -> dict[str, tuple[Comparison, Comparison, str]]:
    first = runs.compare(A, B, num_samples=20)
    return {
        "another seed": (first, runs.compare(A, B, num_samples=20, seed=1), "they differ in their noise: seed 0 and 1"),
        "conditions": (first, runs.compare(A, B, num_samples=20, classes="1"), "they differ in their conditions"),
        "overlapping noises": (first, runs.compare(A, B, num_samples=30), "they share 20 noises and not all"),
        "another model of the name": (
            first, runs.compare(A, replace(B, same=0.5), num_samples=20), "b is not the same in both",
        ),
        "other models on other noises": (
            first,
            runs.compare(A, C, num_samples=20, first=20),
            "on other noises .noises 0–19 and noises 20–39., the sides must be",
        ),
        "thresholds": (
            first, runs.compare(A, C, num_samples=20, threshold=0.3), "the threshold of rp differs: 0.9 and 0.3",
        ),
        "other images to search in": (runs.copying, runs.elsewhere, "searched in other images"),
        "an object": (
            first,
            replace(first, sides=[replace(side, kept=False) for side in first.sides]),
            "nothing proves that the object a is the same in both",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("case", [
    "another seed", "conditions", "overlapping noises", "another model of the name", "other models on other noises",
    "thresholds", "other images to search in", "an object",
])  # fmt: skip
def test_what_does_not_fit_is_refused_with_what_differs(runs: Runs, case: str) -> None:
    first, second, sentence = cases(runs)[case]
    with pytest.raises(UsageError, match=f"x and y cannot be put together: .*{sentence}"):
        combined([first, second], ["x", "y"])


# --- the command -----------------------------------------------------------------------------------------------------


def reported(*words: Any) -> str:
    return CliRunner().invoke(report, [str(word) for word in words], catch_exceptions=False).output


def test_the_command_shows_and_writes(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path / "home"))
    write_result(runs.two, tmp_path / "run")
    assert "rp[pixels@32, >0.9] · mae[<15/255] · 37 noises" in reported(tmp_path / "run")
    text = reported(tmp_path / "run", "--threshold", "0.97", "--threshold", "mae=9", "-o", tmp_path / "again")
    assert "rp[pixels@32, >0.97] · mae[<9/255]" in text
    assert f"report: {tmp_path / 'again' / 'report.html'}" in text
    again = read_result(tmp_path / "again")
    assert again.question["threshold"] == {"similarity": 0.97, "mae": 9.0}
    document = json.loads(reported(tmp_path / "run", "--json"))
    assert document["kind"] == "comparison"
    assert reported(tmp_path / "run", "--csv").startswith("measure,pairing,a,b,index,condition,partner,value\n")


def test_the_command_puts_runs_together(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path / "home"))
    write_result(runs.compare(A, B, num_samples=20), tmp_path / "one")
    write_result(runs.compare(A, C, num_samples=20), tmp_path / "two")
    write_result(runs.compare(A, B, num_samples=20, seed=5), tmp_path / "other")
    assert "two of these 3 models" in reported(tmp_path / "one", tmp_path / "two").replace("\n", " ")
    with pytest.raises(UsageError, match="differ in their noise"):
        reported(tmp_path / "one", tmp_path / "other")


@pytest.mark.parametrize("words", [["--threshold", "much"], ["--threshold", "rp=nan"], ["--json", "--csv"], []])
def test_the_command_refuses(runs: Runs, tmp_path: Path, words: list[str]) -> None:
    result = CliRunner().invoke(report, [*([str(tmp_path)] if words else []), *words])
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit | ReprozooError)


def test_the_command_does_not_import_torch(runs: Runs, tmp_path: Path) -> None:
    write_result(runs.two, tmp_path / "run")
    words = [str(tmp_path / "run"), "--threshold", "0.5", "-o", str(tmp_path / "out")]
    script = (
        "import sys; from reprozoo.cli.report import report\n"
        f"report({words!r}, standalone_mode=False)\n"
        "assert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
