"""Results as rich tables: the scores of a pair beside their baselines; with several models, the matrix first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from reprozoo.engine.results import Comparison, Generalization, NoiseFloor, PairScores, Proportion, ShuffledScores
from reprozoo.report import words

if TYPE_CHECKING:
    from rich.console import Console

PAIRS_SHOWN = 15
CONDITIONS_SHOWN = 12
LONG_NAME = 30


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the scores of ``comparison``, what they mean, and its warnings."""
    names = [name for name in (comparison.score_names.get("rp"), comparison.score_names.get("mae")) if name]
    console.print(Text(" · ".join([*names, f"{comparison.num_samples:,} noises"]), style="dim"))
    if len(comparison.pairs) == 1:
        console.print(_one_pair(comparison, comparison.pairs[0]))
    else:
        console.print(_matrix(comparison), "")
        console.print(_pair_table(comparison))
        if (left_out := len(comparison.pairs) - PAIRS_SHOWN) > 0:
            console.print(Text(f"and {left_out} pairs with higher scores: see pairs.csv and the report", style="dim"))
    if words.reconstructions(comparison):
        console.print("", _reconstructions(comparison))
    for pair in comparison.pairs if len(comparison.pairs) == 1 else ():
        _print_conditions(pair, console)
    console.print()
    for sentence in [*words.verdicts(comparison), words.descriptor_note(comparison)]:
        if sentence:
            console.print(Text(sentence))
    _print_warnings(comparison.warnings, console)


def print_generalization(result: Generalization, console: Console) -> None:
    """Print the GL score and the memorization of ``result``, what they mean, and its warnings."""
    table = _table("", "score", "95 % interval")
    table.add_row(Text(result.score_names.get("gl", "GL score")), *_score(result.gl, "bold"))
    if result.train_gl is not None:
        table.add_row("gl of training images", *_score(result.train_gl))
    if result.memorization is not None:
        table.add_row("memorization, l2 ratio < 1/3", *_score(result.memorization, "bold"))
    console.print(table)
    console.print()
    console.print(Text(f"{words.gl_verdict(result)} {words.descriptor_note(result)}".strip()))
    _print_warnings(result.warnings, console)


def _one_pair(comparison: Comparison, pair: PairScores) -> Table:
    """The scores of one pair, and its baselines below."""
    table = _table("", "RP", "95 % interval", "MAE", "95 % interval", "median")

    def add(name: str, scores: PairScores | ShuffledScores | NoiseFloor, style: str = "") -> None:
        median = f"{scores.similarity.quantiles['0.5']:.3f}"
        table.add_row(_pair_name(name, style), *_score(scores.rp, style), *_score(scores.mae, style), median)

    add(f"{pair.model_a} × {pair.model_b}", pair, "bold")
    if pair.shuffled is not None:
        add("shuffled noise", pair.shuffled)
    for label in dict.fromkeys((pair.model_a, pair.model_b)):
        if (floor := comparison.model(label).noise_floor) is not None:
            add(f"noise floor of {label}", floor)
    for baseline in comparison.baselines:
        for other in baseline.pairs:
            add(f"{other.model_a} × {other.model_b}", other)
    return table


def _print_conditions(pair: PairScores, console: Console) -> None:
    if not pair.by_condition:
        return
    table = _table("condition", "noises", "RP", "95 % interval", "MAE", "median")
    for scores in words.lowest_conditions(pair, CONDITIONS_SHOWN):
        median = f"{scores.median_similarity:.3f}"
        table.add_row(
            Text(scores.name), f"{scores.rp.count:,}", *_score(scores.rp, "bold"), f"{scores.mae.value:.3f}", median
        )
    console.print("", table)
    if (left_out := len(pair.by_condition) - CONDITIONS_SHOWN) > 0:
        console.print(Text(f"and {left_out} conditions with higher scores: see the report", style="dim"))


def _pair_name(name: str, style: str = "") -> Text:
    """In two lines where it is long."""
    return Text(name if len(name) <= LONG_NAME else name.replace(" × ", " ×\n"), style=style)


def _narrow(name: str) -> str:
    """In a line for each of its words."""
    return re.sub("([-+])", r"\1\n", name)


def _reconstructions(comparison: Comparison) -> Table:
    """How well each model found the observed images again."""
    table = _table(words.problem(comparison), "PSNR, dB", "misfit, of 255")
    for label, found in words.reconstructions(comparison):
        table.add_row(Text(label), words.spread(found.psnr), words.spread(found.misfit))
    return table


def _matrix(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("RP", overflow="fold")
    for number in range(1, len(comparison.models) + 1):
        table.add_column(str(number), justify="right")
    for number, (run, row) in enumerate(zip(comparison.models, comparison.matrix("rp"), strict=True), 1):
        cells = [Text(f"{value:.2f}", style="dim" if i == number - 1 else "bold") for i, value in enumerate(row)]
        table.add_row(Text(f"{number} {run.label}"), *cells)
    return table


def _pair_table(comparison: Comparison) -> Table:
    """The lowest scores first, so that what differs is seen."""
    pairs = sorted(comparison.pairs, key=lambda pair: pair.rp.value)[:PAIRS_SHOWN]
    floors = any(words.noise_floors(comparison, pair) for pair in pairs)
    against = [f"against {_narrow(baseline.run.label)}" for baseline in comparison.baselines]
    table = _table("pair", "RP", "95 % interval", "shuffled", *(["noise floor"] if floors else []), *against, "MAE")
    for pair in pairs:
        cells: list[Text | str] = [
            _pair_name(f"{pair.model_a} × {pair.model_b}"),
            *_score(pair.rp, "bold"),
            _shuffled(pair),
        ]
        cells += [_several(words.noise_floors(comparison, pair))] if floors else []
        cells += [_several(words.baseline_scores(baseline, pair)) for baseline in comparison.baselines]
        table.add_row(*cells, f"{pair.mae.value:.3f}")
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(Text(first), overflow="fold")
    for column in columns:
        # a score's name holds brackets, which are no markup here
        table.add_column(Text(column), justify="right", overflow="fold")
    return table


def _score(score: Proportion, style: str = "") -> tuple[Text, str]:
    return Text(f"{score.value:.3f}", style=style), f"{score.low:.3f} – {score.high:.3f}"


def _shuffled(pair: PairScores) -> str:
    return "–" if pair.shuffled is None else f"{pair.shuffled.rp.value:.3f}"


def _several(scores: Iterable[tuple[str, Proportion]]) -> str:
    values = [f"{score.value:.3f}" for _, score in scores]
    return " / ".join(dict.fromkeys(values) if len(set(values)) == 1 else values) or "–"


def _print_warnings(warnings: Iterable[str], console: Console) -> None:
    for warning in warnings:
        console.print(Text.assemble(("warning: ", "yellow"), warning))
