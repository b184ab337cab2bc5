"""From the values of a measure to the records of a result: every score with its interval, alike for all measures.

What is needed of a measure lies in its ``MeasureFacts``, so that values of a finished run are scored again by the same
functions (``engine.rescoring``). Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.engine.pairings import NEAREST, SAME, Groups
from reprozoo.engine.plan import Found, Taken
from reprozoo.engine.result import (
    ConditionScores,
    Curve,
    Distribution,
    Measurement,
    PairedTest,
    Score,
    threshold_text,
)
from reprozoo.measures.base import MeasureFacts, ScoreFacts, ScoreSpec
from reprozoo.measures.statistics import mcnemar
from reprozoo.measures.summaries import beyond, histogram, interval, near, quantiles, share_curve, summary

if TYPE_CHECKING:
    from reprozoo.measures.descriptors import Descriptor

MOST_TESTED_MODELS = 8  # 168 tests; with more models they are noise
MOST_CONDITIONS = 1000  # scored one by one
SIGNS = {"share_above": ">", "share_not_above": ">", "share_below": "<"}


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


# --- facts ----------------------------------------------------------------------------------------------------------


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
        bounds=measure.bounds if all(map(np.isfinite, measure.bounds)) else None,
        near=measure.near,
        scores=[_score_facts(taken, spec, thresholds.of(taken, spec)) for spec in measure.scores],
    )


def _score_facts(taken: Taken, spec: ScoreSpec, at: float | None) -> ScoreFacts:
    closer = taken.measure.closer == "higher"
    return ScoreFacts(
        name=spec.name,
        title=spec.title or spec.name,
        label=_label(taken, spec, at),
        kind=spec.kind,
        meaning=spec.meaning,
        higher_is_closer=closer == (spec.kind == "share_above") if spec.is_share else closer,
        at=at,
    )


def _label(taken: Taken, spec: ScoreSpec, at: float | None) -> str:
    """A name that says what was measured: "rp[sscd-disc-large@320, >0.6]"."""
    parts = [taken.descriptor.id] if taken.descriptor else []
    if spec.is_share and at is not None:
        parts.append(f"{SIGNS[spec.kind]}{threshold_text(at)}{taken.measure.unit.replace('of 255', '/255')}")
    parts += ["mirrored or not"] if taken.mirror else []
    return f"{spec.name}[{', '.join(parts)}]" if parts else spec.name


# --- values to records ----------------------------------------------------------------------------------------------


def measurement(found: Found, facts: MeasureFacts, labels: Sequence[str], groups: Groups) -> Measurement:
    """Every score of some values, as the measure reports them under this pairing."""
    planned, measure, values = found.planned, found.taken.measure, found.values
    names = {spec.name for spec in measure.scores if planned.pairing in spec.pairings}
    wanted = [score for score in facts.scores if score.name in names]
    equal = measure.equal
    return Measurement(
        measure=facts.id,
        pairing=planned.pairing,
        a=labels[planned.a],
        b=labels[planned.b],
        count=values.shape[1],
        rounds=values.shape[0],
        equal=int((values == equal).sum()) if equal == 0 else 0,
        scores=[score_of(values, score, facts.near) for score in wanted],
        distribution=distribution_of(values, measure.edges),
        curve=curve_of(values, measure.curve, facts),
        conditions=by_condition(values, wanted, groups.numbers, groups.name, facts.near)
        if planned.pairing in (SAME, NEAREST) and values.shape[1] == len(groups.numbers)
        else [],
        values=values,
        partners=found.partners,
        own=found.own,
    )


def score_of(values: NDArray[Any], facts: ScoreFacts, tolerance: float = 0.0) -> Score:
    """One summary of some values.

    Args:
        values: (rounds, n).
        tolerance: how far rounding may move a value.
    """
    at, ends = facts.at, interval(values, facts.kind, facts.at)
    share = facts.is_share and at is not None
    return Score(
        name=facts.name,
        label=facts.label,
        title=facts.title,
        value=summary(values, facts.kind, at),
        low=ends.low if ends else None,
        high=ends.high if ends else None,
        count=values.shape[-1],
        successes=int(beyond(values, facts.kind, at).sum()) if share else None,  # type: ignore[arg-type]
        kind=facts.kind,
        threshold=at if share else None,
        higher_is_closer=facts.higher_is_closer,
        near=near(values, at, tolerance) if share else 0,  # type: ignore[arg-type]
    )


def distribution_of(values: NDArray[Any], edges: Sequence[float]) -> Distribution:
    """Mean, standard deviation, quantiles and histogram of all values."""
    flat = values.astype(np.float64).ravel()
    return Distribution(float(flat.mean()), float(flat.std()), quantiles(values), list(edges), histogram(values, edges))


def curve_of(values: NDArray[Any], thresholds: Sequence[float], facts: MeasureFacts) -> Curve | None:
    """The share on the closer side of each threshold; None without thresholds."""
    if not thresholds:
        return None
    return Curve(list(thresholds), share_curve(values, thresholds, above=facts.closer == "higher"))


def by_condition(
    values: NDArray[Any],
    facts: Sequence[ScoreFacts],
    groups: NDArray[np.int64],
    name: Callable[[int], str],
    tolerance: float = 0.0,
) -> list[ConditionScores]:
    """The scores of the noises of each condition; empty where there is one, or too many to read.

    Args:
        groups: (n,) equal for noises of equal condition; ``name`` says how it is called.
    """
    numbers = np.unique(groups).tolist()
    if not 1 < len(numbers) <= MOST_CONDITIONS:
        return []
    return [_condition(name(number), values[:, groups == number], facts, tolerance) for number in numbers]


def _condition(name: str, values: NDArray[Any], facts: Sequence[ScoreFacts], tolerance: float) -> ConditionScores:
    median = float(np.median(values.astype(np.float64)))
    return ConditionScores(name, values.shape[1], median, [score_of(values, score, tolerance) for score in facts])


# --- tests ----------------------------------------------------------------------------------------------------------


def paired_tests(measurements: Sequence[Measurement], models: Sequence[str]) -> list[PairedTest]:
    """McNemar's test of the first share for every two pairs of models that share one; none where they are many.

    Args:
        models: labels of the models that were asked about.
    """
    pairs = [m for m in measurements if m.pairing == SAME and m.labels <= set(models) and _share(m) is not None]
    pairs = [m for m in pairs if m.measure == pairs[0].measure]
    if len(models) > MOST_TESTED_MODELS:
        return []
    return [_tested(first, second) for first, second in combinations(pairs, 2) if first.labels & second.labels]


def _tested(first: Measurement, second: Measurement) -> PairedTest:
    (name, one), (_, other) = _counted(first), _counted(second)
    found = mcnemar(one, other)
    labels = [first.a, first.b], [second.a, second.b]
    return PairedTest(name, *labels, found.only_first, found.only_second, found.p_value)


def _share(m: Measurement) -> Score | None:
    return next((score for score in m.scores if score.successes is not None), None)


def _counted(m: Measurement) -> tuple[str, NDArray[np.bool_]]:
    """The first share, and which noises it counts."""
    score = _share(m)
    assert score is not None, f"{m.measure} has no share"
    assert score.threshold is not None, f"{score.label} has no threshold"
    assert m.values is not None, f"the values of {m.measure} were not read"
    return score.name, beyond(m.values[0], score.kind, score.threshold)
