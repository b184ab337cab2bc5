"""Scores again from recorded values: at other thresholds, or of more noises. Needs neither models nor torch.

What a measure is comes from the result itself; only how far rounding may move a value comes from the measure, where it
is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.engine.cautions import cautions_about_scores
from reprozoo.engine.result import (
    Comparison,
    ConditionScores,
    Curve,
    Distribution,
    Measurement,
    PairedTest,
    Score,
    threshold_text,
)
from reprozoo.measures.base import Kind, MeasureFacts
from reprozoo.measures.statistics import mcnemar
from reprozoo.measures.summaries import beyond, histogram, interval, near, quantiles, share_curve, summary

SIGNS = {"share_above": ">", "share_not_above": ">", "share_below": "<"}
MOST_CONDITIONS = 1000
Spec = Mapping[str, Any]


def rescored(comparison: Comparison, thresholds: Mapping[str, float]) -> Comparison:
    """A result at other thresholds.

    Args:
        thresholds: by name of a share, or of a measure for all its shares.

    Raises:
        UsageError: a name that nothing has, or a threshold out of range.
    """
    _check(comparison, thresholds)
    measures = [_with_thresholds(facts, thresholds) for facts in comparison.measures]
    question = dict(comparison.question)
    question["threshold"] = {**question.get("threshold", {}), **thresholds}
    return with_scores(replace(comparison, measures=measures, question=question), comparison)


def with_scores(comparison: Comparison, before: Comparison) -> Comparison:
    """The same with scores of its values by its own measures; what was said about the scores before is said anew.

    Args:
        before: whose cautions about scores do not hold any more.
    """
    facts = {item.id: item for item in comparison.measures}
    tolerances = {item.id: _tolerance(item) for item in comparison.measures}
    names = comparison.condition_names
    measurements = [scored(m, facts[m.measure], names, tolerances[m.measure]) for m in comparison.measurements]
    measurements = [m for m in measurements if m.scores]
    stale = set(cautions_about_scores(before.measurements, count=before.num_samples))
    warnings = [warning for warning in comparison.warnings if warning not in stale]
    return replace(
        comparison,
        measurements=measurements,
        tests=[_tested(test, measurements, facts) for test in comparison.tests],
        warnings=[*warnings, *cautions_about_scores(measurements, count=comparison.num_samples)],
    )


def scored(m: Measurement, facts: MeasureFacts, names: Sequence[str], tolerance: float = 0.0) -> Measurement:
    """A measurement with the scores of its values; of values that were not recorded, only what has no threshold.

    Args:
        names: of the condition of each noise; empty where there is one.
        tolerance: how far rounding may move a value.
    """
    specs = [spec for spec in facts.scores if any(score.name == spec["name"] for score in m.scores)]
    if m.values is None:
        same = [s for s in m.scores if any(_unchanged(s, spec) for spec in specs)]
        return replace(m, scores=same, conditions=[])
    values, edges = m.values, m.distribution.edges
    flat = values.astype(np.float64).ravel()
    above = facts.closer == "higher"
    at = m.curve.thresholds if m.curve else []
    return replace(
        m,
        count=values.shape[1],
        scores=[_score(values, spec, tolerance) for spec in specs],
        distribution=Distribution(
            float(flat.mean()), float(flat.std()), quantiles(values), edges, histogram(values, edges)
        ),
        curve=Curve(at, share_curve(values, at, above=above)) if at else None,
        conditions=_by_condition(m, specs, names, tolerance),
    )


def _score(values: NDArray[Any], spec: Spec, tolerance: float) -> Score:
    kind: Kind = spec["kind"]
    at, share = spec["at"], bool(spec["share"])
    ends = interval(values, kind, at)
    return Score(
        name=spec["name"],
        label=spec["label"],
        title=spec["title"],
        value=summary(values, kind, at),
        low=ends.low if ends else None,
        high=ends.high if ends else None,
        count=values.shape[-1],
        successes=int(beyond(values, kind, at).sum()) if share else None,
        kind=kind,
        threshold=at if share else None,
        higher_is_closer=spec["higher_is_closer"],
        near=near(values, at, tolerance) if share else 0,
    )


def _by_condition(
    m: Measurement, specs: Sequence[Spec], names: Sequence[str], tolerance: float
) -> list[ConditionScores]:
    """In the order that they had, new ones after them."""
    values = m.values
    assert values is not None, m.measure
    if m.pairing not in ("same", "nearest") or len(names) != values.shape[1]:
        return []
    found = list(dict.fromkeys([*(c.name for c in m.conditions if c.name in names), *names]))
    if not 1 < len(found) <= MOST_CONDITIONS:
        return []
    places = {name: np.array([place for place, _ in group]) for name, group in _grouped(names)}
    return [
        ConditionScores(
            name=name,
            count=len(places[name]),
            median=float(np.median(values[:, places[name]].astype(np.float64))),
            scores=[_score(values[:, places[name]], spec, tolerance) for spec in specs],
        )
        for name in found
    ]


def _grouped(names: Sequence[str]) -> Iterable[tuple[str, Iterable[tuple[int, str]]]]:
    return groupby(sorted(enumerate(names), key=lambda item: item[1]), key=lambda item: item[1])


def _unchanged(score: Score, spec: Spec) -> bool:
    return score.name == spec["name"] and (score.threshold is None or score.threshold == spec["at"])


def _with_thresholds(facts: MeasureFacts, thresholds: Mapping[str, float]) -> MeasureFacts:
    """A threshold of a score comes before that of its measure."""
    specs = []
    for spec in facts.scores:
        at = thresholds.get(str(spec["name"]), thresholds.get(facts.name)) if spec["share"] else None
        specs.append(spec if at is None else {**spec, "at": at, "label": _label(spec, at)})
    threshold = next((spec["at"] for spec in specs if spec["share"]), facts.threshold)
    return replace(facts, scores=specs, threshold=threshold)


def _label(spec: Spec, at: float) -> str:
    """The label with another threshold in it."""
    sign = SIGNS[str(spec["kind"])]
    before, after = (f"{sign}{threshold_text(value)}" for value in (spec["at"], at))
    return str(spec["label"]).replace(before, after)


def _check(comparison: Comparison, thresholds: Mapping[str, float]) -> None:
    known: dict[str, MeasureFacts] = {}
    for facts in comparison.measures:
        shares = [spec for spec in facts.scores if spec["share"]]
        known |= {str(spec["name"]): facts for spec in shares} | ({facts.name: facts} if shares else {})
    for name, at in thresholds.items():
        if name not in known:
            raise UsageError(
                f"nothing called {name!r} has a threshold in this result{did_you_mean(name, known)}; these have: "
                f"{', '.join(known)}"
            )
        low, high = _bounds(known[name])
        below = any(spec["kind"] == "share_below" for spec in known[name].scores)
        if not (low < at <= high if below else low <= at < high):
            ends = f"above {low:g} and at most {high:g}" if below else f"from {low:g} to below {high:g}"
            raise UsageError(f"a threshold of {name} is {ends}, got {at:g}")


def _bounds(facts: MeasureFacts) -> tuple[float, float]:
    low, high = getattr(_measure(facts), "bounds", (-float("inf"), float("inf")))
    return float(low), float(high)


def _tolerance(facts: MeasureFacts) -> float:
    return float(getattr(_measure(facts), "near", 0.0))


def _measure(facts: MeasureFacts) -> Any:
    """The class of a measure; None where it is not installed here."""
    from reprozoo.zoo.plugins import import_object, installed_plugins

    found = installed_plugins().measures.get(facts.name)
    return None if found is None else import_object(found.value.load)


def _tested(test: PairedTest, measurements: Sequence[Measurement], facts: Mapping[str, MeasureFacts]) -> PairedTest:
    """The same test on the values as they are counted now."""
    flags = [_counted(pair, test.score, measurements, facts) for pair in (test.first, test.second)]
    if flags[0] is None or flags[1] is None:
        return test
    found = mcnemar(flags[0], flags[1])
    return replace(
        test, only_first=found.only_first, only_second=found.only_second, p_value=found.p_value
    )  # fmt: skip


def _counted(
    pair: Sequence[str], name: str, measurements: Sequence[Measurement], facts: Mapping[str, MeasureFacts]
) -> NDArray[np.bool_] | None:
    for m in measurements:
        specs = [spec for spec in facts[m.measure].scores if spec["name"] == name]
        if m.pairing == "same" and m.labels == frozenset(pair) and specs and m.values is not None:
            return beyond(m.values[0], specs[0]["kind"], specs[0]["at"])
    return None
