"""The tables of the page: scores beside what they are seen against, pairs, conditions, parts of a problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reprozoo.engine.result import Score
from reprozoo.report import charts, words
from reprozoo.report.findings import (
    NEAREST,
    NEAREST_OTHER,
    REPEAT,
    SAME,
    SHUFFLED,
    Column,
    Findings,
    Pair,
    graded,
    measures_of,
)
from reprozoo.report.verdict import data_words


@dataclass(frozen=True)
class Value:
    """A score in a table: its text, the ends of its interval, and whose it is where several share a cell."""

    text: str
    ends: str = ""
    name: str = ""


@dataclass(frozen=True)
class ScoreRow:
    """One score of one pair beside what it is seen against; ``head`` is the headline, set in large figures."""

    name: str
    unit: str
    meaning: str
    value: Value
    strip: Markup | None
    against: list[list[Value]]
    head: bool = False


@dataclass(frozen=True)
class ScoreTable:
    """The scores of one pair, a row each.

    Attributes:
        first: what its values are of: "Same noise".
        heads: what the columns after the strip are seen against.
    """

    first: str
    heads: list[str]
    rows: list[ScoreRow]


@dataclass(frozen=True)
class PairRow:
    """One pair in the table of pairs: the headline beside graded scores, what it is seen against, the others."""

    a: str
    b: str
    value: Value
    beside: list[str]
    strip: Markup | None
    against: list[list[Value]]
    others: list[str]


@dataclass(frozen=True)
class ConditionTable:
    """The scores of each condition, those that differ most first."""

    heads: list[str]
    rows: list[tuple[str, int, list[Value]]]


@dataclass(frozen=True)
class ReferenceTable:
    """How far each model is from the parts of a problem."""

    title: str
    heads: list[str]
    rows: list[tuple[str, list[str]]]


def score_tables(found: Findings) -> list[tuple[str, ScoreTable]]:
    """(caption, scores) of the only pair, and of every search."""
    pairs = found.pairs if len(found.pairs) == 1 else [] if found.pairs else found.baseline_pairs
    tables = [("" if found.pairs else " × ".join(pair), score_table(found, pair)) for pair in pairs]
    several = len(found.searched) > 1
    return tables + [(model if several else "", _search_table(found, model, data)) for model, data in found.searched]


def score_table(found: Findings, pair: Pair) -> ScoreTable:
    """Every score of a pair, with mismatched noise, noise floors and baselines."""
    rows = [
        ScoreRow(
            name=column.heading,
            unit=column.unit,
            meaning=column.spec.meaning,
            value=_value(column, score),
            strip=_strip(found, column, pair, score),
            against=_context(found, column, pair),
            head=column is found.columns[0],
        )
        for column in found.columns
        if (score := found.score(column, SAME, *pair)) is not None
    ]
    return ScoreTable("Same noise" if found.comparison.noise else "Same index", context_heads(found), rows)


def _search_table(found: Findings, model: str, data: str) -> ScoreTable:
    rows = []
    for column in found.nearest_columns:
        score, among = found.score(column, NEAREST, model, data), found.score(column, NEAREST_OTHER, data, data)
        if score is None:
            continue
        marks = [("baseline", among.value)] if among is not None and column.is_share else []
        strip = charts.strip(score, marks, label=column.heading) if column.is_share else None
        rows.append(
            ScoreRow(
                column.heading,
                column.unit,
                column.spec.meaning,
                _value(column, score),
                strip,
                [[_value(column, among)] if among is not None else []],
                head=column is found.nearest_columns[0],
            )
        )
    return ScoreTable(f"Against {data_words(found.comparison)}", ["Among themselves"], rows)


def pair_row(found: Findings, pair: Pair) -> PairRow:
    head = found.columns[0]
    score = found.score(head, SAME, *pair)
    return PairRow(
        *pair,
        value=Value("–") if score is None else _value(head, score),
        beside=_texts(found, beside(found), pair),
        strip=None if score is None else _strip(found, head, pair, score),
        against=_context(found, head, pair),
        others=_texts(found, others(found), pair),
    )


def beside(found: Findings) -> list[Column]:
    """The graded scores, which stand beside the headline everywhere."""
    return graded(found.columns[1:])


def others(found: Findings) -> list[Column]:
    return [column for column in found.columns[1:] if column not in beside(found)]


def _texts(found: Findings, columns: Sequence[Column], pair: Pair) -> list[str]:
    scores = [(column, found.score(column, SAME, *pair)) for column in columns]
    return ["–" if score is None else column.text(score.value) for column, score in scores]


def context_heads(found: Findings) -> list[str]:
    pairings = {m.pairing for m in found.comparison.measurements}
    return [
        *(["Shuffled"] if SHUFFLED in pairings else []),
        *(["Noise floor"] if REPEAT in pairings else []),
        *(f"Against {side.label}" for side in (found.comparison.baselines if found.pairs else ())),
    ]


def _context(found: Findings, column: Column, pair: Pair) -> list[list[Value]]:
    """What a score is seen against, in the order of ``context_heads``."""
    shuffled = found.score(column, SHUFFLED, *pair)
    every = {
        "Shuffled": [_value(column, shuffled)] if shuffled is not None else [],
        "Noise floor": [Value(column.text(s.value), name=label) for label, s in found.floors(column, pair)],
    } | {
        f"Against {side.label}": [
            Value(column.text(s.value), name=label) for label, s in found.against(column, side.label, pair)
        ]
        for side in found.comparison.baselines
    }
    return [every[head] for head in context_heads(found)]


def _strip(found: Findings, column: Column, pair: Pair, score: Score) -> Markup | None:
    if not column.is_share:
        return None
    shuffled = found.score(column, SHUFFLED, *pair)
    marks = [("shuffled", shuffled.value)] if shuffled is not None else []
    marks += [("noise-floor", other.value) for _, other in found.floors(column, pair)]
    for side in found.comparison.baselines if found.pairs else ():
        marks += [("baseline", other.value) for _, other in found.against(column, side.label, pair)]
    return charts.strip(score, marks, label=f"{column.heading} of {pair[0]} and {pair[1]}")


def legend_of(found: Findings) -> list[tuple[str, str]]:
    """(CSS class, words) of the marks of the strips."""
    heads = context_heads(found) if found.columns else []
    baselines = [side.label for side in found.comparison.baselines] if found.pairs else []
    legend = [("same round", "the score and its 95 % interval")]
    legend += [("shuffled", "shuffled")] if "Shuffled" in heads else []
    legend += [("noise-floor", "noise floor, of either model")] if "Noise floor" in heads else []
    legend += [("baseline", f"either model against {' or '.join(baselines)}")] if baselines else []
    among = any(m.pairing == NEAREST_OTHER for m in found.comparison.measurements)
    return legend + ([("baseline", "the images of the data set among themselves")] if among else [])


def reference_table(found: Findings) -> ReferenceTable | None:
    pairs = words.reference_pairs(found)
    labels = list(dict.fromkeys(reference for _, reference in pairs))
    measures = [(label, f) for label in labels for f in measures_of(words.reference_columns(found, label))]
    if not measures:
        return None
    rows = []
    for model in dict.fromkeys(model for model, _ in pairs):
        measured = [(f, found.get(f.id, SAME, model, label)) for label, f in measures]
        rows.append((model, ["–" if m is None else words.spread(m.distribution, f.decimals) for f, m in measured]))
    heads = [f"{f.title}{f', {f.unit}' if f.unit else ''}, to {label}" for label, f in measures]
    return ReferenceTable(found.comparison.problem, heads, rows)


def condition_table(
    found: Findings, pairing: str, pair: Pair, columns: Sequence[Column], room: int
) -> ConditionTable | None:  # fmt: skip
    by_measure = {m.measure: m.conditions for m in found.measured(pairing, *pair)}
    shown = [column for column in columns if by_measure.get(column.measure.id)]
    if not shown:
        return None
    every = by_measure[shown[0].measure.id]
    places = {scores.name: place for place, scores in enumerate(every)}
    rows = []
    for scores in words.lowest_conditions(every, shown[0], room):
        values = []
        for column in shown:
            own = by_measure[column.measure.id][places[scores.name]].scores
            score = next((s for s in own if s.name == column.name), None)
            values.append(Value("–") if score is None else _value(column, score))
        rows.append((scores.name, scores.count, values))
    return ConditionTable([_with_unit(column) for column in shown], rows)


def _value(column: Column, score: Score) -> Value:
    return Value(column.text(score.value), words.interval(column, score))


def _with_unit(column: Column) -> str:
    return f"{column.heading}, {column.unit}" if column.unit else column.heading
