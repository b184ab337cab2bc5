"""Several runs as one result: other models on the same noise are put beside each other, other noises are joined.

Nothing is sampled. What does not fit is refused with a sentence that says what differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.engine.cautions import cautions_about_scores
from reprozoo.engine.rescoring import with_scores
from reprozoo.engine.result import Comparison, Measurement, SideRecord

NOISE_OF_RUN = ("sha256",)  # of the noise record: of these indices, not of the source


def combined(results: Sequence[Comparison], names: Sequence[str]) -> Comparison:
    """One result of several runs; one that is named twice counts once.

    Args:
        names: of the runs, for sentences.

    Raises:
        UsageError: two runs fit neither way; it says what differs.
    """
    pairs = [(run, name) for k, (run, name) in enumerate(zip(results, names, strict=True)) if run not in results[:k]]
    return reduce(lambda first, second: (_two(first, second), second[1]), pairs)[0]


def _two(first: tuple[Comparison, str], second: tuple[Comparison, str]) -> Comparison:
    (a, name_a), (b, name_b) = first, second
    where = f"{name_a} and {name_b} cannot be put together"
    for what, one, other in (
        ("noise", _source(a), _source(b)),
        ("conditions", a.conditions, b.conditions),
        ("problem", a.problem, b.problem),
    ):
        if one != other:
            raise UsageError(f"{where}: they differ in their {what}: {_said(one, other)}")
    _check_sides(a, b, where)
    _check_measures(a, b, where)
    if a.noise_indices == b.noise_indices:
        return merged(a, b, where)
    overlap = set(a.noise_indices) & set(b.noise_indices)
    if overlap:
        raise UsageError(
            f"{where}: they share {len(overlap):,} noises and not all; runs of the same noises, or of others "
            f"altogether, can: {_runs(a)} and {_runs(b)}"
        )
    return joined(a, b, where)


def merged(a: Comparison, b: Comparison, where: str = "the runs") -> Comparison:
    """Two runs on the same noises: every side and measurement of both; pairs across them were not compared.

    Raises:
        UsageError: the same measurement has other values in the other run.
    """
    if a.data and b.data and a.data != b.data:
        raise UsageError(f"{where}: models were searched in other images: {_said(a.data, b.data)}")
    if a.noise and b.noise and a.noise != b.noise:
        raise UsageError(f"{where}: the same indices have other noise: {_said(a.noise, b.noise)}")
    _check_equal(a, b, where)
    known = {_key(m) for m in a.measurements}
    labels = {side.label for side in a.sides}
    tested = {(test.score, *map(tuple, (test.first, test.second))) for test in a.tests}
    measures = {facts.id for facts in a.measures}
    whole = replace(
        _both(a, b),
        sides=_ordered([*a.sides, *(side for side in b.sides if side.label not in labels)]),
        measures=[*a.measures, *(facts for facts in b.measures if facts.id not in measures)],
        measurements=[*a.measurements, *(m for m in b.measurements if _key(m) not in known)],
        tests=[*a.tests, *(t for t in b.tests if (t.score, tuple(t.first), tuple(t.second)) not in tested)],
        noise=a.noise or b.noise,
        data=a.data or b.data,
    )
    return _warned(whole, a, b)


def joined(a: Comparison, b: Comparison, where: str = "the runs") -> Comparison:
    """Two runs of the same sides on other noises: the values of both, and scores of all of them.

    Raises:
        UsageError: the sides or the measurements are not the same.
    """
    for what, one, other in (
        ("sides", [s.label for s in a.sides], [s.label for s in b.sides]),
        ("measurements", sorted(map(_key, a.measurements)), sorted(map(_key, b.measurements))),
        ("data set", a.data, b.data),
    ):
        if one != other:
            raise UsageError(f"{where}: on other noises ({_runs(a)} and {_runs(b)}), the {what} must be the same")
    indices = np.array([*a.noise_indices, *b.noise_indices])
    order = np.argsort(indices, kind="stable")
    others = {_key(m): m for m in b.measurements}
    names = [*a.condition_names, *b.condition_names] if a.condition_names and b.condition_names else []
    whole = replace(
        _both(a, b),
        sides=[_side(one, other) for one, other in zip(a.sides, b.sides, strict=True)],
        measurements=[_measurement(m, others[_key(m)], order, a, b, where) for m in a.measurements],
        indices=_runs_of(indices[order].tolist()),
        noise={key: value for key, value in a.noise.items() if key not in NOISE_OF_RUN},
        condition_names=[names[place] for place in order] if names else [],
    )
    question = {**whole.question, "num_samples": len(indices)}
    return _warned(with_scores(replace(whole, question=question), a), a, b)


def _warned(whole: Comparison, a: Comparison, b: Comparison) -> Comparison:
    """The same with every warning once, and those about scores as they are in both runs together."""
    own = list(cautions_about_scores(whole.measurements, count=whole.num_samples, noise=bool(whole.noise)))
    stale = {*own}
    for run in (a, b):
        stale.update(cautions_about_scores(run.measurements, count=run.num_samples, noise=bool(run.noise)))
    kept = [warning for warning in dict.fromkeys(whole.warnings) if warning not in stale]
    return replace(whole, warnings=[*kept, *own])


def _measurement(
    m: Measurement, other: Measurement, order: NDArray[Any], a: Comparison, b: Comparison, where: str
) -> Measurement:
    """The values of both, in the order of the noises; what does not depend on them is taken from the first."""
    if m.pairing == "nearest-other":
        return m
    if m.values is None or other.values is None:
        raise UsageError(f"{where}: the values of {m.measure} of single noises were not recorded")
    rounds = min(m.rounds, other.rounds)
    values = np.concatenate([m.values[:rounds], other.values[:rounds]], axis=1)
    partners = None
    if m.partners is not None and other.partners is not None:
        rows = min(len(m.partners), len(other.partners))
        partners = np.concatenate([m.partners[:rows], other.partners[:rows]], axis=1)
    if values.shape[1] == len(order):
        return replace(
            m, rounds=rounds, equal=m.equal + other.equal, count=len(order), values=values[:, order],
            partners=partners if partners is None else partners[:, order], own=None,
        )  # fmt: skip
    own = np.array([*_own(m, a), *_own(other, b)])
    return replace(
        m, rounds=rounds, equal=m.equal + other.equal, count=len(own), values=values, partners=partners, own=own
    )


def _own(m: Measurement, comparison: Comparison) -> list[int]:
    return comparison.noise_indices[: m.count] if m.own is None else m.own.tolist()


def _side(a: SideRecord, b: SideRecord) -> SideRecord:
    """One record of both; a digest of all images is not known."""
    same = a.images_sha256 == b.images_sha256
    return replace(
        a, sampled=a.sampled + b.sampled, reused=a.reused + b.reused, sampling_s=a.sampling_s + b.sampling_s,
        images_sha256=a.images_sha256 if same else "",
    )  # fmt: skip


def _both(a: Comparison, b: Comparison) -> Comparison:
    """What two runs say of themselves, together."""
    common = {name: value for name, value in a.question.items() if b.question.get(name) == value}
    asked = [q for result in (a, b) for q in result.question.get("merged", [result.question])]
    common.pop("merged", None)
    descriptors = {record.get("id"): record for record in [*b.descriptors, *a.descriptors]}
    return replace(
        a,
        question={**common, "merged": asked},
        descriptors=list(descriptors.values()),
        plugins=_plugins([*a.plugins, *b.plugins]),
        warnings=list(dict.fromkeys([*a.warnings, *b.warnings])),
        created=max(a.created, b.created),
        elapsed_s=a.elapsed_s + b.elapsed_s,
        image_loader=a.image_loader,
    )


def _plugins(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        own = found.setdefault(record["name"], {**record, "gave": []})
        own["gave"] = list(dict.fromkeys([*own["gave"], *record.get("gave", ())]))
    return list(found.values())


def _check_sides(a: Comparison, b: Comparison, where: str) -> None:
    """Refuse two sides of one label that are not the same; that two of no identity are the same cannot be known."""
    known = {side.label: side for side in a.sides}
    for side in b.sides:
        first = known.get(side.label)
        if first is not None and (first.images_key, first.role) != (side.images_key, side.role):
            raise UsageError(f"{where}: {side.label} is not the same in both: its options, weights or role differ")
        if first is not None and not (first.kept and side.kept):
            raise UsageError(f"{where}: nothing proves that the object {side.label} is the same in both")


def _check_measures(a: Comparison, b: Comparison, where: str) -> None:
    known = {facts.id: facts for facts in a.measures}
    for facts in b.measures:
        own = {spec.name: spec.at for spec in known[facts.id].scores} if facts.id in known else {}
        for spec in facts.scores:
            if own.get(spec.name, spec.at) != spec.at:
                raise UsageError(
                    f"{where}: the threshold of {spec.name} differs: {own[spec.name]:g} and {spec.at:g}; "
                    "choose one with --threshold"
                )


def _check_equal(a: Comparison, b: Comparison, where: str) -> None:
    known = {_key(m): m for m in a.measurements}
    for m in b.measurements:
        own = known.get(_key(m))
        if (
            own is not None
            and own.values is not None
            and m.values is not None
            and not np.array_equal(own.values, m.values)
        ):
            raise UsageError(f"{where}: {m.measure} of {m.a} and {m.b} has other values in the other run")


def _ordered(sides: Sequence[SideRecord]) -> list[SideRecord]:
    """Models, baselines, data, references, as every result has them."""
    roles = ("model", "baseline", "data", "reference")
    return sorted(sides, key=lambda side: roles.index(side.role))


def _source(comparison: Comparison) -> dict[str, Any]:
    return {key: value for key, value in comparison.noise.items() if key not in NOISE_OF_RUN}


def _key(m: Measurement) -> tuple[str, str, str, str]:
    return m.measure, m.pairing, m.a, m.b


def _runs(comparison: Comparison) -> str:
    return "noises " + ", ".join(f"{start}–{stop - 1}" for start, stop in comparison.indices)


def _runs_of(indices: Sequence[int]) -> list[list[int]]:
    from reprozoo.engine.store import runs_of

    return [list(run) for run in runs_of(indices)]


def _said(one: Any, other: Any) -> str:
    """What differs between two values, shortly."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return ", ".join(_differences(one, other)) or "nothing that can be named"
    return f"{one or 'none'} and {other or 'none'}"


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*one, *other]):
        if one.get(key) != other.get(key):
            yield f"{key} {str(one.get(key, 'none'))[:60]} and {str(other.get(key, 'none'))[:60]}"
