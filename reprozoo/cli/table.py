"""Aligned columns on stdout, without rich: lists have to appear at once, and importing rich takes longer than they do.

On a terminal the last column is wrapped to the width and cells may have a colour, unless NO_COLOR is set; in files and
pipes a row is a line.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

import click

COLOURS = {"good": "green", "note": "yellow", "bad": "red"}
GAP = "  "
NARROWEST = 24

Cell = str | tuple[str, str]  # a text, or a text and its style: "good", "note", "bad", "dim" or "bold"


def print_table(rows: Sequence[Sequence[Cell]], *, header: Sequence[str] = (), right: Sequence[int] = ()) -> None:
    """Print rows of cells; a row may have fewer cells than others.

    Args:
        rows: top to bottom.
        header: names of the columns.
        right: columns whose cells end at the same place.
    """
    lines = [[(name, "dim") for name in header]] if header else []
    lines += [[_clean(cell) for cell in row] for row in rows]
    if not lines:
        return
    count = max(map(len, lines))
    widths = [max((len(line[i][0]) for line in lines if i < len(line) - 1), default=0) for i in range(count - 1)]
    room = _room(widths)
    for line in lines:
        _print_line(line, widths, right, room)


def styled(text: str, style: str) -> str:
    """``text`` in a style, where colours are wanted."""
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return click.style(text, fg=COLOURS.get(style), bold=style in ("bold", "bad") or None, dim=style == "dim" or None)


def _print_line(line: Sequence[tuple[str, str]], widths: Sequence[int], right: Sequence[int], room: int | None) -> None:
    cells = []
    for i, (text, style) in enumerate(line[:-1]):
        padding = " " * (widths[i] - len(text))
        cells.append(padding + styled(text, style) if i in right else styled(text, style) + padding)
    text, style = line[-1]
    own_room = room if len(line) > len(widths) else None
    parts = textwrap.wrap(text, own_room, break_on_hyphens=False) if own_room else [text]
    indent = "\n" + " " * (sum(widths) + len(GAP) * len(widths))
    last = indent.join(styled(part, style) for part in parts)
    click.echo(GAP.join([*cells, last]).rstrip())


def terminal_width() -> int | None:
    """Columns of the terminal on stdout, or as COLUMNS says; None where there is neither."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or "COLUMNS" in os.environ else None


def short(text: str, longest: int = 22) -> str:
    """The part of ``text`` before a remark in brackets or after a colon, cut where it is still too long.

    >>> short("Apache-2.0 (code; the weights are for research only)")
    'Apache-2.0'
    """
    head = text.split(" (")[0].split(": ")[0]
    return head if len(head) <= longest else f"{head[: longest - 1].rstrip()}…"


def _room(widths: Sequence[int]) -> int | None:
    """Width of the last column; None where it is not wrapped."""
    width = terminal_width()
    return None if width is None else max(NARROWEST, width - sum(widths) - len(GAP) * len(widths))


def _clean(cell: Cell) -> tuple[str, str]:
    text, style = cell if isinstance(cell, tuple) else (cell, "")
    return "".join(c if c.isprintable() else " " for c in text), style
