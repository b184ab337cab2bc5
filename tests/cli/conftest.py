"""Runs command lines in this process, in an empty folder with an empty cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reprozoo import cli as command_line


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty cache; a module may share one between its tests instead."""
    return tmp_path / "home"


@pytest.fixture
def cli(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """``cli("models", "--json")`` gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPROZOO_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("REPROZOO_OFFLINE", raising=False)

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = command_line.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
