"""Tables on the terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from reprozoo.base.errors import UsageError
from reprozoo.engine.result import Comparison
from reprozoo.report import terminal
from reprozoo.report.findings import number
from reprozoo.report.html import report_html
from tests.fakes import FakeRecipe
from tests.report.runs import Runs


def printed(result: Comparison, width: int = 100) -> str:
    buffer = io.StringIO()
    terminal.print_result(result, Console(file=buffer, width=width))
    return buffer.getvalue()


def many(runs: Runs, count: int) -> Comparison:
    recipes = [FakeRecipe(f"model-{k}", weights=k, same=0.5 + 0.06 * k) for k in range(count)]
    return runs.compare(*recipes, num_samples=12)


def renamed(result: Comparison, names: dict[str, str]) -> Comparison:
    """The same with other labels."""

    def of(label: str) -> str:
        return names.get(label, label)

    sides = [replace(side, label=of(side.label)) for side in result.sides]
    return replace(
        result, sides=sides, measurements=[replace(m, a=of(m.a), b=of(m.b)) for m in result.measurements]
    )  # fmt: skip


def test_one_pair_above_what_it_is_seen_against(runs: Runs) -> None:
    lines = printed(replace(runs.two, warnings=["read [this]"])).splitlines()
    assert lines[0] == "rp[pixels@32, >0.9] · mae[<15/255] · 37 noises"
    rows = [line for line in lines[1:] if line.strip()]
    start = next(i for i, line in enumerate(rows) if line.startswith("a × b"))
    assert [row.split("  ")[0] for row in rows[start : start + 6]] == [
        "a × b", "shuffled noise", "noise floor of a", "noise floor of b", "theory-gaussian × a", "theory-gaussian × b",
    ]  # fmt: skip
    score = runs.two.score("rp", "a", "b")
    assert f"{score.value:.3f}  {score.low:.3f} – {score.high:.3f}" in rows[start]
    for name, text in (("mean_abs", "9.59"), ("psnr", "26.6"), ("pfd", "0.262")):
        assert runs.two.score(name, "a", "b").value == pytest.approx(float(text), abs=0.05)
        assert text in rows[start]
    assert lines[-1] == "warning: read [this]"


def test_what_a_reader_must_know_of_the_descriptor_comes_last(runs: Runs) -> None:
    noted = replace(runs.two, descriptors=[runs.two.descriptors[0] | {"note": "not the paper's numbers"}])
    assert printed(noted).splitlines()[-1] == "pixels@32: not the paper's numbers."


def test_several_models_have_a_matrix_and_the_lowest_pairs_first(runs: Runs) -> None:
    text = printed(many(runs, 7))
    assert text.splitlines()[1].split() == ["RP", "1", "2", "3", "4", "5", "6", "7"]
    scores = [float(line.split()[3]) for line in text.splitlines() if line.startswith("model-") and " × " in line]
    assert scores == sorted(scores)
    assert len(scores) == terminal.PAIRS_SHOWN
    assert "and 6 pairs that are closer" in text
    head = text[: text.index("model-0 ×")]
    assert "mean |Δ|" in head
    assert "PSNR" in head


@pytest.mark.parametrize("name", ["two", "three", "classes", "variant", "pearson", "folders", "copying"])
@pytest.mark.parametrize("width", [80, 100, 200])
def test_tables_fit(runs: Runs, name: str, width: int) -> None:
    lines = printed(getattr(runs, name), width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(line for line in lines if line.startswith("a "))


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("name", ["two", "three", "two_descriptors", "pearson", "copying"])
def test_no_score_is_missing_at_any_width(runs: Runs, name: str, width: int) -> None:
    """What has no column is in the line below."""
    result = getattr(runs, name)
    text = printed(result, width)
    pairing = "nearest" if name == "copying" else "same"
    roles = {side.label: side.role for side in result.sides}
    for m in result.select(pairing=pairing):
        if roles[m.a] == "model":
            for score in m.scores:
                assert (
                    number(score.value, 3 if score.successes is not None else result.facts(m.measure).decimals) in text
                )


def test_each_descriptor_has_a_column_of_its_headline(runs: Runs) -> None:
    lines = printed(runs.two_descriptors, 100).splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("a × b"))
    head = " ".join(lines[1:end])
    assert head.count("RP,") == 2
    assert "pixels@32" in head
    assert "blind" in head
    shuffled = next(line for line in lines if line.startswith("shuffled noise"))
    assert shuffled.split()[2] == "0.000"
    assert "1.000" in shuffled


def test_a_measure_that_was_asked_for_comes_before_those_that_always_come(runs: Runs) -> None:
    lines = printed(runs.pearson, 80).splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("a × b"))
    assert "correlation" in " ".join(lines[1:end])
    assert any(line.startswith("also: ") for line in lines)


def test_images_that_are_gone_are_said_to_be(runs: Runs) -> None:
    """On the terminal and on the page: all of them, or those of some sides."""

    def load(label: str, indices: Sequence[int]) -> Any:
        if label == "b":
            raise UsageError("the store does not have them any more")
        return runs.two.images(label, indices)

    for loader, whose in ((None, "of this result"), (load, "of b")):
        result = replace(runs.two, image_loader=loader)
        sentence = f"The images {whose} are not at hand any more, so they are not shown; run it again to see them."
        assert sentence in printed(result, 200)
        assert sentence in report_html(result)
    for whole in (runs.two, runs.folders, runs.copying):
        assert "at hand" not in printed(whole, 200)
        assert "at hand" not in report_html(whole)


def test_wide_terminals_are_used(runs: Runs) -> None:
    assert "also:" in printed(runs.two, 80)
    assert "also:" not in printed(runs.two, 250)


def test_nothing_moves_the_cursor(runs: Runs) -> None:
    """Labels, warnings, prompts and problems are from outside."""
    bad = "x\x1b[2Jy\x00z\n\u202eq\u2066"
    result = replace(renamed(runs.two, {"a": bad}), warnings=[bad], problem=bad)
    many = replace(renamed(runs.three, {"a": bad}), warnings=[bad])
    classes = runs.classes
    conditions = [
        replace(m, conditions=[replace(c, name=bad + c.name) for c in m.conditions]) for m in classes.measurements
    ]
    for each in (result, many, replace(classes, measurements=conditions)):
        text = printed(each, 200)
        assert "x\ufffd[2Jy\ufffdz \ufffdq\ufffd" in text
        assert {c for c in text if c in "\x00\x1b\u202e\u2066"} == set()


def test_long_names_take_two_lines(runs: Runs) -> None:
    result = renamed(runs.two, {"a": "a" * 20, "b": "b" * 20})
    lines = [line.strip() for line in printed(result).splitlines()]
    place = next(i for i, line in enumerate(lines) if line.startswith("a" * 20))
    assert lines[place].split()[:2] == ["a" * 20, "×"]
    assert lines[place + 1] == "b" * 20


def test_names_are_not_markup(runs: Runs) -> None:
    assert "[red]x[/red] × b" in printed(renamed(runs.two, {"a": "[red]x[/red]"}))


def test_conditions_that_differ_most_come_first(runs: Runs) -> None:
    lines = printed(runs.classes).splitlines()
    rows = [line for line in lines if line.startswith("class ")]
    assert sorted(row.split()[1] for row in rows) == ["0", "1", "2"]
    medians = {
        c.name: c.median for c in runs.classes.select(measure="similarity", pairing="same", a="a", b="b")[0].conditions
    }
    assert [" ".join(row.split()[:2]) for row in rows] == sorted(medians, key=lambda name: medians[name])


def test_a_model_in_a_data_set(runs: Runs) -> None:
    text = printed(runs.copying)
    assert text.startswith("gl[pixels@32, >0.9] · memorization[<0.333] · 20 noises")
    assert "a in the 35 training images        0.750" in text
    assert "the 35 training images themselves  1.000" in text
    assert "a in these 15 images" in printed(runs.elsewhere)


def test_a_truth_has_the_median_and_the_middle_of_every_model(runs: Runs) -> None:
    result: Any = runs.two
    sides = [replace(s, label="truth", role="reference") if s.role == "baseline" else s for s in result.sides]
    moved = [replace(m, a=m.b, b="truth") if m.a == "theory-gaussian" else m for m in result.measurements]
    text = printed(replace(result, sides=sides, measurements=moved, problem="inpaint-4 of photo[1].png"))
    assert "inpaint-4 of photo[1].png" in text
    (psnr,) = replace(result, measurements=moved).select(measure="psnr", a="a", b="truth")
    low, middle, high = (psnr.distribution.quantiles[level] for level in ("0.05", "0.5", "0.95"))
    assert f"{middle:.1f} ({low:.1f} – {high:.1f})" in text
