"""Measures that keep every promise but one: the negative control of each check."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.measures.base import Measure, Nearest, ScoreSpec, Values


class Sound(Measure):
    """Share of values that differ, which keeps every promise, and the search for the smallest."""

    name = "differing"
    title = "differing"
    meaning = "Share of values that differ. 0: equal images; 1: nothing is the same."
    closer = "lower"
    edges = tuple(i / 10 for i in range(11))
    curve = (0.1, 0.2)
    bounds = (0.0, 1.0)
    threshold = 0.5
    equal = 0.0
    scores: tuple[ScoreSpec, ...] = (
        ScoreSpec(name="differing", kind="mean", meaning="Mean share of values that differ."),
        ScoreSpec(name="few_differ", kind="share_below", meaning="Share of noises with few values that differ."),
        ScoreSpec(
            name="least_differing",
            kind="share_not_above",
            meaning="Share of images with a near one.",
            pairings=frozenset({"nearest", "nearest-other"}),
        ),
    )

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        values: Values = (a != b).mean(axis=tuple(range(1, a.ndim)))
        return values

    def nearest(self, a: NDArray[Any], b: NDArray[Any], *, own: NDArray[np.int64] | None = None) -> Nearest:
        values = np.stack([self.values(np.broadcast_to(row, b.shape), b) for row in a])
        if own is not None:
            values[np.arange(len(a)), own] = np.inf
        rows = values.argmin(axis=1)
        return Nearest(values[np.arange(len(a)), rows], rows)


def reference(a: NDArray[Any], b: NDArray[Any]) -> list[float]:
    """The formula of ``Sound``, by counting."""
    return [np.count_nonzero(x.ravel() - y.ravel()) / x.size for x, y in zip(a, b, strict=True)]


class ShoutsItsName(Sound):
    name = "Differing"


class NoSentence(Sound):
    meaning = "share of values that differ"


class TwoOfAName(Sound):
    scores = (*Sound.scores, Sound.scores[0])


class TakesRp(Sound):
    scores = (*Sound.scores, replace(Sound.scores[0], name="rp"))


class NoLevel(Sound):
    scores = (*Sound.scores, ScoreSpec(name="most", kind="quantile", meaning="The most."))


class NoSearch(Sound):
    nearest = Measure.nearest


class OtherPairing(Sound):
    scores = (*Sound.scores, replace(Sound.scores[0], name="best", pairings=frozenset({"best"})))


class OneNumber(Sound):
    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        return (a != b).mean(axis=tuple(range(1, a.ndim)), keepdims=True).reshape(-1, 1)


class Whole(Sound):
    """Counts as integers."""

    bounds = (0.0, float("inf"))
    edges = (0.0, 1e5)

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        return (a != b).sum(axis=tuple(range(1, a.ndim)))


class DividesByZero(Sound):
    """NaN where both images are flat."""

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        flat = np.array([len(np.unique(x)) == len(np.unique(y)) == 1 for x, y in zip(a, b, strict=True)])
        return np.where(flat, np.nan, super().values(a, b))


class NotEqual(Sound):
    """0.1 where ``equal`` says 0."""

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        return 0.1 + 0.9 * super().values(a, b)


class WrongWay(Sound):
    """Says that higher values are closer."""

    closer = "higher"


class OneSided(Sound):
    """Looks at the brighter values of the first side alone."""

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        values: Values = (a > b).mean(axis=tuple(range(1, a.ndim)))
        return values


class ByPosition(Sound):
    """Adds something to where the brightest first image stands in the batch, if it is not first."""

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        values = super().values(a, b)
        place = int(a.reshape(len(a), -1).mean(1).argmax())
        values[0] += 0.001 * place * (values[0] > 0)
        return values


class OverTheBatch(Sound):
    """Divides by the largest value of the batch."""

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        values = super().values(a, b)
        return values / max(values.max(), 1e-9)


class Remembers(Sound):
    """A little less with every call."""

    near = 1.0  # it says that rounding decides everything

    def __init__(self) -> None:
        self.calls = 0

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        self.calls += 1
        return super().values(a, b) * 0.999**self.calls


class NoThreshold(Sound):
    threshold = None


class OutOfBounds(Sound):
    threshold = 15.0


class FallingEdges(Sound):
    edges = (0.0, 0.5, 0.4, 1.0)


class EdgesElsewhere(Sound):
    edges = (0.0, 0.1, 0.2)


class WritesInput(Sound):
    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        values = super().values(a, b)
        a[0] = 0
        return values


class WritesBack(Sound):
    """Writes what was there already, which shows on a read-only array."""

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        b += 0
        return super().values(a, b)


class FindsTheFarthest(Sound):
    def nearest(self, a: NDArray[Any], b: NDArray[Any], *, own: NDArray[np.int64] | None = None) -> Nearest:
        values = np.stack([self.values(np.broadcast_to(row, b.shape), b) for row in a])
        if own is not None:
            return super().nearest(a, b, own=own)
        rows = values.argmax(axis=1)
        return Nearest(values[np.arange(len(a)), rows], rows)


class OtherValue(Sound):
    """The search gives another value than ``values`` of the same two rows."""

    near = 1e-5

    def nearest(self, a: NDArray[Any], b: NDArray[Any], *, own: NDArray[np.int64] | None = None) -> Nearest:
        found = super().nearest(a, b, own=own)
        return Nearest(found.values + 0.01, found.rows)


class FindsItself(Sound):
    def nearest(self, a: NDArray[Any], b: NDArray[Any], *, own: NDArray[np.int64] | None = None) -> Nearest:
        return super().nearest(a, b)


class AnotherFormula(Sound):
    """What differs by more than one level."""

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        values: Values = (np.abs(a.astype(np.int16) - b) > 1).mean(axis=tuple(range(1, a.ndim)))
        return values
