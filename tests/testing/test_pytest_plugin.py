"""The decorator and the pytest plugin, in pytest runs of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reprozoo.testing import CHECKS
from reprozoo.zoo.plugins import REGISTRY_VARIABLE
from tests.originals import write_card

ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """Exit code and lines of a run in ``folder``, which is its root."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), REGISTRY_VARIABLE: str(folder)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_it_costs_nothing_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        "import sys\n"
        "def test_one(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.has_plugin('reprozoo')\n"
        "    loaded = {name for name in sys.modules if name.partition('.')[0] in ('reprozoo', 'torch', 'numpy')}\n"
        "    assert loaded == {'reprozoo', 'reprozoo.pytest_plugin'}\n"
    )
    code, lines = run_pytest(tmp_path, "-q")
    assert (code, lines[-1].split(" in ")[0]) == (0, "1 passed"), lines


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugin author's project: a card, a setting, a test of one line, and a map that breaks a promise."""
    folder = tmp_path_factory.mktemp("project")
    write_card("dit-pixels", folder)
    (folder / "pytest.ini").write_text("[pytest]\nreprozoo_maps = golden-dit-pixels\n")
    (folder / "test_contract.py").write_text(
        "from reprozoo.testing import parametrize_with_checks\n"
        "from tests import toys\n"
        "from tests.testing import broken\n"
        "@parametrize_with_checks([toys.Toy, broken.IgnoresNoise], checks=['uses-noise', 'uses-condition'])\n"
        "def test_contract(check):\n"
        "    check()\n"
        "@parametrize_with_checks([broken.Raises], checks=['images'])\n"
        "def test_traceback(check):\n"
        "    check()\n"
    )
    return folder


def test_cases_pass_fail_and_are_skipped_by_themselves(project: Path) -> None:
    chosen = "test_contract or test_traceback or images or licence or uses-condition"
    code, lines = run_pytest(project, "-v", "-rs", "--reprozoo-map", "no-such-model", "-k", chosen)
    found = dict(re.findall(r"^(\S+::\S+) (PASSED|FAILED|SKIPPED)", "\n".join(lines), re.MULTILINE))
    assert found == {
        "test_contract.py::test_contract[Toy-uses-noise]": "PASSED",
        "test_contract.py::test_contract[Toy-uses-condition]": "SKIPPED",
        "test_contract.py::test_contract[IgnoresNoise-uses-noise]": "FAILED",
        "test_contract.py::test_contract[IgnoresNoise-uses-condition]": "SKIPPED",
        "test_contract.py::test_traceback[Raises-images]": "FAILED",
        "reprozoo::golden-dit-pixels::images": "PASSED",
        "reprozoo::golden-dit-pixels::uses-condition": "SKIPPED",
        "reprozoo::golden-dit-pixels::licence": "PASSED",
        "reprozoo::no-such-model::images": "FAILED",
        "reprozoo::no-such-model::uses-condition": "SKIPPED",
        "reprozoo::no-such-model::licence": "SKIPPED",
    }
    assert code == 1
    cases = 5 + 2 * len(CHECKS)
    text = "\n".join(lines)
    assert f"collected {cases} items / {cases - len(found)} deselected / {len(found)} selected\n" in text
    assert "CheckFailed: two different noises give the same image" in text
    assert 'raise RuntimeError("the network is broken")' in text, "a map's own error keeps its traceback"
    assert "\nno-such-model: no model is called" in text, "a sentence needs none"
    assert ": the map takes no condition" in text
