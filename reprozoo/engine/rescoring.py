"""Scores again from recorded values: at other thresholds, or of more noises. Needs neither models nor torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from reprozoo.engine.cautions import cautions_about_scores
from reprozoo.engine.checking import Threshold, check_threshold_values
from reprozoo.engine.pairings import NEAREST, SAME
from reprozoo.engine.result import Comparison, Measurement, Score, threshold_text
from reprozoo.engine.scoring import SIGNS, by_condition, curve_of, distribution_of, paired_tests, score_of
from reprozoo.measures.base import MeasureFacts, ScoreFacts


def rescored(comparison: Comparison, thresholds: Mapping[str, float]) -> Comparison:
    """A result at other thresholds.

    Args:
        thresholds: by name of a share, or of a measure for all its shares.

    Raises:
        UsageError: a name that nothing has, or a threshold out of range.
    """
    _check(comparison.measures, thresholds)
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
    scored_again = (scored(m, facts[m.measure], comparison.condition_names) for m in comparison.measurements)
    measurements = [m for m in scored_again if m.scores]
    noise = bool(comparison.noise)
    stale = set(cautions_about_scores(before.measurements, count=before.num_samples, noise=noise))
    warnings = [warning for warning in comparison.warnings if warning not in stale]
    recorded = all(m.values is not None for m in measurements)
    models = [side.label for side in comparison.models]
    return replace(
        comparison,
        measurements=measurements,
        tests=paired_tests(measurements, models) if comparison.tests and recorded else comparison.tests,
        warnings=[*warnings, *cautions_about_scores(measurements, count=comparison.num_samples, noise=noise)],
    )


def scored(m: Measurement, facts: MeasureFacts, names: Sequence[str]) -> Measurement:
    """A measurement with the scores of its values; of values that were not recorded, only what has no threshold.

    Args:
        names: of the condition of each noise; empty where there is one.
    """
    wanted = [spec for spec in facts.scores if any(score.name == spec.name for score in m.scores)]
    if m.values is None:
        same = [score for score in m.scores if any(_unchanged(score, spec) for spec in wanted)]
        return replace(m, scores=same, conditions=[])
    has_conditions = m.pairing in (SAME, NEAREST) and len(names) == m.values.shape[1]
    found = list(dict.fromkeys([*(c.name for c in m.conditions if c.name in names), *names]))
    groups = np.array([found.index(name) for name in names], np.int64) if len(found) > 1 else np.zeros(0, np.int64)
    return replace(
        m,
        count=m.values.shape[1],
        scores=[score_of(m.values, spec, facts.near) for spec in wanted],
        distribution=distribution_of(m.values, m.distribution.edges),
        curve=curve_of(m.values, m.curve.thresholds if m.curve else [], facts),
        conditions=by_condition(m.values, wanted, groups, found.__getitem__, facts.near) if has_conditions else [],
    )


def _unchanged(score: Score, spec: ScoreFacts) -> bool:
    return score.name == spec.name and (score.threshold is None or score.threshold == spec.at)


def _with_thresholds(facts: MeasureFacts, thresholds: Mapping[str, float]) -> MeasureFacts:
    """A threshold of a score comes before that of its measure."""
    specs = []
    for spec in facts.scores:
        at = thresholds.get(spec.name, thresholds.get(facts.name)) if spec.is_share else None
        specs.append(spec if at is None else replace(spec, at=at, label=_label(spec, at)))
    threshold = next((spec.at for spec in specs if spec.is_share), facts.threshold)
    return replace(facts, scores=specs, threshold=threshold)


def _label(spec: ScoreFacts, at: float) -> str:
    """The label with another threshold in it."""
    if spec.at is None:
        return spec.label
    before, after = (f"{SIGNS[spec.kind]}{threshold_text(value)}" for value in (spec.at, at))
    return spec.label.replace(before, after)


def _check(measures: Sequence[MeasureFacts], thresholds: Mapping[str, float]) -> None:
    """Refuse thresholds of what the result does not have, or out of range; raises as ``check_threshold_values``."""
    known: dict[str, Threshold] = {}
    for facts in measures:
        shares = [spec for spec in facts.scores if spec.is_share]
        below = any(spec.kind == "share_below" for spec in shares)
        bounds = facts.bounds or (-math.inf, math.inf)
        known |= dict.fromkeys([spec.name for spec in shares] + [facts.name] * bool(shares), (bounds, below))
    check_threshold_values(thresholds, known)
