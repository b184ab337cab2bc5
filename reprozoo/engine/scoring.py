"""From the values of a measure to the records of a result: every score with its interval, alike for all measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.engine.pairings import NEAREST, SAME, Groups
from reprozoo.engine.plan import Found, Planned, Taken
from reprozoo.engine.result import ConditionScores, Curve, Distribution, Measurement, PairedTest, Score, threshold_text
from reprozoo.measures.base import MeasureFacts, ScoreSpec
from reprozoo.measures.descriptors import Descriptor
from reprozoo.measures.statistics import mcnemar
from reprozoo.measures.summaries import beyond, histogram, interval, near, quantiles, share_curve, summary

MOST_TESTED_MODELS = 8  # 168 tests; with more models they are noise
MOST_CONDITIONS = 1000  # scored one by one
PERCENT_SIGNS = {"share_above": ">", "share_not_above": ">", "share_below": "<"}


class Thresholds:
    """Which threshold each score has: what was asked for, or the descriptor's, or the measure's own.

    Args:
        given: by name of a score, or of a measure for all of its scores.
        prompted: whether the images follow prompts, which descriptors may have another threshold for.
    """

    def __init__(self, given: Mapping[str, float], *, prompted: bool = False) -> None:
        self.given, self.prompted = given, prompted

    def of(self, taken: Taken, spec: ScoreSpec) -> float | None:
        """The threshold of a share, the level of a quantile; None for other summaries."""
        if not spec.is_share:
            return spec.at
        for name in (spec.name, taken.measure.name):
            if name in self.given:
                return self.given[name]
        return spec.at if spec.at is not None else self._usual(taken)

    def _usual(self, taken: Taken) -> float | None:
        if taken.measure.threshold is not None or taken.descriptor is None:
            return taken.measure.threshold
        return self.usual(taken.descriptor)

    def usual(self, descriptor: Descriptor) -> float:
        """That of similarities of a descriptor's features."""
        prompted = descriptor.prompt_threshold if self.prompted else None
        return descriptor.threshold if prompted is None else prompted


def facts_of(taken: Taken, thresholds: Thresholds) -> MeasureFacts:
    """What a result records of a measure."""
    measure = taken.measure
    return MeasureFacts(
        id=taken.id,
        name=measure.name,
        title=measure.title,
        meaning=measure.meaning,
        unit=measure.unit,
        closer=measure.closer,
        decimals=measure.decimals,
        descriptor=taken.descriptor.id if taken.descriptor else None,
        threshold=next((thresholds.of(taken, spec) for spec in measure.scores if spec.is_share), None),
        scores=[
            {
                "name": spec.name,
                "title": spec.title or spec.name,
                "label": label_of(taken, spec, thresholds.of(taken, spec)),
                "kind": spec.kind,
                "at": thresholds.of(taken, spec),
                "meaning": spec.meaning,
                "share": spec.is_share,
                "higher_is_closer": _higher_is_closer(taken, spec),
            }
            for spec in measure.scores
        ],
    )


def label_of(taken: Taken, spec: ScoreSpec, at: float | None) -> str:
    """A name that says what was measured: "rp[sscd-disc-large@320, >0.6]"."""
    parts = [taken.descriptor.id] if taken.descriptor else []
    if spec.is_share and at is not None:
        unit = taken.measure.unit.replace("of 255", "/255")
        parts.append(f"{PERCENT_SIGNS[spec.kind]}{threshold_text(at)}{unit}")
    parts += ["mirrored or not"] if taken.mirror else []
    return f"{spec.name}[{', '.join(parts)}]" if parts else spec.name


def _higher_is_closer(taken: Taken, spec: ScoreSpec) -> bool:
    """Whether a score grows as sides agree: a share of values on the closer side does."""
    closer = taken.measure.closer == "higher"
    return closer == (spec.kind == "share_above") if spec.is_share else closer


def measurement(found: Found, labels: Sequence[str], groups: Groups, thresholds: Thresholds) -> Measurement:
    """Every score of some values."""
    planned, taken, values = found.planned, found.taken, found.values
    equal, edges, curve = taken.measure.equal, taken.measure.edges, taken.measure.curve
    flat = values.astype(np.float64).ravel()
    return Measurement(
        measure=taken.id,
        pairing=planned.pairing,
        a=labels[planned.a],
        b=labels[planned.b],
        count=values.shape[1],
        rounds=values.shape[0],
        equal=int((values == values.dtype.type(equal)).sum()) if equal is not None else 0,
        scores=_scores(taken, values, planned.pairing, thresholds),
        distribution=Distribution(
            mean=float(flat.mean()),
            std=float(flat.std()),
            quantiles=quantiles(values),
            edges=list(edges),
            histogram=histogram(values, edges),
        ),
        curve=Curve(list(curve), share_curve(values, curve, above=taken.measure.closer == "higher")) if curve else None,
        conditions=_by_condition(found, groups, thresholds) if planned.pairing in (SAME, NEAREST) else [],
        values=values,
        partners=found.partners,
        own=found.own,
    )


def rescored(old: Measurement, taken: Taken, groups: Groups, thresholds: Thresholds) -> Measurement:
    """The scores of the same values at other thresholds."""
    from dataclasses import replace

    assert old.values is not None, f"the values of {old.measure} were not read"
    found = Found(Planned(old.pairing, 0, 1, [taken]), taken, old.values, old.partners, old.own)
    return replace(measurement(found, [old.a, old.b], groups, thresholds), measure=old.measure)


def paired_tests(measurements: Sequence[Measurement], models: Sequence[str]) -> list[PairedTest]:
    """McNemar's test of the first share for every two pairs of models that share one; none where they are many.

    Args:
        models: labels of the models that were asked about.
    """
    pairs = [m for m in measurements if m.pairing == SAME and m.labels <= set(models) and _share(m) is not None]
    pairs = [m for m in pairs if m.measure == pairs[0].measure]
    if len(models) > MOST_TESTED_MODELS:
        return []
    tests = []
    for first, second in combinations(pairs, 2):
        if first.labels & second.labels:
            (name, one), (_, other) = _counted(first), _counted(second)
            found = mcnemar(one, other)
            tests.append(
                PairedTest(
                    name, [first.a, first.b], [second.a, second.b], found.only_first, found.only_second, found.p_value
                )
            )
    return tests


def _share(m: Measurement) -> Score | None:
    return next((score for score in m.scores if score.successes is not None), None)


def _counted(m: Measurement) -> tuple[str, NDArray[np.bool_]]:
    """The first share, and which noises it counts."""
    score = _share(m)
    assert score is not None, f"{m.measure} has no share"
    assert score.threshold is not None, f"{score.label} has no threshold"
    assert m.values is not None, f"the values of {m.measure} were not read"
    return score.name, beyond(m.values[0], score.kind, score.threshold)


def _scores(taken: Taken, values: NDArray[Any], pairing: str, thresholds: Thresholds) -> list[Score]:
    return [
        _score(taken, spec, values, thresholds.of(taken, spec))
        for spec in taken.measure.scores
        if pairing in spec.pairings
    ]


def _score(taken: Taken, spec: ScoreSpec, values: NDArray[Any], at: float | None) -> Score:
    ends = interval(values, spec.kind, at)
    return Score(
        name=spec.name,
        label=label_of(taken, spec, at),
        title=spec.title or spec.name,
        value=summary(values, spec.kind, at),
        low=ends.low if ends else None,
        high=ends.high if ends else None,
        count=values.shape[-1],
        successes=int(beyond(values, spec.kind, at).sum()) if spec.is_share and at is not None else None,
        kind=spec.kind,
        threshold=at if spec.is_share else None,
        higher_is_closer=_higher_is_closer(taken, spec),
        near=near(values, at, taken.measure.near) if spec.is_share and at is not None else 0,
    )


def _by_condition(found: Found, groups: Groups, thresholds: Thresholds) -> list[ConditionScores]:
    numbers = np.unique(groups.numbers).tolist()
    if not 1 < len(numbers) <= MOST_CONDITIONS or found.values.shape[1] != len(groups.numbers):
        return []
    by_number = [(number, found.values[:, groups.numbers == number]) for number in numbers]
    return [
        ConditionScores(
            name=groups.name(number),
            count=values.shape[1],
            median=float(np.median(values.astype(np.float64))),
            scores=_scores(found.taken, values, found.planned.pairing, thresholds),
        )
        for number, values in by_number
    ]
