"""Which measurement says what: the scores of a result by measure, pairing and sides, and the columns of its tables.

Nothing here, and nothing else in reports, knows a measure or a score by name: the headline is the first share of
features, graded scores are the means and medians of pixel measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reprozoo.engine.result import Comparison, Measurement, Role, Score, threshold_text
from reprozoo.measures.base import MeasureFacts, ScoreFacts

SAME, SHUFFLED, REPEAT, NEAREST, NEAREST_OTHER = "same", "shuffled", "repeat", "nearest", "nearest-other"
GRADED_KINDS = ("mean", "median")
SIGNS = {"share_above": ">", "share_below": "<", "share_not_above": "≤"}

Pair = tuple[str, str]


@dataclass(frozen=True)
class Column:
    """One score of one measure, as a table heads it.

    Attributes:
        spec: its entry in the facts of the measure.
        heading: its title, with the descriptor where two columns have the same title.
    """

    measure: MeasureFacts
    spec: ScoreFacts
    heading: str

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def title(self) -> str:
        return self.spec.title

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def kind(self) -> str:
        return self.spec.kind

    @property
    def is_share(self) -> bool:
        return self.spec.is_share

    @property
    def higher_is_closer(self) -> bool:
        return self.spec.higher_is_closer

    @property
    def unit(self) -> str:
        """Of the values; a share has none."""
        return "" if self.is_share else self.measure.unit

    def text(self, value: float) -> str:
        """A value as tables show it."""
        return number(value, 3 if self.is_share else self.measure.decimals)

    def with_unit(self, value: float) -> str:
        """A value as sentences show it: "15.2 of 255"."""
        return f"{self.text(value)} {self.unit}".rstrip()

    def rule(self, score: Score) -> str:
        """What a share counts, in words: "depth > 0.6 m"."""
        at = "" if score.threshold is None else f" {SIGNS[self.kind]} {threshold_text(score.threshold)}"
        return f"{self.measure.title}{at} {self.measure.unit}".rstrip()


class Findings:
    """A result's measurements by measure, pairing and sides."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.facts = {facts.id: facts for facts in comparison.measures}
        self._found: dict[tuple[str, str, frozenset[str]], Measurement] = {}
        for measurement in comparison.measurements:
            self._found.setdefault((measurement.measure, measurement.pairing, measurement.labels), measurement)
        self.pairs = self.pairs_of("model", "model")
        self.columns = self.columns_of(SAME, self.pairs or self.baseline_pairs)
        self.nearest_columns = self.columns_of(NEAREST, self.searched)

    @property
    def baseline_pairs(self) -> list[Pair]:
        """(baseline, model) of all that were compared."""
        return self.pairs_of("baseline", "model")

    @property
    def searched(self) -> list[Pair]:
        """(model, data set that it was searched in)."""
        return [(m.a, m.b) for m in _once(self.comparison.measurements, NEAREST)]

    def pairs_of(self, first: Role, second: Role) -> list[Pair]:
        """Sides of two roles that were compared on the same noise, the one of the first role first."""
        roles = {side.label: side.role for side in self.comparison.sides}
        pairs = []
        for m in _once(self.comparison.measurements, SAME):
            a, b = (m.a, m.b) if roles.get(m.a) == first else (m.b, m.a)
            if roles.get(a) == first and roles.get(b) == second:
                pairs.append((a, b))
        return pairs

    def get(self, measure: str, pairing: str, a: str, b: str) -> Measurement | None:
        """What a measure found between two sides, in either order."""
        return self._found.get((measure, pairing, frozenset((a, b))))

    def measured(self, pairing: str, a: str, b: str) -> list[Measurement]:
        """What every measure found between two sides."""
        found = (self.get(facts.id, pairing, a, b) for facts in self.comparison.measures)
        return [measurement for measurement in found if measurement is not None]

    def score(self, column: Column, pairing: str, a: str, b: str) -> Score | None:
        """One score between two sides; None where it was not computed."""
        measurement = self.get(column.measure.id, pairing, a, b)
        return next((s for s in measurement.scores if s.name == column.name), None) if measurement else None

    def floors(self, column: Column, labels: Iterable[str]) -> list[tuple[str, Score]]:
        """(side, its score against itself at another batch size) where that was measured."""
        found = ((label, self.score(column, REPEAT, label, label)) for label in dict.fromkeys(labels))
        return [(label, score) for label, score in found if score is not None]

    def against(self, column: Column, baseline: str, labels: Iterable[str]) -> list[tuple[str, Score]]:
        """(model, its score against a baseline) for those that were compared with it."""
        found = ((label, self.score(column, SAME, baseline, label)) for label in dict.fromkeys(labels))
        return [(label, score) for label, score in found if score is not None]

    def columns_of(self, pairing: str, pairs: Iterable[Pair]) -> list[Column]:
        """Every score that these pairs have under a pairing: the headline, graded scores, then the others."""
        wanted = {frozenset(pair) for pair in pairs}
        present: dict[str, set[str]] = {}
        for m in self.comparison.measurements:
            if m.pairing == pairing and m.labels in wanted:
                present.setdefault(m.measure, set()).update(score.name for score in m.scores)
        found = [(facts, spec) for facts in self.comparison.measures for spec in facts.scores
                 if spec.name in present.get(facts.id, ())]  # fmt: skip
        titles = [spec.title for _, spec in found]
        columns = [Column(facts, spec, _heading(facts, spec, titles)) for facts, spec in found]
        head, beside = headline(columns), graded(columns)
        return sorted(columns, key=lambda column: 0 if column is head else 1 if column in beside else 2)


def headline(columns: Sequence[Column]) -> Column | None:
    """The score that a report leads with: the first share of features, else the first share, else the first."""
    shares = [column for column in columns if column.is_share]
    return next((c for c in shares if c.measure.descriptor is not None), next(iter(shares or columns), None))


def graded(columns: Iterable[Column]) -> list[Column]:
    """The scores that grade how far images moved: means and medians of pixel measures."""
    return [c for c in columns if c.measure.descriptor is None and c.kind in GRADED_KINDS]


def measures_of(columns: Iterable[Column]) -> list[MeasureFacts]:
    """The measures of some columns, each once, in their order."""
    return list({column.measure.id: column.measure for column in columns}.values())


def number(value: float, decimals: int) -> str:
    """With so many decimals; what is not 0 is not shown as 0."""
    text = f"{value:.{decimals}f}"
    if value > 0 and float(text) == 0:
        return f"<{10**-decimals:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _heading(facts: MeasureFacts, spec: ScoreFacts, titles: Sequence[str]) -> str:
    title = spec.title
    return f"{title}, {facts.descriptor or facts.name}" if titles.count(title) > 1 else title


def _once(measurements: Iterable[Measurement], pairing: str) -> list[Measurement]:
    """The first measurement of every two sides under a pairing."""
    found: dict[frozenset[str], Measurement] = {}
    for m in measurements:
        if m.pairing == pairing and m.a != m.b:
            found.setdefault(m.labels, m)
    return list(found.values())
