"""Results as rich tables: one pair beside what it is seen against; of several, the matrix first.

Tables fit the terminal: the headline of every descriptor comes first, then the measures that were asked for by name.
Scores that have no column are named with their values in a line below. What comes from outside is cleaned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.measure import Measurement as Width
from rich.table import Table
from rich.text import Text

from reprozoo.base.terminal import clean
from reprozoo.engine.result import Comparison, ConditionScores, Score
from reprozoo.report import words
from reprozoo.report.findings import NEAREST, NEAREST_OTHER, REPEAT, SAME, SHUFFLED, Column, Findings, Pair, graded
from reprozoo.report.grids import not_at_hand
from reprozoo.report.verdict import data_words, verdicts

if TYPE_CHECKING:
    from rich.console import Console

UNLIMITED = 1000
MOST_VALUES = 3
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
    console.print(_line(" · ".join(_facts(found)), "dim"))
    if len(found.pairs) > 1:
        _print_pairs(found, console)
    elif found.columns:
        pairs = found.pairs or found.baseline_pairs
        _print_table(found, found.columns, _rows_of_pair(found), SAME, pairs, console)
    if found.nearest_columns:
        _print_table(found, found.nearest_columns, _rows_of_search(found), NEAREST, found.searched, console)
    _print_references(found, console)
    for pair in found.pairs if len(found.pairs) == 1 else ():
        _print_conditions(found, SAME, pair, found.columns, console)
    for pair in found.searched if len(found.searched) == 1 else ():
        _print_conditions(found, NEAREST, pair, found.nearest_columns, console)
    _print_sentences(comparison, console)


def _print_sentences(comparison: Comparison, console: Console) -> None:
    console.print()
    for sentence in verdicts(comparison):
        console.print(_line(sentence))
    for warning in comparison.warnings:
        console.print(Text.assemble(("warning: ", "yellow"), clean(warning)))
    if gone := not_at_hand(comparison):
        console.print(_line(gone, "dim"))
    if notes := words.descriptor_notes(comparison):
        console.print(_line(" ".join(notes), "dim"))


def _line(text: str, style: str = "") -> Text:
    return Text(clean(text), style=style)


def _facts(found: Findings) -> list[str]:
    """What the columns are called in full, and how many noises there were."""
    heads = [columns[0].label for columns in (found.columns, found.nearest_columns) if columns]
    shares = [c.label for c in [*found.columns[1:], *found.nearest_columns[1:]] if c.is_share]
    count = words.counted(found.comparison.num_samples, "noise" if found.comparison.noise else "image")
    return [*dict.fromkeys([*heads, *shares]), count]


def ordered(found: Findings, columns: Sequence[Column]) -> list[Column]:
    """Columns as far as they matter: the headline of each descriptor, what was asked for by name, graded scores."""
    beside = graded(columns)

    def place(column: Column) -> int:
        if column is columns[0] or _is_head(column, columns):
            return 0 if column is columns[0] else 1
        return 2 if column.measure.name in _asked(found.comparison) else 3 if column in beside else 4

    return sorted(columns, key=place)


def _is_head(column: Column, columns: Sequence[Column]) -> bool:
    """Whether it is the first share of its descriptor."""
    shares = [c for c in columns if c.measure.id == column.measure.id and c.is_share]
    return column.measure.descriptor is not None and shares[:1] == [column]


def _asked(comparison: Comparison) -> set[str]:
    """The measures that a user named."""
    questions = [comparison.question, *comparison.question.get("merged", ())]
    return {str(name).partition("+")[0] for question in questions for name in question.get("measures") or ()}


def _print_table(
    found: Findings, columns: Sequence[Column], rows: Sequence[Row], pairing: str, pairs: Sequence[Pair],
    console: Console,
) -> None:  # fmt: skip
    """A table, and below it the scores of the pairs for which it has no room."""
    columns = [column for column in ordered(found, columns) if any(row.score(column) for row in rows)]
    table, shown = _table(console, "", columns, rows)
    console.print(table)
    _print_also(found, columns[1 + shown :], pairing, pairs, console)


def _print_also(
    found: Findings, columns: Iterable[Column], pairing: str, pairs: Sequence[Pair], console: Console,
    others: Iterable[str] = (),
) -> None:  # fmt: skip
    """The scores that have no column, in one line.

    Args:
        others: what else has no column.
    """
    said = []
    for column in columns:
        scores = [score for pair in pairs if (score := found.score(column, pairing, *pair)) is not None]
        if scores:
            values = _all_or_range([column.text(score.value) for score in sorted(scores, key=lambda s: s.value)])
            said.append(f"{column.heading} {values} {column.unit}".rstrip())
    said += [f"{other} (in the report)" for other in others]
    if said:
        console.print(_line(f"also: {', '.join(said)}", "dim"))


def _all_or_range(values: Sequence[str]) -> str:
    """Each of a few values, and the ends of many."""
    different = list(dict.fromkeys(values))
    return " / ".join(different) if len(different) <= MOST_VALUES else f"{different[0]} – {different[-1]}"


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
    _print_pair_table(found, head, console)
    if (left_out := len(found.pairs) - PAIRS_SHOWN) > 0:
        console.print(Text(f"and {left_out} pairs that are closer: see scores.csv and the report", style="dim"))


def _matrix(found: Findings, column: Column) -> Table:
    labels = [side.label for side in found.comparison.models]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(_line(column.heading), overflow="fold")
    for place in range(1, len(labels) + 1):
        table.add_column(str(place), justify="right")
    for place, label in enumerate(labels, 1):
        scores = [found.score(column, SAME, label, other) if other != label else None for other in labels]
        decimals = 2 if column.is_share else column.measure.decimals
        cells = [Text("·", style="dim") if s is None else Text(f"{s.value:.{decimals}f}", style="bold") for s in scores]
        table.add_row(_line(f"{place} {label}"), *cells)
    return table


def _print_pair_table(found: Findings, head: Column, console: Console) -> None:
    """The pairs that differ most first, the headline beside what it is seen against, then the other scores."""
    pairs = ranked_pairs(found, head)[:PAIRS_SHOWN]
    baselines = [side.label for side in found.comparison.baselines]
    _, *columns = ordered(found, found.columns)
    last = [column for column in columns if column not in graded(columns) and not _matters(found, column)]
    beside = [column for column in columns if column not in last]
    seen_against: list[Beside] = [
        *(Beside(_heading(column), _value(found, column), column) for column in beside),
        Beside("shuffled", lambda pair: _one(head, found.score(head, SHUFFLED, *pair))),
        Beside("noise\nfloor", lambda pair: _several(head, found.floors(head, pair))),
        *(Beside(f"against {_narrow(label)}", _against(found, head, label)) for label in baselines),
        *(Beside(_heading(column), _value(found, column), column) for column in last),
    ]
    filled = [one for one in seen_against if any(one.get(pair) != "–" for pair in pairs)]

    def build(extra: int) -> Table:
        titles = [_folded(clean(head.heading)), "95 % interval", *(one.title for one in filled[:extra])]
        table = _empty_table("pair", titles)
        for pair in pairs:
            cells = _score(head, found.score(head, SAME, *pair), "bold")
            table.add_row(_pair_name(" × ".join(pair)), *cells, *(one.get(pair) for one in filled[:extra]))
        return table

    table, shown = _fitting(console, build, len(filled))
    console.print(table)
    left_out = filled[shown:]
    others = [" ".join(re.sub(r"([-+])\n", r"\1", one.title).split()) for one in left_out if one.column is None]
    _print_also(found, [one.column for one in left_out if one.column], SAME, found.pairs, console, others)


@dataclass(frozen=True)
class Beside:
    """A column of the table of pairs: of a score, or of what the headline is seen against."""

    title: str
    get: Callable[[Pair], str]
    column: Column | None = None


def _matters(found: Findings, column: Column) -> bool:
    """Whether a score was asked for by name, or is the headline of a descriptor."""
    return _is_head(column, found.columns) or column.measure.name in _asked(found.comparison)


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
        table = _empty_table("", [f"{_measure_heading(c)}\nto {clean(label)}" for label, c in measures[:count]])
        for model in dict.fromkeys(model for model, _ in pairs):
            measured = [(c, found.get(c.measure.id, SAME, model, label)) for label, c in measures[:count]]
            cells = ["–" if m is None else words.spread(m.distribution, c.measure.decimals) for c, m in measured]
            table.add_row(_line(model), *cells)
        return table

    console.print()
    console.print(_line(found.comparison.problem, "dim"))
    table, shown = _fitting(console, build, len(measures))
    console.print(table)
    _print_also(found, (), SAME, (), console, [f"{_measure_heading(c)} to {label}" for label, c in measures[shown:]])


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

    table, _ = _table(console, "condition", ordered(found, columns), [row(scores) for scores in lowest], counted=True)
    console.print("", table)
    if (left_out := len(conditions) - CONDITIONS_SHOWN) > 0:
        console.print(Text(f"and {left_out} conditions that are closer: see the report", style="dim"))


def _of_condition(by_measure: dict[str, list[ConditionScores]], column: Column, place: int) -> Score | None:
    conditions = by_measure.get(column.measure.id) or []
    scores = conditions[place].scores if place < len(conditions) else []
    return next((score for score in scores if score.name == column.name), None)


# --- tables ----------------------------------------------------------------------------------------------------------


def _table(
    console: Console, first: str, columns: Sequence[Column], rows: Sequence[Row], *, counted: bool = False
) -> tuple[Table, int]:  # fmt: skip
    """The headline with its interval, then the values of the other scores, as many as fit, and how many do."""
    head, *others = [column for column in columns if any(row.score(column) for row in rows)]

    def build(extra: int) -> Table:
        titles = [
            *(["noises"] if counted else []),
            _folded(clean(head.heading)),
            "95 % interval",
            *map(_heading, others[:extra]),
        ]
        table = _empty_table(first, titles)
        for row in rows:
            scores = [row.score(column) for column in (head, *others[:extra])]
            count = [f"{next((s.count for s in scores if s), 0):,}"] if counted else []
            cells = [_one(column, score) for column, score in zip(others, scores[1:], strict=False)]
            table.add_row(_pair_name(row.name, row.style), *count, *_score(head, scores[0], row.style), *cells)
        return table

    return _fitting(console, build, len(others))


def _fitting(console: Console, build: Callable[[int], Table], most: int) -> tuple[Table, int]:
    """The table with as many further columns as are not too wide, and their number."""
    unlimited = console.options.update(width=UNLIMITED)
    for extra in range(most, 0, -1):
        table = build(extra)
        if Width.get(console, unlimited, table).maximum <= console.width:
            return table, extra
    return build(0), 0


def _empty_table(first: str, columns: Iterable[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(Text(first), overflow="fold")
    for column in columns:
        # a score's name holds brackets, which are no markup here
        table.add_column(Text(column), justify="right", overflow="fold")
    return table


def _heading(column: Column) -> str:
    """The title over its unit."""
    return f"{_folded(clean(column.heading))}\n{column.unit}".rstrip()


def _measure_heading(column: Column) -> str:
    return clean(f"{column.measure.title}, {column.measure.unit}" if column.measure.unit else column.measure.title)


def _folded(title: str) -> str:
    """A long title in a line for each of its words."""
    return title if len(title) <= 12 else title.replace(" ", "\n")


def _pair_name(name: str, style: str = "") -> Text:
    """In two lines where it is long."""
    name = clean(name)
    return Text(name if len(name) <= LONG_NAME else name.replace(" × ", " ×\n"), style=style)


def _narrow(name: str) -> str:
    """In a line for each of its words."""
    return re.sub("([-+])", r"\1\n", clean(name))


def _score(column: Column, score: Score | None, style: str = "") -> tuple[Text, str]:
    if score is None:
        return Text("–"), ""
    return Text(column.text(score.value), style=style), words.interval(column, score)


def _one(column: Column, score: Score | None) -> str:
    return "–" if score is None else column.text(score.value)


def _several(column: Column, scores: Sequence[tuple[str, Score]]) -> str:
    values = [column.text(score.value) for _, score in scores]
    return " / ".join(dict.fromkeys(values) if len(set(values)) == 1 else values) or "–"
