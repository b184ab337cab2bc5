"""What a measure gives: values, the nearest of a search, and both as they are said to be."""

from __future__ import annotations

import math

import numpy as np

from reprozoo.measures.base import Nearest, Values
from reprozoo.testing.measure_subject import MeasureSubject, Rows, declared_pairings
from reprozoo.testing.results import CheckSkipped, expect

TOLERANCE = 1e-6  # of values that are equal but for the rounding of float32 inputs, as a share of their size


def check_values(subject: MeasureSubject) -> str:
    """One finite floating value for each pair, of noise, pictures, equal, opposite and flat images alike."""
    a, b = subject.pairs()
    values = subject.measure.values(a, b)
    expect(isinstance(values, np.ndarray), f"values returned {type(values).__name__}, expected a NumPy array")
    expect(values.shape == (len(a),), f"of {len(a)} pairs the values have shape {values.shape}, expected ({len(a)},)")
    expect(np.issubdtype(values.dtype, np.floating), f"values are {values.dtype}, expected floating")
    wrong = np.flatnonzero(~np.isfinite(values))
    expect(not len(wrong), f"the value of example {_first(wrong)} is {_at(values, wrong)}: every pair needs a number")
    return f"{values.min():.4g} to {values.max():.4g}"


def check_identity(subject: MeasureSubject) -> str:
    """Two equal images have the value that the measure says, and no two images are closer than these."""
    if not subject.measure.symmetric and subject.measure.equal is None:
        raise CheckSkipped("it says no value of equal images")
    a, b = subject.pairs()
    own = np.concatenate([subject.values(a, a), subject.values(b, b)])
    equal = subject.measure.equal
    if equal is not None:
        gap = float(np.abs(own - equal).max())
        expect(gap <= _room(subject, own), f"an image and itself have a value {gap:.3g} from equal = {equal:g}")
    sign = 1 if subject.measure.closer == "higher" else -1
    beyond_equal = float((sign * subject.found).max() - (sign * own).max())
    expect(
        beyond_equal <= _room(subject, own),
        f"different images are closer than equal ones, by {beyond_equal:.3g}: {subject.measure.closer} values are "
        "said to mean closer images",
    )
    return f"{float(own[0]):.4g}"


def check_symmetry(subject: MeasureSubject) -> str:
    """Exchanging the sides changes nothing, where the measure says so."""
    if not subject.measure.symmetric:
        raise CheckSkipped("it says that the sides are not alike")
    a, b = subject.pairs()
    gap = float(np.abs(subject.values(b, a) - subject.found).max())
    expect(gap <= _room(subject, subject.found), f"with the sides exchanged values differ by {gap:.3g}")
    return f"differ by {gap:.2g}"


def check_permutation(subject: MeasureSubject) -> str:
    """Values of rows in another order are the values in that order."""
    a, b = subject.pairs()
    order = np.random.default_rng(1).permutation(len(a))
    _expect_same(subject, subject.values(a[order], b[order]), subject.found[order], "in another order")
    return "the same in another order"


def check_batch(subject: MeasureSubject) -> str:
    """The value of a pair is the same alone and among others: to the last bit, unless ``near`` allows for rounding."""
    a, b = subject.pairs()
    alone = np.concatenate([subject.values(a[i : i + 1], b[i : i + 1]) for i in range(len(a))])
    _expect_same(subject, alone, subject.found, "alone and among others")
    return "the same alone and among others"


def check_determinism(subject: MeasureSubject) -> str:
    """The same images have the same values again."""
    first, second = subject.values(*subject.pairs()), subject.values(*subject.pairs())
    gap = float(np.abs(first - second).max())
    expect(bool((first == second).all()), f"the same images have other values the second time, by {gap:.3g}")
    return "bit-equal"


def check_inputs(subject: MeasureSubject) -> str:
    """What is handed in is left as it was, and may be read-only: the images are those of the store."""
    if subject.pairwise:
        _expect_untouched("values", subject.measure.values, *subject.pairs())
    if subject.searches:
        _expect_untouched("nearest", subject.measure.nearest, *subject.haystack()[:2])
    return "untouched"


def check_search(subject: MeasureSubject) -> str:
    """The nearest of several images is the copy among them, in any order, alone and with others."""
    a, b, places = subject.haystack()
    found = subject.measure.nearest(a.copy(), b.copy())
    _expect_rows(found, len(a), len(b))
    missed = np.flatnonzero(found.rows != places)
    expect(not len(missed), f"the nearest row of a copy of row {_at(places, missed)} is {_at(found.rows, missed)}")
    alone = [subject.measure.nearest(a[i : i + 1].copy(), b.copy()) for i in range(len(a))]
    _expect_same(subject, np.concatenate([one.values for one in alone]), found.values, "alone and among others")
    turned = subject.measure.nearest(a[::-1].copy(), b[::-1].copy())
    _expect_same(subject, turned.values[::-1], found.values, "in another order")
    if subject.pairwise:
        _expect_same(subject, subject.values(a, b[found.rows]), found.values, "by values and by nearest")
    return f"{len(a)} copies among {len(b)}"


def check_own_rows(subject: MeasureSubject) -> str:
    """Within one set an image is not its own nearest."""
    if "nearest-other" not in declared_pairings(subject.measure):
        raise CheckSkipped("none of its scores is of one set with itself")
    a, b, places = subject.haystack()
    found = subject.measure.nearest(a.copy(), b.copy(), own=places.copy())
    _expect_rows(found, len(a), len(b))
    itself = np.flatnonzero(found.rows == places)
    expect(not len(itself), f"with own= row {_at(places, itself)} is its own nearest")
    for row, place in enumerate(places):
        rest = np.delete(np.arange(len(b)), place)
        best = int(rest[subject.measure.nearest(a[row : row + 1].copy(), b[rest].copy()).rows[0]])
        expect(
            best == int(found.rows[row]),
            f"with own= the nearest of row {place} is {found.rows[row]}, without that row in the set it is {best}",
        )
    return f"{len(a)} rows passed over"


def check_reference(subject: MeasureSubject) -> str:
    """Values are those of the formula that the author wrote a second time."""
    if subject.reference is None:
        raise CheckSkipped("no reference was given")
    if subject.pairwise:
        a, b = subject.pairs()
        values = subject.found
    else:
        a, b = subject.haystack()[:2]
        values = subject.measure.nearest(a.copy(), b.copy()).values
    expected = np.asarray(subject.reference(a, b), dtype=np.float64)
    expect(expected.shape == values.shape, f"the reference gives shape {expected.shape}, the measure {values.shape}")
    gaps = np.abs(values - expected)
    worst = int(gaps.argmax())
    expect(
        float(gaps[worst]) <= _room(subject, expected),
        f"the value of example {worst} is {values[worst]:.9g}, by the reference {expected[worst]:.9g}",
    )
    return f"differ by {float(gaps[worst]):.2g}"


# --- what the checks share ----------------------------------------------------------------------------------------


def _room(subject: MeasureSubject, values: Values) -> float:
    """How far rounding may move values of this size."""
    return max(subject.measure.near, TOLERANCE * max(1.0, float(np.abs(values).max())))


def _expect_same(subject: MeasureSubject, other: Values, values: Values, how: str) -> None:
    gap = float(np.abs(other - values).max()) if other.shape == values.shape else math.inf
    expect(gap <= subject.measure.near, f"{how} values differ by {gap:.3g} (near = {subject.measure.near:g})")


def _expect_untouched(name: str, function: object, a: Rows, b: Rows) -> None:
    before = a.copy(), b.copy()
    function(a, b)  # type: ignore[operator]
    changed = [side for side, was, now in zip("ab", before, (a, b), strict=True) if not np.array_equal(was, now)]
    expect(not changed, f"{name} wrote into {' and '.join(changed)}; copy before changing in place")
    for array in before:
        array.flags.writeable = False
    try:
        function(*before)  # type: ignore[operator]
    except ValueError as error:
        expect("read-only" not in str(error), f"{name} writes into what it is given: {error}")
        raise


def _expect_rows(found: Nearest, count: int, among: int) -> None:
    for what, array in (("values", found.values), ("rows", found.rows)):
        expect(array.shape == (count,), f"of {count} images the {what} have shape {array.shape}")
    expect(np.issubdtype(found.rows.dtype, np.integer), f"rows are {found.rows.dtype}, expected whole numbers")
    expect(bool(np.isfinite(found.values).all()), "a value of the search is not finite")
    expect(bool(((found.rows >= 0) & (found.rows < among)).all()), f"a row is not one of the {among} searched")


def _first(places: Rows) -> int:
    return int(places[0]) if len(places) else -1


def _at(array: Rows, places: Rows) -> object:
    return array[places[0]] if len(places) else None
