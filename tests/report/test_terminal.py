"""Tables on the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from reprozoo.engine.results import Comparison
from reprozoo.report import terminal
from tests.report import made_results as made


def printed(result: Comparison, width: int = 100) -> str:
    buffer = io.StringIO()
    terminal.print_comparison(result, Console(file=buffer, width=width))
    return buffer.getvalue()


def models(count: int) -> dict[str, made.Pixels]:
    images = made.pictures(30, size=8)
    return {f"model-{k}": made.blended(images, made.pictures(30, seed=k, size=8), seed=k) for k in range(count)}


def test_one_pair_above_its_baselines() -> None:
    result = made.comparison(models(2), baseline=made.pictures(30, size=8), warnings=["read [this]"])
    lines = printed(result).splitlines()
    assert lines[0] == "rp[pixels, >0.6] · mae[<15/255] · 30 noises"
    names = [line.split("  ")[0] for line in lines[2:8]]
    assert names == [
        "model-0 × model-1", "shuffled noise", "noise floor of model-0", "noise floor of model-1",
        "theory-gaussian × model-0", "theory-gaussian × model-1",
    ]  # fmt: skip
    assert f"{result.pairs[0].rp.value:.3f}" in lines[2]
    assert lines[-1] == "warning: read [this]"


def test_several_models_have_a_matrix_and_the_lowest_pairs_first() -> None:
    result = made.comparison(models(7))
    text = printed(result)
    assert text.splitlines()[1].split() == ["RP", "1", "2", "3", "4", "5", "6", "7"]
    scores = [float(line.split()[3]) for line in text.splitlines() if " × " in line]
    assert scores == sorted(scores)
    assert len(scores) == terminal.PAIRS_SHOWN
    assert "and 6 pairs with higher scores" in text


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("baseline", [None, made.pictures(30, seed=9, size=8)], ids=["alone", "baseline"])
def test_fits_a_terminal_of_80_columns(count: int, baseline: made.Pixels | None) -> None:
    text = printed(made.comparison(models(count), baseline=baseline), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_long_names_take_two_lines() -> None:
    images = made.pictures(4, size=8)
    lines = [line.strip() for line in printed(made.comparison({"a" * 20: images, "b" * 20: images})).splitlines()]
    place = next(i for i, line in enumerate(lines) if line.startswith("a" * 20))
    assert lines[place].split()[:2] == ["a" * 20, "×"]
    assert lines[place + 1] == "b" * 20


def test_names_are_not_markup() -> None:
    images = made.pictures(4, size=8)
    assert "[red]x[/red] × b" in printed(made.comparison({"[red]x[/red]": images, "b": images}))


def test_generalization() -> None:
    buffer = io.StringIO()
    train = made.pictures(20, size=8)
    terminal.print_generalization(made.generalization(train[:5], train), Console(file=buffer, width=100))
    assert "gl[pixels, >0.6]" in buffer.getvalue()
    assert "gl of training images" in buffer.getvalue()
    assert "0.000" in buffer.getvalue()
