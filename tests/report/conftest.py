"""Results of the engine, made once for all tests of reports."""

from __future__ import annotations

import pytest

from tests.report.runs import Runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))
