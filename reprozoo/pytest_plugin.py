"""The pytest plugin: the checks of installed maps as test cases, without a line of Python.

    pytest --reprozoo-map my-model --reprozoo-map my-model+steps=4

or, so that every run of a plugin's own tests has them, in ``pyproject.toml``:

    [tool.pytest.ini_options]
    reprozoo_maps = ["my-model"]

Each check of each map is a case of its own beside the tests of the run, ``reprozoo::my-model::determinism``, to be
chosen with ``-k "my-model and determinism"``; what does not apply to a map is skipped with the reason. Maps are loaded
when their first check runs, never when pytest collects. Without the option and the setting nothing happens at all:
neither torch nor the rest of reprozoo is imported, and ``-p no:reprozoo`` leaves even this module out.

For options of a test function's own (conditions, fewer checks, recipes) there is
``reprozoo.testing.parametrize_with_checks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from reprozoo.testing import BoundCheck

OPTION, SETTING = "--reprozoo-map", "reprozoo_maps"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option and the setting."""
    group = parser.getgroup("reprozoo")
    group.addoption(
        OPTION,
        action="append",
        default=[],
        dest=SETTING,
        metavar="SPEC",
        help="run the checks of this installed map, e.g. tiny-edm+steps=4; may be given several times",
    )
    parser.addini(SETTING, f"maps whose checks are always run, as by {OPTION}", type="linelist", default=[])


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the cases of the maps that were asked for, after the tests."""
    specs = dict.fromkeys([*config.getini(SETTING), *config.getoption(SETTING)])
    for spec in specs:
        node: MapChecks = MapChecks.from_parent(session, name=spec, nodeid=f"reprozoo::{spec}")
        report = node.ihook.pytest_make_collect_report(collector=node)
        node.ihook.pytest_collectreport(report=report)  # so that they are counted
        items.extend(report.result)


class MapChecks(pytest.Collector):
    """The checks of one map."""

    def collect(self) -> Iterator[CheckItem]:
        from reprozoo.testing import CHECKS, BoundCheck, Subject

        subject = Subject(self.name)
        for name in CHECKS:
            yield CheckItem.from_parent(self, name=name, check=BoundCheck(subject, name))


class CheckItem(pytest.Item):
    """One check of one map."""

    def __init__(self, *, check: BoundCheck, **given: Any) -> None:
        super().__init__(**given)
        self.check = check

    def runtest(self) -> None:
        self.check()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The sentence of a check or of reprozoo; a traceback of what else a map raised."""
        from reprozoo.base.errors import ReprozooError
        from reprozoo.testing import CheckFailed

        if isinstance(excinfo.value, CheckFailed | ReprozooError):
            return f"{self.check.subject.name}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"reprozoo check {self.check.subject.name}: {self.name}"
