"""What a measure says of itself, as tables, options, charts and gates need it (``reprozoo.measures.base.Measure``)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import get_args

import numpy as np

from reprozoo.measures.base import NEAREST, PAIRWISE, Closer, Kind, Reads, ScoreSpec
from reprozoo.measures.summaries import beyond, summary
from reprozoo.testing.measure_subject import UNRELATED, MeasureSubject, declared_pairings, is_pairwise
from reprozoo.testing.results import CheckSkipped, expect


def check_declaration(subject: MeasureSubject) -> str:
    """Name, words, what it reads and which way is closer are said, as tables and options need them."""
    measure = subject.measure
    missing = [name for name in ("name", "title", "meaning", "edges", "scores") if not getattr(measure, name, None)]
    expect(not missing, f"it does not say its {', '.join(missing)}")
    expect(
        bool(re.fullmatch("[a-z][a-z0-9_]*", measure.name)), f"the name {measure.name!r} is not in lower_case_letters"
    )
    expect(
        subject.asked in ("", measure.name),
        f"it is registered as {subject.asked!r}, and calls itself {measure.name!r}",
    )
    expect(measure.meaning.endswith("."), "its meaning has to be a sentence: it ends without a full stop")
    expect(measure.reads in get_args(Reads), f"it reads {measure.reads!r}, which nothing gives")
    expect(measure.closer in get_args(Closer), f"closer is {measure.closer!r}, expected higher or lower")
    return f"{measure.title}, of {measure.reads}"


def check_scores(subject: MeasureSubject) -> str:
    """Scores have names of their own, also among the installed measures, and all that their kind needs."""
    specs = subject.measure.scores
    names = [spec.name for spec in specs]
    expect(len(set(names)) == len(names), f"two of its scores have one name: {', '.join(names)}")
    taken = _names_of_others(subject) & set(names)
    expect(not taken, f"another installed measure has a score called {', '.join(sorted(taken))}")
    for spec in specs:
        expect(
            bool(re.fullmatch("[a-z][a-z0-9_]*", spec.name)), f"the score {spec.name!r} is not in lower_case_letters"
        )
        expect(spec.kind in get_args(Kind), f"the score {spec.name} is of kind {spec.kind!r}, which does not exist")
        expect(bool(spec.meaning), f"the score {spec.name} does not say what it means")
        level = spec.kind != "quantile" or (spec.at is not None and 0 <= spec.at <= 1)
        expect(level, f"the quantile {spec.name} needs at= between 0 and 1, got {spec.at}")
    return ", ".join(names)


def check_pairings(subject: MeasureSubject) -> str:
    """Every pairing that a score names is one, and the measure can be taken under it."""
    declared = declared_pairings(subject.measure)
    expect(bool(declared), "its scores summarise no pairing")
    for pairing in declared:
        expect(pairing in PAIRWISE | NEAREST, f"the pairing {pairing!r} does not exist")
        how = "values" if is_pairwise(pairing) else "nearest"
        expect(subject.measure.takes(pairing), f"a score is of {pairing}, and the measure has no {how}")
    return ", ".join(declared)


def check_threshold(subject: MeasureSubject) -> str:
    """A share has a threshold within the bounds, and a value at it is not beyond it."""
    shares = [spec for spec in subject.measure.scores if spec.is_share]
    if not shares:
        raise CheckSkipped("none of its scores is a share")
    for spec in shares:
        _expect_threshold(subject, spec)
    values = subject.any_values()
    for spec in shares:
        for value in values:
            counted = bool(beyond(np.array([value]), spec.kind, float(value))[0])
            expect(
                counted == (spec.kind == "share_not_above"),
                f"{spec.name} counts a value of {value} wrongly at a threshold of {float(value)!r}",
            )
        share = summary(values, spec.kind, float(values.min()))
        expect(0 <= share <= 1, f"{spec.name} is {share}")
    return "strict"


def check_histogram(subject: MeasureSubject) -> str:
    """Edges increase, and values of unrelated images lie between the first and the last."""
    measure = subject.measure
    _expect_increasing(measure.edges, "the edges")
    expect(len(measure.edges) >= 2, "a histogram needs two edges")
    if measure.curve:
        _expect_increasing(measure.curve, "the thresholds of the curve")
    values = subject.found[UNRELATED] if subject.pairwise else subject.any_values()
    low, high = float(values.min()), float(values.max())
    expect(
        measure.edges[0] <= low <= high <= measure.edges[-1],
        f"unrelated images have values from {low:.4g} to {high:.4g}, the edges go from {measure.edges[0]:g} to "
        f"{measure.edges[-1]:g}",
    )
    return f"{low:.4g} to {high:.4g} of {measure.edges[0]:g} to {measure.edges[-1]:g}"


def _names_of_others(subject: MeasureSubject) -> set[str]:
    from reprozoo.zoo.plugins import import_object, installed_plugins

    found = installed_plugins().measures
    others = [import_object(entry.value.load) for name, entry in found.items() if name != subject.measure.name]
    return {spec.name for kind in others for spec in kind.scores}


def _expect_threshold(subject: MeasureSubject, spec: ScoreSpec) -> None:
    measure = subject.measure
    at = measure.threshold if spec.at is None else spec.at
    low, high = measure.bounds
    expect(
        at is not None or measure.reads == "features",  # a descriptor has one
        f"the share {spec.name} has no threshold, and neither has the measure",
    )
    expect(at is None or low <= at <= high, f"the threshold {at} of {spec.name} is outside of {low:g} to {high:g}")


def _expect_increasing(numbers: Sequence[float], what: str) -> None:
    expect(all(math.isfinite(number) for number in numbers), f"{what} are not all finite")
    expect(all(one < other for one, other in pairwise(numbers)), f"{what} do not increase")
