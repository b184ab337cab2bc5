"""Every model against every other, by each score, as a table of shades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reprozoo.report.findings import SAME, Column, Findings

FEWEST_MODELS = 3
MOST_MATRICES = 6


@dataclass(frozen=True)
class HeatCell:
    """A cell of a matrix: ``shade`` in [0, 1], 1 for the closest; ``itself`` on the diagonal."""

    text: str
    shade: float
    itself: bool = False


@dataclass(frozen=True)
class Matrix:
    """Every model against every other, by one score."""

    caption: str
    rows: list[list[HeatCell]]


def matrices(found: Findings) -> list[Matrix]:
    """One for each score of pairs of models, the headline first; none of two models."""
    labels = [side.label for side in found.comparison.models]
    if len(labels) < FEWEST_MODELS or not found.pairs:
        return []
    return [_matrix(found, labels, column) for column in found.columns[:MOST_MATRICES]]


def _matrix(found: Findings, labels: Sequence[str], column: Column) -> Matrix:
    scores = {pair: found.score(column, SAME, *pair) for pair in found.pairs}
    values = {frozenset(pair): score.value for pair, score in scores.items() if score is not None}
    low, high = _ends(column, list(values.values()))

    def cell(a: str, b: str) -> HeatCell:
        value = values.get(frozenset((a, b))) if a != b else None
        if value is None:
            return HeatCell("·", 0.0, itself=True)
        along = min(max((value - low) / (high - low), 0.0), 1.0)
        return HeatCell(_text(column, value), along if column.higher_is_closer else 1 - along)

    caption = f"{column.heading}, {column.unit}" if column.unit else column.heading
    return Matrix(caption, [[cell(a, b) for b in labels] for a in labels])


def _ends(column: Column, values: Sequence[float]) -> tuple[float, float]:
    """From 0 to 1 where all values lie there, else from 0, or the lowest, to the highest."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if column.is_share or (low >= 0 and high <= 1 and column.higher_is_closer):
        return 0.0, 1.0
    low = min(0.0, low) if not column.higher_is_closer else low
    return (low, high) if high > low else (low - 1, low + 1)


def _text(column: Column, value: float) -> str:
    return f"{value:.2f}" if column.is_share else column.text(value)
