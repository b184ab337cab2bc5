"""Figures noise by noise: how the values of each pair are spread, and a share at every threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reprozoo.engine.result import Measurement
from reprozoo.report import charts
from reprozoo.report.findings import (
    NEAREST,
    NEAREST_OTHER,
    SAME,
    SHUFFLED,
    SIGNS,
    Column,
    Findings,
    Pair,
    measures_of,
)
from reprozoo.report.tables import ConditionTable, ScoreTable, condition_table, score_table
from reprozoo.report.terminal import ranked_pairs
from reprozoo.report.verdict import data_words

PAIRS_OPEN = 6  # pairs whose figures are shown at once; the others are folded away
MOST_FIGURES = 30  # pairs with figures: those that differ most
MOST_CONDITIONS = 3000  # rows of all tables of conditions


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


def distributions_of(found: Findings) -> list[Distributions]:
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
    conditions = condition_table(found, SAME, pair, found.columns, room)
    order = [facts.id for facts in measures_of(found.columns)]
    figures.sort(key=lambda item: order.index(item[0]))
    return Figures(pair, figures, score_table(found, pair) if table else None, conditions)


def _search_figures(found: Findings, model: str, data: str) -> Figures:
    figures = [
        (m.measure, _drawn(found, m, found.get(m.measure, NEAREST_OTHER, data, data), f"{model} in {data}"))
        for m in found.measured(NEAREST, model, data)
    ]
    conditions = condition_table(found, NEAREST, (model, data), found.nearest_columns, MOST_CONDITIONS)
    return Figures((model, data), figures, None, conditions)


def _drawn(found: Findings, measurement: Measurement, other: Measurement | None, label: str) -> list[Markup]:
    """The histogram of some values, and the curve of a share where there is one."""
    facts = found.facts[measurement.measure]
    name = f"{facts.title}, {facts.unit}" if facts.unit else facts.title
    share = next((s for s in measurement.scores if s.threshold is not None), None)
    sign = next((SIGNS[spec.kind] for spec in facts.scores if share and spec.name == share.name), "")
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
