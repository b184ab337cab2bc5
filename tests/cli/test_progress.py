"""Progress is for people: bars on a terminal, terse lines elsewhere, nothing when quiet, never on stdout."""

from __future__ import annotations

from typing import get_args

import pytest

from reprozoo.engine import display
from reprozoo.engine.display import ProgressDisplay, duration, size
from reprozoo.engine.progress import ProgressEvent, Stage


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One number: the time."""
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


def test_lines_now_and_then_with_what_is_left(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(interactive=False) as shown:
        for done in range(0, 101, 10):
            clock[0] = done * 0.3
            shown.update("sampling", done, 100, detail="tiny-edm")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "sampling: 40 of 100 images, about 18 s left (tiny-edm)",
        "sampling: 80 of 100 images, about 6 s left (tiny-edm)",
        "sampling: 100 of 100 images in 30 s",
    ]


def test_short_work_gets_one_line(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(interactive=False) as shown:
        shown.fetched("weights", 0, 2_000_000)
        shown.fetched("weights", 2_000_000, 2_000_000)
    assert capsys.readouterr().err == "weights: 2.0 MB of 2.0 MB in 0 s\n"


@pytest.mark.parametrize("stage", get_args(Stage))
def test_every_stage_of_the_engine_has_words(
    clock: list[float], capsys: pytest.CaptureFixture[str], stage: Stage
) -> None:
    with ProgressDisplay(interactive=False) as shown:
        shown.stage(ProgressEvent(stage, "", 0, 5))
        shown.stage(ProgressEvent(stage, "", 5, 5))
    assert capsys.readouterr().err.endswith(f": 5 of 5 {'noises' if stage == 'scoring' else 'images'} in 0 s\n")


def test_unknown_total(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(interactive=False) as shown:
        shown.fetched("weights", 0, None)
        clock[0] = 11.0
        shown.fetched("weights", 1500, None)
    assert capsys.readouterr().err == "weights: 1.5 kB\n"


@pytest.mark.parametrize("interactive", [True, False])
def test_quiet_is_silent(interactive: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(quiet=True, interactive=interactive) as shown:
        shown.update("sampling", 5, 5)
    assert capsys.readouterr() == ("", "")


def test_a_label_moves_no_cursor(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(interactive=False) as shown:
        shown.update("sampling", 1, 8, detail="a\x1b[2J\nb")
        clock[0] += 11
        shown.update("sampling", 2, 8, detail="a\x1b[2J\nb")
        shown.note("c\x1b[A")
    said = capsys.readouterr().err
    assert "a\ufffd[2J b" in said
    assert "\x1b" not in said


def test_bars_go_to_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with ProgressDisplay(interactive=True) as shown:
        shown.update("sampling", 1, 4, detail="[tiny]")
        shown.update("sampling", 4, 4, detail="[tiny]")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "sampling" in captured.err
    assert "4 of 4 images" in captured.err


def test_bars_that_never_began_leave_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(interactive=True):
        pass
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (4_200_000, "4.2 MB"), (5e12, "5.0 TB")],
)
def test_sizes(count: int | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(3.4, "3 s"), (90, "1 min 30 s"), (7260, "2 h 1 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
