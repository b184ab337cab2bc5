"""The table of checks of a measure, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from reprozoo.testing import measure_checks as taken
from reprozoo.testing import measure_declarations as said
from reprozoo.testing.measure_subject import MeasureSubject, MeasureTarget, Reference, Rows
from reprozoo.testing.results import CheckResult
from reprozoo.testing.running import assert_kept, chosen_checks, run_check

MEASURE_CHECKS: Mapping[str, Callable[[MeasureSubject], str]] = {
    "declaration": said.check_declaration,
    "scores": said.check_scores,
    "pairings": said.check_pairings,
    "values": taken.check_values,
    "identity": taken.check_identity,
    "symmetry": taken.check_symmetry,
    "permutation": taken.check_permutation,
    "batch": taken.check_batch,
    "determinism": taken.check_determinism,
    "threshold": said.check_threshold,
    "histogram": said.check_histogram,
    "inputs": taken.check_inputs,
    "search": taken.check_search,
    "own-rows": taken.check_own_rows,
    "reference": taken.check_reference,
}


def run_measure_checks(
    target: MeasureTarget,
    *,
    reference: Reference | None = None,
    examples: tuple[Rows, Rows] | None = None,
    checks: Iterable[str] | None = None,
) -> list[CheckResult]:
    """Run the checks on a measure and say how each came out; a check that fails does not keep the next from running.

    Args:
        target: a measure, its class, a function that makes one, or the name of an installed one.
        reference: the measure's formula, written a second time: (a, b) -> (n,) values.
        examples: (a, b) that it is tried on, instead of images or features made here.
        checks: names out of ``MEASURE_CHECKS``; all by default.

    Raises:
        UsageError: a check or a measure that does not exist.
    """
    subject = MeasureSubject(target, reference=reference, examples=examples)
    return [run_check(name, MEASURE_CHECKS[name], subject) for name in chosen_checks(checks, MEASURE_CHECKS)]


def check_measure(
    measure: MeasureTarget, *, reference: Reference | None = None, examples: tuple[Rows, Rows] | None = None
) -> None:
    """Run ``MEASURE_CHECKS`` on a measure and name every one that fails.

    Args:
        measure, reference, examples: as ``run_measure_checks`` takes them.

    Raises:
        AssertionError: a check failed.
    """
    assert_kept("measure", run_measure_checks(measure, reference=reference, examples=examples))
