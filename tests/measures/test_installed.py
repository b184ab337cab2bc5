"""Every measure that is installed keeps its contract, and those that come with reprozoo their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from numpy.typing import NDArray

from reprozoo.measures.library import classes, specs
from reprozoo.testing import MEASURE_CHECKS, BoundCheck, MeasureSubject
from reprozoo.zoo.plugins import installed_plugins

# Written from the papers and textbooks, number by number, in Python's own arithmetic.


def similarity(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def feature_distance(a: list[float], b: list[float]) -> float:
    return math.dist(a, b)


def mean_abs(a: list[float], b: list[float]) -> float:
    return math.fsum(abs(x - y) for x, y in zip(a, b, strict=True)) / len(a)


def max_abs(a: list[float], b: list[float]) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


def psnr(a: list[float], b: list[float]) -> float:
    mse = math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a)
    return min(100.0, 10 * math.log10(255**2 / mse)) if mse else 100.0


PAIRS: dict[str, Callable[[list[float], list[float]], float]] = {
    found.__name__: found for found in (similarity, feature_distance, mean_abs, max_abs, psnr)
}


def distance_ratio(a: NDArray, b: NDArray) -> list[float]:
    train = [row.ravel().tolist() for row in b]
    nearest = [sorted(math.dist(row.ravel().tolist(), other) for other in train)[:2] for row in a]
    return [first / second for first, second in nearest]


def reference(name: str) -> Callable[[NDArray, NDArray], list[float]] | None:
    if name == "distance_ratio":
        return distance_ratio
    if name not in PAIRS:
        return None  # of another distribution, which has tests of its own
    return lambda a, b: [PAIRS[name](x.ravel().tolist(), y.ravel().tolist()) for x, y in zip(a, b, strict=True)]


def cases() -> Iterator[object]:
    for name in installed_plugins().measures:
        subject = MeasureSubject(name, reference=reference(name))
        yield from (
            pytest.param(BoundCheck(subject, check, MEASURE_CHECKS), id=f"{name}-{check}") for check in MEASURE_CHECKS
        )


@pytest.mark.parametrize("check", list(cases()))
def test_contract(check: BoundCheck) -> None:
    check()


def test_each_measure_of_reprozoo_has_a_formula_here() -> None:
    assert {kind.name for kind in classes()} == {*PAIRS, "distance_ratio"}


def test_what_is_registered_is_what_the_files_define() -> None:
    """The host reads the files without importing them; the classes say the same."""
    registered = {name: found.value for name, found in installed_plugins().measures.items()}
    for spec in specs():
        assert registered[spec.name] == spec
        assert registered[spec.name].summary == next(kind.meaning for kind in classes() if kind.name == spec.name)
