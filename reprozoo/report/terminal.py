"""Results as rich tables: one pair beside what it is seen against; of several, the matrix first.

Tables fit into 100 columns: those of scores that do not fit are left out, from the right, and the report has them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.measure import Measurement as Width
from rich.table import Table
from rich.text import Text

from reprozoo.engine.result import Comparison, ConditionScores, Score
from reprozoo.report import words
from reprozoo.report.findings import NEAREST, NEAREST_OTHER, REPEAT, SAME, SHUFFLED, Column, Findings, Pair, graded
from reprozoo.report.verdict import data_words, verdicts

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
PAIRS_SHOWN = 15
CONDITIONS_SHOWN = 12
LONG_NAME = 30
Get = Callable[[Column], Score | None]


@dataclass(frozen=True)
class Row:
    """A line of a table: a name, and the score of each column."""

    name: str
    score: Get
    style: str = ""


def print_result(comparison: Comparison, console: Console) -> None:
    """Print the scores of a result, what they mean, and its warnings."""
    found = Findings(comparison)
    console.print(Text(" · ".join(_facts(found)), style="dim"))
    if len(found.pairs) > 1:
        _print_pairs(found, console)
    elif found.columns:
        console.print(_table(console, "", found.columns, _rows_of_pair(found)))
    if found.nearest_columns:
        console.print(_table(console, "", found.nearest_columns, _rows_of_search(found)))
    _print_references(found, console)
    for pair in found.pairs if len(found.pairs) == 1 else ():
        _print_conditions(found, SAME, pair, found.columns, console)
    for pair in found.searched if len(found.searched) == 1 else ():
        _print_conditions(found, NEAREST, pair, found.nearest_columns, console)
    _print_sentences(comparison, console)


def _print_sentences(comparison: Comparison, console: Console) -> None:
    console.print()
    for sentence in verdicts(comparison):
        console.print(Text(sentence))
    for warning in comparison.warnings:
        console.print(Text.assemble(("warning: ", "yellow"), warning))
    if notes := words.descriptor_notes(comparison):
        console.print(Text(" ".join(notes), style="dim"))


def _facts(found: Findings) -> list[str]:
    """What the columns are called in full, and how many noises there were."""
    heads = [columns[0].label for columns in (found.columns, found.nearest_columns) if columns]
    shares = [c.label for c in [*found.columns[1:], *found.nearest_columns[1:]] if c.is_share]
    what = "images" if not found.comparison.noise else "noises"
    return [*dict.fromkeys([*heads, *shares]), f"{found.comparison.num_samples:,} {what}"]


# --- one pair --------------------------------------------------------------------------------------------------------


def _rows_of_pair(found: Findings) -> list[Row]:
    """The pair, the same on mismatched noise, noise floors, and baselines with each model."""
    rows = [Row(f"{a} × {b}", _between(found, SAME, a, b), "bold") for a, b in found.pairs]
    rows += [Row("shuffled noise", _between(found, SHUFFLED, a, b)) for a, b in found.pairs]
    rows += [
        Row(f"noise floor of {side.label}", _between(found, REPEAT, side.label, side.label))
        for side in found.comparison.models
    ]
    rows += [Row(f"{a} × {b}", _between(found, SAME, a, b)) for a, b in found.baseline_pairs]
    return [row for row in rows if any(row.score(column) for column in found.columns)]


def _rows_of_search(found: Findings) -> list[Row]:
    """Models in the data set, and the data set in itself."""
    rows = [Row(f"{a} in {data_words(found.comparison)}", _between(found, NEAREST, a, b), "bold")
            for a, b in found.searched]  # fmt: skip
    rows += [
        Row(f"{data_words(found.comparison)} themselves", _between(found, NEAREST_OTHER, label, label))
        for label in dict.fromkeys(data for _, data in found.searched)
    ]
    return [row for row in rows if any(row.score(column) for column in found.nearest_columns)]


def _between(found: Findings, pairing: str, a: str, b: str) -> Get:
    return lambda column: found.score(column, pairing, a, b)


# --- several pairs ---------------------------------------------------------------------------------------------------


def _print_pairs(found: Findings, console: Console) -> None:
    head = found.columns[0]
    console.print(_matrix(found, head), "")
    console.print(_pair_table(found, head, console))
    if (left_out := len(found.pairs) - PAIRS_SHOWN) > 0:
        console.print(Text(f"and {left_out} pairs that are closer: see scores.csv and the report", style="dim"))


def _matrix(found: Findings, column: Column) -> Table:
    labels = [side.label for side in found.comparison.models]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(Text(column.heading), overflow="fold")
    for place in range(1, len(labels) + 1):
        table.add_column(str(place), justify="right")
    for place, label in enumerate(labels, 1):
        scores = [found.score(column, SAME, label, other) if other != label else None for other in labels]
        decimals = 2 if column.is_share else column.measure.decimals
        cells = [Text("·", style="dim") if s is None else Text(f"{s.value:.{decimals}f}", style="bold") for s in scores]
        table.add_row(Text(f"{place} {label}"), *cells)
    return table


def _pair_table(found: Findings, head: Column, console: Console) -> Table:
    """The pairs that differ most first, the headline beside what it is seen against, then the other scores."""
    pairs = ranked_pairs(found, head)[:PAIRS_SHOWN]
    baselines = [side.label for side in found.comparison.baselines]
    beside = graded(found.columns[1:])
    others = [column for column in found.columns[1:] if column not in beside]
    seen_against: list[tuple[str, Callable[[Pair], str]]] = [
        *((_heading(column), _value(found, column)) for column in beside),
        ("shuffled", lambda pair: _one(head, found.score(head, SHUFFLED, *pair))),
        ("noise\nfloor", lambda pair: _several(head, found.floors(head, pair))),
        *((f"against {_narrow(label)}", _against(found, head, label)) for label in baselines),
        *((_heading(column), _value(found, column)) for column in others),
    ]
    filled = [(title, get) for title, get in seen_against if any(get(pair) != "–" for pair in pairs)]

    def build(extra: int) -> Table:
        table = _empty_table("pair", [head.heading, "95 % interval", *(title for title, _ in filled[:extra])])
        for pair in pairs:
            cells = _score(head, found.score(head, SAME, *pair), "bold")
            table.add_row(_pair_name(" × ".join(pair)), *cells, *(get(pair) for _, get in filled[:extra]))
        return table

    return _fitting(console, build, len(filled))


def ranked_pairs(found: Findings, column: Column) -> list[Pair]:
    """Pairs of models, those that differ most first."""
    sign = 1 if column.higher_is_closer else -1
    scored = [(pair, score.value) for pair in found.pairs if (score := found.score(column, SAME, *pair)) is not None]
    return [pair for pair, _ in sorted(scored, key=lambda item: sign * item[1])]


def _against(found: Findings, column: Column, baseline: str) -> Callable[[Pair], str]:
    return lambda pair: _several(column, found.against(column, baseline, pair))


def _value(found: Findings, column: Column) -> Callable[[Pair], str]:
    return lambda pair: _one(column, found.score(column, SAME, *pair))


# --- parts of a problem, conditions ----------------------------------------------------------------------------------


def _print_references(found: Findings, console: Console) -> None:
    """How far each model is from the truth, and from what was observed: the median, and the middle 90 %."""
    pairs = words.reference_pairs(found)
    labels = list(dict.fromkeys(reference for _, reference in pairs))
    columns = [(label, column) for label in labels for column in words.reference_columns(found, label)]
    measures = list({(label, column.measure.id): (label, column) for label, column in columns}.values())
    if not measures:
        return

    def build(count: int) -> Table:
        table = _empty_table("", [f"{_measure_heading(c)}\nto {label}" for label, c in measures[:count]])
        for model in dict.fromkeys(model for model, _ in pairs):
            measured = [(c, found.get(c.measure.id, SAME, model, label)) for label, c in measures[:count]]
            cells = ["–" if m is None else words.spread(m.distribution, c.measure.decimals) for c, m in measured]
            table.add_row(Text(model), *cells)
        return table

    console.print()
    console.print(Text(found.comparison.problem, style="dim"))
    console.print(_fitting(console, build, len(measures)))


def _print_conditions(
    found: Findings, pairing: str, pair: Pair, columns: Sequence[Column], console: Console
) -> None:  # fmt: skip
    by_measure = {m.measure: m.conditions for m in found.measured(pairing, *pair)}
    head = next((column for column in columns if by_measure.get(column.measure.id)), None)
    if head is None:
        return
    conditions = by_measure[head.measure.id]
    lowest = words.lowest_conditions(conditions, head, CONDITIONS_SHOWN)
    names = [scores.name for scores in conditions]

    def row(scores: ConditionScores) -> Row:
        return Row(scores.name, lambda column: _of_condition(by_measure, column, names.index(scores.name)))

    console.print("", _table(console, "condition", columns, [row(scores) for scores in lowest], counted=True))
    if (left_out := len(conditions) - CONDITIONS_SHOWN) > 0:
        console.print(Text(f"and {left_out} conditions that are closer: see the report", style="dim"))


def _of_condition(by_measure: dict[str, list[ConditionScores]], column: Column, place: int) -> Score | None:
    conditions = by_measure.get(column.measure.id) or []
    scores = conditions[place].scores if place < len(conditions) else []
    return next((score for score in scores if score.name == column.name), None)


# --- tables ----------------------------------------------------------------------------------------------------------


def _table(
    console: Console, first: str, columns: Sequence[Column], rows: Sequence[Row], *, counted: bool = False
) -> Table:  # fmt: skip
    """The headline with its interval, then the values of the other scores, as many as fit."""
    head, *others = [column for column in columns if any(row.score(column) for row in rows)]

    def build(extra: int) -> Table:
        titles = [*(["noises"] if counted else []), head.heading, "95 % interval", *map(_heading, others[:extra])]
        table = _empty_table(first, titles)
        for row in rows:
            scores = [row.score(column) for column in (head, *others[:extra])]
            count = [f"{next((s.count for s in scores if s), 0):,}"] if counted else []
            cells = [_one(column, score) for column, score in zip(others, scores[1:], strict=False)]
            table.add_row(_pair_name(row.name, row.style), *count, *_score(head, scores[0], row.style), *cells)
        return table

    return _fitting(console, build, len(others))


def _fitting(console: Console, build: Callable[[int], Table], most: int) -> Table:
    """The table with as many further columns as are not too wide."""
    room = min(console.width, WIDTH)
    unlimited = console.options.update(width=10 * WIDTH)
    sizes = (build(extra) for extra in range(most, -1, -1))
    return next((t for t in sizes if Width.get(console, unlimited, t).maximum <= room), build(0))


def _empty_table(first: str, columns: Iterable[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(Text(first), overflow="fold")
    for column in columns:
        # a score's name holds brackets, which are no markup here
        table.add_column(Text(column), justify="right", overflow="fold")
    return table


def _heading(column: Column) -> str:
    """The title over its unit."""
    return f"{_folded(column.heading)}\n{column.unit}".rstrip()


def _measure_heading(column: Column) -> str:
    return f"{column.measure.title}, {column.measure.unit}" if column.measure.unit else column.measure.title


def _folded(title: str) -> str:
    """A long title in a line for each of its words."""
    return title if len(title) <= 12 else title.replace(" ", "\n")


def _pair_name(name: str, style: str = "") -> Text:
    """In two lines where it is long."""
    return Text(name if len(name) <= LONG_NAME else name.replace(" × ", " ×\n"), style=style)


def _narrow(name: str) -> str:
    """In a line for each of its words."""
    return re.sub("([-+])", r"\1\n", name)


def _score(column: Column, score: Score | None, style: str = "") -> tuple[Text, str]:
    if score is None:
        return Text("–"), ""
    return Text(column.text(score.value), style=style), words.interval(column, score)


def _one(column: Column, score: Score | None) -> str:
    return "–" if score is None else column.text(score.value)


def _several(column: Column, scores: Sequence[tuple[str, Score]]) -> str:
    values = [column.text(score.value) for _, score in scores]
    return " / ".join(dict.fromkeys(values) if len(set(values)) == 1 else values) or "–"
