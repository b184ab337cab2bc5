"""A full disk has one exit code, whatever was being written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reprozoo.base import files
from reprozoo.base.errors import PartialError
from tests.cli.conftest import Cli

MODEL = "theory-gaussian"
QUICK = ("-n", 3, "--device", "cpu")
SCORED = ("--descriptor", "pixels")
COMMANDS: dict[str, tuple[object, ...]] = {
    "compare": ("compare", MODEL, f"{MODEL}+flow=sampler+steps=3", *QUICK, *SCORED, "--noise-floor", 0, "-o", "out"),
    "score": ("score", "a.npz", "b.npz", *SCORED, "-o", "out"),
    "generalize": ("generalize", MODEL, "--data", "a.npz", *QUICK, *SCORED, "-o", "out"),
    "sample to a grid": ("sample", MODEL, *QUICK, "-o", "out.png"),
    "sample to an archive": ("sample", MODEL, *QUICK, "-o", "out.npz"),
    "sample to a folder": ("sample", MODEL, *QUICK, "-o", "out"),
    "noise export": ("noise", "export", "-n", 3, "out.npy"),
    "noise export to safetensors": ("noise", "export", "-n", 3, "out.safetensors"),
    "save a question": ("compare", MODEL, MODEL, *QUICK, *SCORED, "-o", "out", "--save-question", "out.toml"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests here: images are there already, and only results are written."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def sampled(cli: Cli) -> None:
    for name in ("a.npz", "b.npz"):
        assert cli("sample", MODEL, *QUICK, "-o", name).code == 0


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def when_flushed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(files.os, "fsync", full)


def when_begun(patch: pytest.MonkeyPatch) -> None:
    """Nothing at all can be made where results go; the store has what it needs."""
    real = Path.touch

    def touch(self: Path, *arguments: Any, **options: Any) -> None:
        if self.name.startswith(".reprozoo-"):
            full()
        real(self, *arguments, **options)

    patch.setattr(Path, "touch", touch)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_is_full_when_results_are_written(
    cli: Cli, sampled: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if "export" not in name:
        assert cli(*COMMANDS[name]).code == 0  # what the store needs is there now
    before = leftovers(tmp_path)
    with monkeypatch.context() as patch:
        when_flushed(patch)
        outcome = cli(*COMMANDS[name])
    assert (outcome.code, outcome.err.count("error: ")) == (PartialError.exit_code, 1), outcome.err
    assert "out" in outcome.err
    assert "the disk is full" in outcome.err
    assert leftovers(tmp_path) == before
    assert cli(*COMMANDS[name]).code == 0


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.suffix == files.TEMPORARY_SUFFIX)


@pytest.mark.parametrize("name", ["compare", "score", "generalize", "sample to a grid", "sample to a folder"])
def test_a_disk_that_is_full_before_any_work(
    cli: Cli, sampled: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as patch:
        when_begun(patch)
        outcome = cli(*COMMANDS[name])
    assert outcome.code == PartialError.exit_code, outcome.err
    assert "the disk is full" in outcome.err
    assert "sampling" not in outcome.err


@pytest.mark.parametrize("filling", [when_flushed, lambda patch: patch.setattr(Path, "mkdir", full)])
def test_a_store_that_is_full(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filling: Callable[[pytest.MonkeyPatch], None]
) -> None:
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path / "empty"))
    with monkeypatch.context() as patch:
        filling(patch)
        outcome = cli("sample", MODEL, *QUICK, "-o", "out.png")
    assert outcome.code == PartialError.exit_code, outcome.err
    assert "the disk is full" in outcome.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_a_standard_output_that_is_full(cli: Cli, sampled: None, tmp_path: Path, home: Path, form: str) -> None:
    words = [str(word) for word in (*COMMANDS["score"], form)]
    with open("/dev/full", "w") as device:
        done = subprocess.run(
            [sys.executable, "-m", "reprozoo", *words], stdout=device, stderr=subprocess.PIPE, text=True, check=False,
            cwd=tmp_path, env=os.environ | {"REPROZOO_HOME": str(home)},
        )  # fmt: skip
    assert done.returncode == PartialError.exit_code, done.stderr
    assert "the output cannot be written: No space left on device" in done.stderr
