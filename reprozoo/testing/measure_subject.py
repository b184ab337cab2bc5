"""``MeasureSubject``: a measure under test, with the images or features that it is tried on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.measures.base import PAIRWISE, Measure, Values
from reprozoo.testing.results import CheckSkipped

Rows: TypeAlias = NDArray[Any]
Reference: TypeAlias = Callable[[Rows, Rows], Any]
MeasureTarget: TypeAlias = Measure | type[Measure] | Callable[[], Measure] | str

SIZE, DIM = 64, 32  # of example images and features
UNRELATED = slice(0, 3)  # the example rows that have nothing to do with each other
SEARCHED, OTHERS = 5, 11  # images looked for, and images beside them


class MeasureSubject:
    """One measure under test.

    Args:
        target: a measure, its class, a function without arguments that makes one, or the name of an installed one.
        reference: the measure's formula, written a second time: (a, b) -> (n,) values of what ``values`` takes, or of
            what ``nearest`` does where the measure only searches.
        examples: (a, b) of at least four rows that the measure is tried on; by default 8 images of 64×64, or unit
            vectors. Measures that read "measurements" need them.

    Raises:
        UsageError: ``target`` is none of these, or nothing is called so.
    """

    def __init__(
        self,
        target: MeasureTarget,
        *,
        reference: Reference | None = None,
        examples: tuple[Rows, Rows] | None = None,
    ) -> None:
        self.asked = target if isinstance(target, str) else ""
        self.measure = _measure(target)
        self.reference = reference
        self._examples = examples

    @property
    def name(self) -> str:
        """What to call it."""
        return self.asked or str(getattr(self.measure, "name", type(self.measure).__name__))

    @property
    def pairwise(self) -> bool:
        """Whether it is taken of pairs."""
        return self.measure.takes("same")

    @property
    def searches(self) -> bool:
        """Whether it is taken of the nearest."""
        return self.measure.takes("nearest")

    @cached_property
    def examples(self) -> tuple[Rows, Rows]:
        """Pairs of images or features: unrelated, alike, equal and opposite."""
        if self._examples is not None:
            return self._examples
        if self.measure.reads == "measurements":
            raise CheckSkipped("it reads measurements: give examples=(images, measurements)")
        return _features() if self.measure.reads == "features" else _images()

    def pairs(self) -> tuple[Rows, Rows]:
        """Copies of the examples, which a measure may spoil.

        Raises:
            CheckSkipped: the measure is not taken of pairs.
        """
        if not self.pairwise:
            raise CheckSkipped("it is not taken of pairs")
        a, b = self.examples
        return a.copy(), b.copy()

    def values(self, a: Rows, b: Rows) -> Values:
        """The measure's values of copies."""
        return self.measure.values(a.copy(), b.copy())

    @cached_property
    def found(self) -> Values:
        """The values of the examples, taken once."""
        return self.values(*self.pairs())

    def any_values(self) -> Values:
        """Of pairs, or of a search where it is not taken of pairs."""
        return self.found if self.pairwise else self.measure.nearest(*self.haystack()[:2]).values

    def haystack(self) -> tuple[Rows, Rows, NDArray[np.int64]]:
        """Rows to look for, rows to look in, and where their copies lie in these.

        Raises:
            CheckSkipped: the measure does not search.
        """
        if not self.searches:
            raise CheckSkipped("it does not search for the nearest")
        rng = np.random.default_rng(3)
        among = _unit(rng, SEARCHED + OTHERS) if self.measure.reads == "features" else _noise(rng, SEARCHED + OTHERS)
        places = rng.permutation(len(among))[:SEARCHED].astype(np.int64)
        return among[places].copy(), among, places


def _measure(target: MeasureTarget) -> Measure:
    if isinstance(target, str):
        target = _installed(target)
    made = target if isinstance(target, Measure) else target() if callable(target) else target
    if not isinstance(made, Measure):
        raise UsageError(
            "expected a Measure, its class, a function that makes one or the name of an installed one, got "
            f"{type(made).__name__}"
        )
    return made


def _installed(name: str) -> Callable[[], Measure]:
    from reprozoo.zoo.plugins import import_object, installed_plugins

    known = installed_plugins().measures
    if name not in known:
        raise UsageError(f"no measure is called {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}")
    found: Callable[[], Measure] = import_object(known[name].value.load)
    return found


def declared_pairings(measure: Measure) -> list[str]:
    """Every pairing that one of its scores names."""
    return sorted({pairing for spec in measure.scores for pairing in spec.pairings})


def is_pairwise(pairing: str) -> bool:
    """Whether values, and not a search, are taken under it."""
    return pairing in PAIRWISE


# --- examples -----------------------------------------------------------------------------------------------------


def _images() -> tuple[Rows, Rows]:
    """Noise and noise, a picture and another, noise and a picture; nearly equal twice, equal, opposite, flat."""
    rng = np.random.default_rng(0)
    noise, pictures = _noise(rng, 4), _smooth(rng, 4)
    touched = pictures[2].copy()
    touched[0, 0, 0] ^= 1
    grainy = np.clip(pictures[3].astype(np.int16) + rng.integers(-8, 9, pictures[3].shape), 0, 255).astype(np.uint8)
    black, grey = np.zeros_like(touched), np.full_like(touched, 128)
    first = [noise[0], pictures[0], noise[2], pictures[2], pictures[3], noise[3], black, grey]
    second = [noise[1], pictures[1], pictures[0], touched, grainy, noise[3], ~black, grey + np.uint8(1)]
    return np.stack(first), np.stack(second)


def _features() -> tuple[Rows, Rows]:
    """Unrelated three times, nearly equal twice, equal, opposite, along one axis and another."""
    rng = np.random.default_rng(0)
    a, b = _unit(rng, 8), _unit(rng, 8)
    b[3] = a[3] + np.float32(1e-3) * b[3]
    b[4] = a[4] + np.float32(0.2) * b[4]
    b[5], b[6] = a[5], -a[6]
    a[7], b[7] = np.eye(DIM, dtype=np.float32)[:2]
    return a, _normalised(b)


def _noise(rng: np.random.Generator, count: int) -> Rows:
    return rng.integers(256, size=(count, 3, SIZE, SIZE), dtype=np.uint8)


def _smooth(rng: np.random.Generator, count: int) -> Rows:
    """Sums of a few waves, as photographs are: most of what differs is low."""
    places = np.arange(SIZE) / SIZE
    pictures = np.zeros((count, 3, SIZE, SIZE))
    for across in range(4):
        for down in range(4):
            waves = np.cos(2 * np.pi * (across * places + down * places[:, None])[None, None] + _phases(rng, count))
            pictures += waves / (1 + across + down)
    low, high = pictures.min(), pictures.max()
    levels: Rows = np.round(255 * (pictures - low) / (high - low)).astype(np.uint8)
    return levels


def _phases(rng: np.random.Generator, count: int) -> Rows:
    return rng.uniform(0, 2 * np.pi, (count, 3, 1, 1))


def _unit(rng: np.random.Generator, count: int) -> Rows:
    return _normalised(rng.standard_normal((count, DIM)))


def _normalised(rows: Rows) -> Rows:
    unit: Rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit
