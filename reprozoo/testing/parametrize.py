"""``parametrize_with_checks``: one pytest case for each map and check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from reprozoo.maps.condition import Condition
from reprozoo.testing.results import CheckSkipped
from reprozoo.testing.running import CHECKS, chosen_checks
from reprozoo.testing.subject import Subject, Target

if TYPE_CHECKING:
    import pytest


class BoundCheck:
    """One check of one map: call it in a test."""

    def __init__(self, subject: Subject, name: str) -> None:
        self.subject, self.name = subject, name

    def __call__(self) -> str:
        """Run the check and return what it measured.

        Raises:
            CheckFailed: the map breaks its promise; whatever else the map raises comes through with its traceback.
            pytest.skip.Exception: the check does not apply to this map.
        """
        import pytest

        try:
            return CHECKS[self.name](self.subject)
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
