"""What the HTML page shows, as plain data: a result in, rows and figures out. The templates only lay it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from reprozoo import __version__
from reprozoo.engine.result import Comparison, Measurement, Score
from reprozoo.report import charts, provenance, words
from reprozoo.report.findings import (
    NEAREST,
    NEAREST_OTHER,
    REPEAT,
    SAME,
    SHUFFLED,
    SIGNS,
    Column,
    Findings,
    Pair,
    graded,
    measures_of,
)
from reprozoo.report.gallery import Gallery, galleries
from reprozoo.report.matrices import Matrix, matrices
from reprozoo.report.plain import Rows
from reprozoo.report.terminal import ranked_pairs
from reprozoo.report.verdict import data_words, verdicts

PAIRS_OPEN = 6  # pairs whose figures are shown at once; the others are folded away
MOST_FIGURES = 30  # pairs with figures: those that differ most
MOST_CONDITIONS = 3000  # rows of all tables of conditions


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
class Figures:
    """One pair noise by noise.

    Attributes:
        figures: (measure id, its figures).
        table: every score of the pair; None where it stands above already.
    """

    title: Sequence[str]
    figures: list[tuple[str, list[Markup]]]
    table: ScoreTable | None
    conditions: ConditionTable | None


@dataclass(frozen=True)
class Distributions:
    """How values are spread, pair by pair, under one pairing."""

    title: str
    note: str
    legend: tuple[str, str]
    measures: list[tuple[str, str]]
    pairs: list[Figures]
    left_out: int = 0
    pairs_open: int = PAIRS_OPEN


@dataclass(frozen=True)
class ReferenceTable:
    """How far each model is from the parts of a problem."""

    title: str
    heads: list[str]
    rows: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Page:
    """The page of a result."""

    title: str
    facts: list[str]
    verdicts: list[str]
    warnings: list[str]
    score_note: str
    tables: list[tuple[str, ScoreTable]]
    pair_heads: list[str]
    beside_heads: list[tuple[str, str]]
    other_heads: list[tuple[str, str]]
    headline: str
    pairs: list[PairRow]
    legend: list[tuple[str, str]]
    references: ReferenceTable | None
    models: list[str]
    matrices: list[Matrix]
    distributions: list[Distributions]
    galleries: list[Gallery]
    glossary: dict[str, str]
    command: str
    made_from_objects: bool
    details: list[tuple[str, Rows]]
    version: str = field(default=__version__)


def page_of(comparison: Comparison) -> Page:
    """Everything the page of a result shows; images are read from the store here."""
    found = Findings(comparison)
    several = len(found.pairs) > 1
    head = found.columns[0] if found.columns else None
    command, objects = provenance.command_of(comparison)
    return Page(
        title=_title(found),
        facts=_facts(found),
        verdicts=verdicts(comparison),
        warnings=comparison.warnings,
        score_note=_score_note(found),
        tables=_tables(found),
        pair_heads=_context_heads(found) if several else [],
        beside_heads=[(column.heading, column.unit) for column in _beside(found)],
        other_heads=[(column.heading, column.unit) for column in _others(found)],
        headline=head.heading if head else "",
        pairs=[_pair_row(found, pair) for pair in found.pairs] if several else [],
        legend=_legend(found),
        references=_references(found),
        models=[side.label for side in comparison.models],
        matrices=matrices(found),
        distributions=_distributions(found),
        galleries=galleries(found),
        glossary=words.glossary(found),
        command=command,
        made_from_objects=objects,
        details=provenance.sections(comparison),
    )


# --- head ------------------------------------------------------------------------------------------------------------


def _title(found: Findings) -> str:
    labels = [side.label for side in found.comparison.models]
    if found.searched and not found.pairs:
        return f"{' and '.join(dict.fromkeys(a for a, _ in found.searched))} against {_whose(found)}"
    if len(labels) <= 2:
        return " × ".join(labels)
    return f"{len(labels)} models on the same noise" if found.comparison.noise else f"{len(labels)} sets of images"


def _whose(found: Findings) -> str:
    """The data set by what it is to the model."""
    words = data_words(found.comparison)
    return "its training images" if words.startswith("the ") else words.removeprefix("these ")


def _facts(found: Findings) -> list[str]:
    comparison = found.comparison
    data = " ".join(str(comparison.data[key]) for key in ("id", "split") if comparison.data.get(key))
    count = f"{comparison.num_samples:,} {'noises' if comparison.noise else 'images each'}"
    seed = comparison.noise.get("seed")
    made = comparison.created.replace("T", " ").split(".")[0].removesuffix("+00:00").removesuffix("Z")
    return [
        fact
        for fact in (
            comparison.problem,
            data,
            count,
            "" if seed is None else f"seed {seed}",
            *(str(descriptor.get("id", "")) for descriptor in comparison.descriptors),
            f"{made} UTC",
        )
        if fact
    ]


def _score_note(found: Findings) -> str:
    labels = [c.label for c in [*found.columns, *found.nearest_columns] if c.is_share]
    text = f"{' and '.join(dict.fromkeys(labels))}." if labels else ""
    return " ".join(filter(None, [text, *words.descriptor_notes(found.comparison)]))


# --- scores ----------------------------------------------------------------------------------------------------------


def _tables(found: Findings) -> list[tuple[str, ScoreTable]]:
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
            meaning=str(column.spec["meaning"]),
            value=_value(column, score),
            strip=_strip(found, column, pair, score),
            against=_context(found, column, pair),
            head=column is found.columns[0],
        )
        for column in found.columns
        if (score := found.score(column, SAME, *pair)) is not None
    ]
    return ScoreTable("Same noise" if found.comparison.noise else "Same index", _context_heads(found), rows)


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
                str(column.spec["meaning"]),
                _value(column, score),
                strip,
                [[_value(column, among)] if among is not None else []],
                head=column is found.nearest_columns[0],
            )
        )
    return ScoreTable(f"Against {data_words(found.comparison)}", ["Among themselves"], rows)


def _pair_row(found: Findings, pair: Pair) -> PairRow:
    head = found.columns[0]
    score = found.score(head, SAME, *pair)
    return PairRow(
        *pair,
        value=Value("–") if score is None else _value(head, score),
        beside=_texts(found, _beside(found), pair),
        strip=None if score is None else _strip(found, head, pair, score),
        against=_context(found, head, pair),
        others=_texts(found, _others(found), pair),
    )


def _beside(found: Findings) -> list[Column]:
    """The graded scores, which stand beside the headline everywhere."""
    return graded(found.columns[1:])


def _others(found: Findings) -> list[Column]:
    return [column for column in found.columns[1:] if column not in _beside(found)]


def _texts(found: Findings, columns: Sequence[Column], pair: Pair) -> list[str]:
    scores = [(column, found.score(column, SAME, *pair)) for column in columns]
    return ["–" if score is None else column.text(score.value) for column, score in scores]


def _context_heads(found: Findings) -> list[str]:
    pairings = {m.pairing for m in found.comparison.measurements}
    return [
        *(["Shuffled"] if SHUFFLED in pairings else []),
        *(["Noise floor"] if REPEAT in pairings else []),
        *(f"Against {side.label}" for side in (found.comparison.baselines if found.pairs else ())),
    ]


def _context(found: Findings, column: Column, pair: Pair) -> list[list[Value]]:
    """What a score is seen against, in the order of ``_context_heads``."""
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
    return [every[head] for head in _context_heads(found)]


def _strip(found: Findings, column: Column, pair: Pair, score: Score) -> Markup | None:
    if not column.is_share:
        return None
    shuffled = found.score(column, SHUFFLED, *pair)
    marks = [("shuffled", shuffled.value)] if shuffled is not None else []
    marks += [("noise-floor", other.value) for _, other in found.floors(column, pair)]
    for side in found.comparison.baselines if found.pairs else ():
        marks += [("baseline", other.value) for _, other in found.against(column, side.label, pair)]
    return charts.strip(score, marks, label=f"{column.heading} of {pair[0]} and {pair[1]}")


def _legend(found: Findings) -> list[tuple[str, str]]:
    """(CSS class, words) of the marks of the strips."""
    heads = _context_heads(found) if found.columns else []
    baselines = [side.label for side in found.comparison.baselines] if found.pairs else []
    legend = [("same round", "the score and its 95 % interval")]
    legend += [("shuffled", "shuffled")] if "Shuffled" in heads else []
    legend += [("noise-floor", "noise floor, of either model")] if "Noise floor" in heads else []
    legend += [("baseline", f"either model against {' or '.join(baselines)}")] if baselines else []
    among = any(m.pairing == NEAREST_OTHER for m in found.comparison.measurements)
    return legend + ([("baseline", "the images of the data set among themselves")] if among else [])


def _references(found: Findings) -> ReferenceTable | None:
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


# --- distributions ---------------------------------------------------------------------------------------------------


def _distributions(found: Findings) -> list[Distributions]:
    sections = []
    if found.columns:
        every = ranked_pairs(found, found.columns[0]) or found.baseline_pairs
        pairs, several = every[:MOST_FIGURES], len(every) > 1
        room = MOST_CONDITIONS // max(1, len(pairs))
        sections.append(
            Distributions(
                title="Noise by noise" if found.comparison.noise else "Image by image",
                note="How the values of a pair are spread, against the same images on mismatched noise; beside it, "
                "where a share counts them, that share at every choice of its threshold.",
                legend=("same noise" if found.comparison.noise else "same index", "shuffled"),
                measures=_titles(found.columns),
                pairs=[_figures(found, pair, room=room, table=several) for pair in pairs],
                left_out=len(every) - len(pairs),
            )
        )
    if found.nearest_columns:
        sections.append(
            Distributions(
                title="Nearest images",
                note=f"Generated images and the nearest of {data_words(found.comparison)}, against those images and "
                "the nearest other of them.",
                legend=("generated images", "images of the data set among themselves"),
                measures=_titles(found.nearest_columns),
                pairs=[_search_figures(found, *pair) for pair in found.searched],
            )
        )
    return sections


def _titles(columns: Sequence[Column]) -> list[tuple[str, str]]:
    measures = measures_of(columns)
    titles = [facts.title for facts in measures]
    return [(f.id, f"{f.title}, {f.descriptor or f.name}" if titles.count(f.title) > 1 else f.title) for f in measures]


def _figures(found: Findings, pair: Pair, *, room: int, table: bool) -> Figures:
    figures = []
    for measurement in found.measured(SAME, *pair):
        shuffled = found.get(measurement.measure, SHUFFLED, *pair)
        figures.append((measurement.measure, _drawn(found, measurement, shuffled, f"{pair[0]} and {pair[1]}")))
    conditions = _conditions(found, SAME, pair, found.columns, room)
    order = [facts.id for facts in measures_of(found.columns)]
    figures.sort(key=lambda item: order.index(item[0]))
    return Figures(pair, figures, score_table(found, pair) if table else None, conditions)


def _search_figures(found: Findings, model: str, data: str) -> Figures:
    figures = [
        (m.measure, _drawn(found, m, found.get(m.measure, NEAREST_OTHER, data, data), f"{model} in {data}"))
        for m in found.measured(NEAREST, model, data)
    ]
    conditions = _conditions(found, NEAREST, (model, data), found.nearest_columns, MOST_CONDITIONS)
    return Figures((model, data), figures, None, conditions)


def _drawn(found: Findings, measurement: Measurement, other: Measurement | None, label: str) -> list[Markup]:
    """The histogram of some values, and the curve of a share where there is one."""
    facts = found.facts[measurement.measure]
    name = f"{facts.title}, {facts.unit}" if facts.unit else facts.title
    share = next((s for s in measurement.scores if s.threshold is not None), None)
    sign = next((SIGNS[spec["kind"]] for spec in facts.scores if share and spec["name"] == share.name), "")
    histogram = charts.histogram(
        measurement.distribution, other.distribution if other else None, name=name,
        threshold=share.threshold if share else None, sign=sign, label=label,
    )  # fmt: skip
    if measurement.curve is None or share is None:
        return [histogram]
    curve = charts.threshold_curve(
        measurement.curve, other.curve if other else None, score=share, sign=sign, name=name, label=label
    )
    return [histogram, curve]


def _conditions(
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
