"""What a run found, as plain frozen records: scores with their intervals, and where they came from.

Records hold no model and no open file, so reports, the command line and tests need nothing else. ``result.json`` has
everything but the values of single noises, which lie beside it (``report.files``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.measures.base import Kind, MeasureFacts

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 2

ImageLoader = Callable[[str, Sequence[int]], NDArray[np.uint8]]
Role = Literal["model", "baseline", "data", "reference"]
BESIDE = ("values", "partners", "own")  # of a measurement: kept in the values file, not in the JSON


@dataclass(frozen=True)
class Score:
    """One summary of one measure's values.

    Attributes:
        name: e.g. "rp"; ``label`` says of what: "rp[sscd-disc-mixup-int8@288, >0.6]".
        title: as tables head it.
        value: the summary; ``low`` and ``high`` are the ends of its 95 % interval, None where there is none.
        count: independent noises.
        successes: values that a share counted; None for other summaries.
        kind: how the values became one number; ``threshold`` is that of a share.
        near: values so near the threshold of a share that rounding may decide.
    """

    name: str
    label: str
    title: str
    value: float
    low: float | None
    high: float | None
    count: int
    successes: int | None = None
    kind: Kind = "mean"
    threshold: float | None = None
    higher_is_closer: bool = True
    near: int = 0


@dataclass(frozen=True)
class Distribution:
    """How the values of all noises are spread.

    Attributes:
        quantiles: level -> value, e.g. {"0.5": 0.71}; "0" and "1" are the extremes.
        edges: of the histogram's bins, length bins + 1; values beyond the ends are counted in the outer bins.
        histogram: values per bin.
    """

    mean: float
    std: float
    quantiles: dict[str, float]
    edges: list[float]
    histogram: list[int]

    @property
    def median(self) -> float:
        return self.quantiles["0.5"]


@dataclass(frozen=True)
class Curve:
    """Share of values beyond each threshold; ``shares[i]`` belongs to ``thresholds[i]``."""

    thresholds: list[float]
    shares: list[float]


@dataclass(frozen=True)
class ConditionScores:
    """The scores of the noises of one condition.

    Attributes:
        name: of the condition: a prompt's id, or "class 3".
        count: its noises.
        median: of the measure's values.
    """

    name: str
    count: int
    median: float
    scores: list[Score]


@dataclass(frozen=True)
class Measurement:
    """What one measure found between two sides under one pairing.

    Attributes:
        measure: id of its ``MeasureFacts``.
        pairing: "same" noise; "shuffled": another noise of equal condition; "repeat": a side with itself at another
            batch size; "nearest": of all images of the other side; "nearest-other": the same within one side.
        a, b: labels of the sides.
        count: noises; ``rounds`` values of each.
        equal: values that equal images have.
        scores: every summary of the values; the first is the headline.
        curve: share of values on the closer side of each threshold; None where the measure has none.
        conditions: the same scores of each condition; empty where there is one, or too many to read.
        values: (rounds, n), in the order of the noises; None where they were not read.
        partners: (rounds, n) which image of ``b`` belongs to each; None where it is that of the same noise.
        own: (n,) which image of ``a`` each value is of; None where they are those of the run's noises, from the first.
    """

    measure: str
    pairing: str
    a: str
    b: str
    count: int
    rounds: int
    equal: int
    scores: list[Score]
    distribution: Distribution
    curve: Curve | None = None
    conditions: list[ConditionScores] = field(default_factory=list)
    values: NDArray[Any] | None = field(default=None, compare=False, repr=False)
    partners: NDArray[np.int64] | None = field(default=None, compare=False, repr=False)
    own: NDArray[np.int64] | None = field(default=None, compare=False, repr=False)

    def score(self, name: str) -> Score:
        """The score of this name.

        Raises:
            UsageError: this measurement has no such score.
        """
        for score in self.scores:
            if score.name == name:
                return score
        names = ", ".join(score.name for score in self.scores)
        raise UsageError(f"{self.measure} has no score {name!r}; it has: {names}")

    @property
    def labels(self) -> frozenset[str]:
        return frozenset((self.a, self.b))


@dataclass(frozen=True)
class SideRecord:
    """One side of a run: what it is, and what was done to get its images.

    Attributes:
        label: how measurements name it; ``spec`` is what the user gave.
        role: "model": it was asked about; "baseline": it is compared with models; "data": images that others are
            searched in; "reference": part of a problem, such as the truth.
        facts: card, resolved options, sampler, digests, device, dtype and plugin.
        images_key: its key in the store; empty where its images are not kept.
        images_sha256: of the uint8 images, channels first, in the order of the noises.
        weights_digest: equal for two sides of the same weights; None for images made elsewhere.
        sampled, reused: images made in this run and found in the store.
        batch_size: as asked for; ``smallest_batch_size`` is smaller where memory ran out.
        other_batch_size: of the repetition for the noise floor; 0 for none.
        kept: whether its images outlive the process.
    """

    label: str
    spec: str
    role: Role
    facts: dict[str, Any]
    image_shape: list[int]
    images_key: str = ""
    images_sha256: str = ""
    weights_digest: str | None = None
    sampled: int = 0
    reused: int = 0
    sampling_s: float = 0.0
    batch_size: int = 0
    smallest_batch_size: int = 0
    other_batch_size: int = 0
    kept: bool = True

    @property
    def card(self) -> Mapping[str, Any]:
        card: Mapping[str, Any] = self.facts.get("card", {})
        return card


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test: do two pairs that share a side and all noises have different shares?

    Attributes:
        score: name of the share.
        first, second: (a, b) of the two pairs.
        only_first, only_second: noises that only one of the two pairs counts.
        p_value: two-sided; small where the shares differ by more than chance.
    """

    score: str
    first: list[str]
    second: list[str]
    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True, repr=False)
class Comparison:
    """The result of one run.

    Attributes:
        question: what was asked, as ``Question.to_json`` gives it.
        sides: models in the order given, then baselines, data and references.
        measures: what each measure of ``measurements`` is.
        tests: McNemar's test for pairs of models that share one.
        indices: [start, stop) runs of the noise indices; ``noise_indices`` lists them.
        noise: spec of the noise source, shape and sha256 of the noise; empty where images came without noise.
        conditions: what noises were conditioned on: {"in_turn": [...]}, {"random_class": {...}}; empty for nothing.
        condition_names: name of each noise's condition; empty where there is one.
        descriptors: identity of each descriptor, with "id", "dim" and "threshold".
        data: what models were searched in: "id", "split", "count", "images_sha256", "is_training_set"; empty otherwise.
        problem: the inverse problem in a few words.
        environment: versions and machine. ``plugins``: those that took part, with what each gave.
        warnings: sentences that a reader must see before believing the scores.
        created: UTC time, ISO 8601. ``elapsed_s``: seconds of the whole run.
    """

    question: dict[str, Any]
    sides: list[SideRecord]
    measures: list[MeasureFacts]
    measurements: list[Measurement]
    tests: list[PairedTest]
    indices: list[list[int]]
    noise: dict[str, Any]
    conditions: dict[str, Any]
    condition_names: list[str]
    descriptors: list[dict[str, Any]]
    data: dict[str, Any]
    problem: str
    environment: dict[str, Any]
    plugins: list[dict[str, Any]]
    warnings: list[str]
    created: str
    elapsed_s: float
    schema_version: int = SCHEMA_VERSION
    image_loader: ImageLoader | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        """One line: the sides, how many noises, and the headline scores of the first pair."""
        names = ", ".join(side.label for side in self.models)
        direct = [m for m in self.measurements if m.pairing in ("same", "nearest")]
        first = [m for m in direct if m.labels == direct[0].labels]
        scores = ", ".join(f"{m.scores[0].name} {m.scores[0].value:.4g}" for m in first if m.scores)
        return f"<Comparison of {names} on {self.num_samples:,} noises: {scores}>"

    @property
    def noise_indices(self) -> list[int]:
        """The noise index of each value."""
        return [index for start, stop in self.indices for index in range(start, stop)]

    @property
    def num_samples(self) -> int:
        """How many noises were compared."""
        return sum(stop - start for start, stop in self.indices)

    def of_role(self, *roles: Role) -> list[SideRecord]:
        """The sides of these roles."""
        return [side for side in self.sides if side.role in roles]

    @property
    def models(self) -> list[SideRecord]:
        return self.of_role("model")

    @property
    def baselines(self) -> list[SideRecord]:
        return self.of_role("baseline")

    def side(self, label: str) -> SideRecord:
        """The side of this label.

        Raises:
            UsageError: there is none.
        """
        for side in self.sides:
            if side.label == label:
                return side
        labels = [side.label for side in self.sides]
        raise UsageError(f"no side {label!r}{did_you_mean(label, labels)}; there are: {', '.join(labels)}")

    def facts(self, measure: str) -> MeasureFacts:
        """What a measure of this id is; ``UsageError`` where there is none."""
        for facts in self.measures:
            if measure in (facts.id, facts.name):
                return facts
        raise UsageError(f"no measure {measure!r} in this result; it has: {', '.join(f.id for f in self.measures)}")

    def select(
        self, *, measure: str | None = None, pairing: str | None = None, a: str | None = None, b: str | None = None
    ) -> list[Measurement]:
        """The measurements that fit, in order; ``measure`` is an id or a name, ``a`` and ``b`` come in either order."""
        wanted = {label for label in (a, b) if label is not None}
        return [
            m
            for m in self.measurements
            if (measure is None or measure in (m.measure, m.measure.partition("[")[0]))
            and (pairing is None or m.pairing == pairing)
            and (m.a == a == b if a is not None and a == b else wanted <= m.labels)
        ]

    def pairs(self) -> list[tuple[str, str]]:
        """Labels of every two sides that were compared with each other, models with models first."""
        direct = [m for m in self.measurements if m.pairing in ("same", "nearest") and m.a != m.b]
        return list(dict.fromkeys((m.a, m.b) for m in direct))

    def model_pairs(self) -> list[tuple[str, str]]:
        """Those of ``pairs`` of two models."""
        models = {side.label for side in self.models}
        return [(a, b) for a, b in self.pairs() if a in models and b in models]

    def score(
        self,
        name: str,
        a: str | None = None,
        b: str | None = None,
        *,
        pairing: str | None = None,
        measure: str | None = None,
    ) -> Score:
        """A score by name: of two sides, or of the only pair.

        >>> comparison.score("rp").value
        1.0

        Args:
            measure: id of the measure, where several descriptors were asked for: "similarity[pixels@32]".

        Raises:
            UsageError: no such score, or several fit.
        """
        measured = self.select(measure=measure, pairing=pairing, a=a, b=b)
        found = [m for m in measured if any(s.name == name for s in m.scores)]
        direct = [m for m in found if m.pairing in ("same", "nearest")] if pairing is None else found
        if a is None and b is None and len(direct) > 1:
            models = {side.label for side in self.models}
            direct = [m for m in direct if m.labels <= models] or direct
        if not direct:
            raise UsageError(f"no score {name!r} of these sides; the scores are: {', '.join(self.score_names())}")
        if len({(m.measure, m.a, m.b, m.pairing) for m in direct}) > 1:
            first = ", ".join(f"{m.a} × {m.b} ({m.measure}, {m.pairing})" for m in direct[:3])
            what = "sides" if len({m.labels for m in direct}) > 1 else "measure"
            raise UsageError(f"{name!r} was computed {len(direct)} times: name the {what}; {first}")
        return direct[0].score(name)

    def score_names(self) -> list[str]:
        """Every score of this result."""
        return list(dict.fromkeys(score.name for m in self.measurements for score in m.scores))

    def matrix(self, score: str, *, measure: str | None = None) -> list[list[float | None]]:
        """A score of all pairs of models, symmetric; the diagonal, and pairs that were not compared, are None.

        Args:
            measure: as in ``score``.
        """
        place = {side.label: i for i, side in enumerate(self.models)}
        rows: list[list[float | None]] = [[None] * len(place) for _ in place]
        for a, b in self.model_pairs():
            value = self.score(score, a, b, pairing="same", measure=measure).value
            rows[place[a]][place[b]] = rows[place[b]][place[a]] = value
        return rows

    def images(self, label: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Images of one side, from the store.

        Args:
            label: of a side.
            indices: of noises, in any order; of a data set, numbers of its images.

        Returns:
            (len(indices), channels, height, width) uint8.

        Raises:
            UsageError: the images are not at hand: the store does not have them any more.
            IntegrityError: the stored images are damaged.
        """
        if self.image_loader is None:
            raise UsageError("this result was read without a store, so its images are not at hand; run it again")
        return self.image_loader(label, indices)

    def to_json(self) -> dict[str, Any]:
        """The whole result but the values of single noises, as plain JSON types."""
        plain = replace(self, image_loader=None, measurements=[_without_values(m) for m in self.measurements])
        document = {"kind": "comparison", **asdict(plain)}
        del document["image_loader"]
        for measurement in document["measurements"]:
            for name in BESIDE:
                del measurement[name]
        return document

    def to_pandas(self) -> Any:
        """The long table of ``scores.csv`` as a pandas ``DataFrame``.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise UsageError("to_pandas needs pandas: pip install pandas; `rows` gives the same without it") from error
        return pandas.DataFrame(list(self.rows()), columns=list(ROW_COLUMNS))

    def rows(self) -> Iterator[tuple[str, str, str, str, int, str, int, float]]:
        """The long table: a row for each measurement and noise (``ROW_COLUMNS``), of shuffled noise the first round."""
        indices = self.noise_indices
        names = self.condition_names or [""] * len(indices)
        for m in self.measurements:
            if m.values is None:
                continue
            values = np.atleast_2d(m.values)[0]
            own = indices if m.own is None else m.own.tolist()
            named = names if m.own is None else [""] * len(own)
            partners = own if m.partners is None else np.atleast_2d(m.partners)[0].tolist()
            yield from (
                (m.measure, m.pairing, m.a, m.b, index, name, partner, float(value))
                for index, name, partner, value in zip(own, named, partners, values, strict=False)
            )

    def save(self, folder: str | Path) -> Path:
        """Write result, values, table and report to a folder; returns the path of the report.

        Raises:
            UsageError: the folder cannot be written. PartialError: the disk is full.
        """
        from pathlib import Path

        paths: list[Path] = _of_the_report("files", "write_result")(self, Path(folder))
        return paths[0]

    def plot(self, figure: str = "histogram", *, score: str | None = None, count: int = 10) -> Any:
        """A matplotlib figure: "histogram" of the values of each pair, "matrix" of a score, or "grid" of the images.

        Args:
            score: whose values are shown; the headline by default.
            count: columns of a grid.

        Raises:
            UsageError: matplotlib is not installed, or nothing of these names is in the result.
        """
        return _of_the_report("plotting", "plot")(self, figure, score=score, count=count)

    def _repr_html_(self) -> str:
        """The report, for notebooks."""
        text: str = _of_the_report("html", "notebook_html")(self)
        return text


def _of_the_report(module: str, name: str) -> Any:
    """A function of the room below, which results know by name alone: for those who have a result in their hands."""
    return getattr(import_module(f"reprozoo.report.{module}"), name)


ROW_COLUMNS = ("measure", "pairing", "a", "b", "index", "condition", "partner", "value")


def threshold_text(at: float) -> str:
    """A threshold as labels write it: exact where it is short.

    >>> threshold_text(0.9999), threshold_text(15.0), threshold_text(1 / 3)
    ('0.9999', '15', '0.333')
    """
    return f"{at:g}" if float(f"{at:g}") == at else f"{at:.3g}"


def _without_values(measurement: Measurement) -> Measurement:
    return replace(measurement, values=None, partners=None, own=None)
