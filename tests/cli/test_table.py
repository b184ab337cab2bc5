"""Tables of the quick commands."""

from __future__ import annotations

import sys

import pytest

from reprozoo.cli.table import print_table, short, styled

ROWS = [["a", ("missing", "bad"), "10", "words " * 20], [("family", "bold")], ["longer", "ok", "9", "end"]]


def test_a_row_is_a_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, header=("id", "status", "n", "title"), right=(2,))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "id      status    n  title"
    assert lines[1] == "a       missing  10  " + ("words " * 20).strip()
    assert lines[2] == "family"
    assert lines[3] == "longer  ok        9  end"


def test_the_last_column_is_wrapped_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(ROWS, right=(2,))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[1].startswith(" " * 21 + "words")


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert styled("text", "bad") == "text"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31m" in styled("text", "bad")
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("text", "bad") == "text"


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([["\x1b[2Jcard", "two\nlines"]])
    assert capsys.readouterr().out == " [2Jcard  two lines\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("MIT", "MIT"),
        ("none: drawn from a seed", "none"),
        ("unknown (nothing is stated)", "unknown"),
        ("a" * 30, "a" * 21 + "…"),
    ],
)
def test_long_texts_are_cut(text: str, shown: str) -> None:
    assert short(text) == shown


def test_nothing_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([])
    assert capsys.readouterr().out == ""
