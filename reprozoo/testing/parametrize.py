"""``parametrize_with_checks`` and ``parametrize_measure_checks``: one pytest case for each map or measure and check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reprozoo.maps.condition import Condition
from reprozoo.measures.base import Measure
from reprozoo.testing.measure_running import MEASURE_CHECKS
from reprozoo.testing.measure_subject import MeasureSubject, MeasureTarget, Reference, Rows
from reprozoo.testing.results import CheckSkipped
from reprozoo.testing.running import CHECKS, chosen_checks
from reprozoo.testing.subject import Subject, Target

if TYPE_CHECKING:
    import pytest


class BoundCheck:
    """One check of one map or measure: call it in a test.

    Args:
        subject: what is checked.
        name: of the check.
        checks: where it is; those of maps by default.
    """

    def __init__(
        self, subject: Subject | MeasureSubject, name: str, checks: Mapping[str, Callable[[Any], str]] = CHECKS
    ) -> None:
        self.subject, self.name, self._check = subject, name, checks[name]

    def __call__(self) -> str:
        """Run the check and return what it measured.

        Raises:
            CheckFailed: a promise is broken; whatever else a map or measure raises comes through with its traceback.
            pytest.skip.Exception: the check does not apply.
        """
        import pytest

        try:
            return self._check(self.subject)
        except CheckSkipped as reason:
            pytest.skip(str(reason))

    def __repr__(self) -> str:
        return f"{self.subject.name}-{self.name}"


def parametrize_with_checks(
    maps: Iterable[Target], *, checks: Iterable[str] | None = None, conditions: Sequence[Condition] | None = None
) -> pytest.MarkDecorator:
    """Decorate a test so that it becomes one case for each map and check.

        @parametrize_with_checks(["my-model", "my-model+steps=4"])
        def test_contract(check):
            check()

    Nothing is loaded when pytest collects: a map is loaded by the first of its checks, shared by the others, and let go
    by those that need a fresh process. Cases are called e.g. ``test_contract[my-model-determinism]``.

    Args:
        maps: map specs, recipes, functions without arguments that return a map, or maps.
        checks: names out of ``CHECKS``; all by default.
        conditions: as ``run_checks`` takes them, for all maps.

    Raises:
        UsageError: a check that does not exist, or a map that is none of these.
    """
    import pytest

    names = chosen_checks(checks)
    bound = [BoundCheck(subject, name) for subject in [Subject(each, conditions) for each in maps] for name in names]
    return pytest.mark.parametrize("check", [pytest.param(each, id=repr(each)) for each in bound])


def parametrize_measure_checks(
    measures: MeasureTarget | Iterable[MeasureTarget],
    *,
    reference: Reference | None = None,
    examples: tuple[Rows, Rows] | None = None,
    checks: Iterable[str] | None = None,
) -> pytest.MarkDecorator:
    """Decorate a test so that it becomes one case for each measure and check.

        @parametrize_measure_checks("my_measure", reference=my_formula)
        def test_measure(check):
            check()

    Args:
        measures: one or several: names of installed measures, measures, their classes, or functions that make them.
        reference, examples: as ``run_measure_checks`` takes them, for all measures.
        checks: names out of ``MEASURE_CHECKS``; all by default.

    Raises:
        UsageError: a check or a measure that does not exist.
    """
    import pytest

    one = isinstance(measures, (str, Measure)) or callable(measures)
    listed: Iterable[Any] = [measures] if one else measures  # type: ignore[assignment]
    names = chosen_checks(checks, MEASURE_CHECKS)
    subjects = [MeasureSubject(each, reference=reference, examples=examples) for each in listed]
    bound = [BoundCheck(subject, name, MEASURE_CHECKS) for subject in subjects for name in names]
    return pytest.mark.parametrize("check", [pytest.param(each, id=repr(each)) for each in bound])
