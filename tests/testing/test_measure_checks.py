"""Every check passes on a measure that keeps its promise, and fails on one that breaks exactly that."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.measures.base import Measure
from reprozoo.testing import (
    MEASURE_CHECKS,
    CheckFailed,
    CheckResult,
    MeasureSubject,
    check_measure,
    parametrize_measure_checks,
    run_measure_checks,
)
from tests.testing import broken_measures as broken


def by_status(results: list[CheckResult], status: str) -> dict[str, str]:
    return {result.name: result.detail for result in results if result.status == status}


def test_a_sound_measure_passes() -> None:
    results = run_measure_checks(broken.Sound, reference=broken.reference)
    assert [result.name for result in results] == list(MEASURE_CHECKS)
    assert {result.name: result.detail for result in results if result.status != "ok"} == {}


@pytest.mark.parametrize(
    ("kind", "check", "sentence"),
    [
        (broken.ShoutsItsName, "declaration", "'Differing' is not in lower_case_letters"),
        (broken.NoSentence, "declaration", "its meaning has to be a sentence"),
        (broken.TwoOfAName, "scores", "two of its scores have one name: differing, few_differ, least_differing, diff"),
        (broken.TakesRp, "scores", "another installed measure has a score called rp"),
        (broken.NoLevel, "scores", "the quantile most needs at= between 0 and 1, got None"),
        (broken.NoSearch, "pairings", "a score is of nearest, and the measure has no nearest"),
        (broken.OtherPairing, "pairings", "the pairing 'best' does not exist"),
        (broken.OneNumber, "values", r"of 8 pairs the values have shape \(8, 1\), expected \(8,\)"),
        (broken.Whole, "values", "values are int64, expected floating"),
        (broken.DividesByZero, "values", "the value of example 6 is nan: every pair needs a number"),
        (broken.NotEqual, "identity", "an image and itself have a value 0.1 from equal = 0"),
        (broken.WrongWay, "identity", "different images are closer than equal ones, by 1: higher values are said to"),
        (broken.OneSided, "symmetry", r"with the sides exchanged values differ by 1"),
        (broken.ByPosition, "permutation", r"in another order values differ by 0\.00\d+ \(near = 0\)"),
        (broken.OverTheBatch, "batch", r"alone and among others values differ by 1 \(near = 0\)"),
        (broken.Remembers, "determinism", "the same images have other values the second time, by 0.000"),
        (broken.NoThreshold, "threshold", "the share few_differ has no threshold, and neither has the measure"),
        (broken.OutOfBounds, "threshold", "the threshold 15.0 of few_differ is outside of 0 to 1"),
        (broken.FallingEdges, "histogram", "the edges do not increase"),
        (broken.EdgesElsewhere, "histogram", r"values from 0\.\d+ to 0\.\d+, the edges go from 0 to 0.2"),
        (broken.WritesInput, "inputs", "values wrote into a; copy before changing in place"),
        (broken.WritesBack, "inputs", "values writes into what it is given: output array is read-only"),
        (broken.FindsTheFarthest, "search", r"the nearest row of a copy of row \d+ is \d+"),
        (broken.OtherValue, "search", r"by values and by nearest values differ by 0.01 \(near = 1e-05\)"),
        (broken.FindsItself, "own-rows", r"with own= row \d+ is its own nearest"),
        (broken.AnotherFormula, "reference", r"the value of example 7 is 0, by the reference 1"),
    ],
)
def test_each_check_catches_what_it_is_for(kind: type[Measure], check: str, sentence: str) -> None:
    for checks in (MEASURE_CHECKS, [check]):
        failed = by_status(run_measure_checks(kind, reference=broken.reference, checks=checks), "failed")
        assert check in failed
        assert re.search(sentence, failed[check])


def test_every_check_has_something_that_breaks_it() -> None:
    (mark,) = test_each_check_catches_what_it_is_for.pytestmark
    assert {check for _, check, _ in mark.args[1]} == set(MEASURE_CHECKS)


def test_what_does_not_apply_is_skipped_with_a_reason() -> None:
    class Searches(broken.Sound):
        values = Measure.values
        symmetric = False
        equal = None
        scores = broken.Sound.scores[2:]

        def nearest(self, a: NDArray, b: NDArray, *, own: NDArray | None = None) -> object:
            return broken.Sound().nearest(a, b, own=own)

    results = run_measure_checks(Searches())
    assert by_status(results, "failed") == {}
    assert by_status(results, "skipped") == {
        "values": "it is not taken of pairs",
        "identity": "it says no value of equal images",
        "symmetry": "it says that the sides are not alike",
        "permutation": "it is not taken of pairs",
        "batch": "it is not taken of pairs",
        "determinism": "it is not taken of pairs",
        "reference": "no reference was given",
    }


def test_measurements_need_examples() -> None:
    class OfMeasurements(broken.Sound):
        reads = "measurements"
        scores = broken.Sound.scores[:2]
        nearest = Measure.nearest

    assert by_status(run_measure_checks(OfMeasurements), "skipped")["batch"].startswith("it reads measurements: give")
    a, b = (np.random.default_rng(seed).integers(2, size=(5, 7), dtype=np.uint8) for seed in (0, 1))
    results = run_measure_checks(OfMeasurements, examples=(a, b), reference=broken.reference)
    assert by_status(results, "failed") == {}
    assert set(by_status(results, "skipped")) == {"search", "own-rows"}


def test_asserting_names_every_broken_promise() -> None:
    check_measure(broken.Sound(), reference=broken.reference)
    with pytest.raises(AssertionError, match=r"the measure breaks its contract: symmetry: .*; reference: the value of"):
        check_measure(broken.OneSided, reference=broken.reference)


def test_cases_for_pytest() -> None:
    mark = parametrize_measure_checks(broken.Sound, checks=["batch", "symmetry"])
    assert [case.id for case in mark.args[1]] == ["differing-symmetry", "differing-batch"]
    assert [case.values[0]() for case in mark.args[1]] == ["differ by 0", "the same alone and among others"]
    several = parametrize_measure_checks(["psnr", broken.Sound()], checks=["values"])
    assert [case.id for case in several.args[1]] == ["psnr-values", "differing-values"]
    (reference,) = parametrize_measure_checks(broken.Sound, checks=["reference"]).args[1]
    with pytest.raises(pytest.skip.Exception, match="no reference was given"):
        reference.values[0]()
    (failing,) = parametrize_measure_checks(broken.NotEqual, checks=["identity"]).args[1]
    with pytest.raises(CheckFailed, match="an image and itself"):
        failing.values[0]()


def test_what_cannot_be_checked_is_a_sentence() -> None:
    with pytest.raises(
        UsageError, match=r"no check is called 'symetry' \(did you mean 'symmetry'\?\); there are: decl"
    ):
        run_measure_checks(broken.Sound, checks=["symetry"])
    with pytest.raises(UsageError, match=r"no measure is called 'psrn' \(did you mean 'psnr'\?\); there are"):
        MeasureSubject("psrn")
    with pytest.raises(UsageError, match=r"expected a Measure, its class, .* got int"):
        MeasureSubject(3)  # type: ignore[arg-type]
