"""The consoles that tables and progress are written to."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 160  # of tables that are not for a terminal
REPLACEMENT = "\ufffd"
BREAKS = dict.fromkeys(map(ord, "\t\n\v\f\r\x85\u2028\u2029"), " ")
CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def clean(text: str, *, lines: bool = False) -> str:
    """A text from outside, such as a label, a prompt or a warning, that moves no cursor.

    Line breaks and tabs become spaces, other control characters and those that turn the direction of writing become
    U+FFFD.

    Args:
        lines: keep line breaks and tabs, for texts of several lines.
    """
    table = dict.fromkeys(CONTROLS, REPLACEMENT) | BREAKS
    return text.translate({**table, 0x09: "\t", 0x0A: "\n"} if lines else table)


def console(*, stderr: bool = False) -> Console:
    """A rich console that honours NO_COLOR, does not wrap what goes to a file, and lets a closed pipe be noticed."""
    from rich.console import Console

    class Honest(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    wide = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Honest(file=stream, width=wide, highlight=False, soft_wrap=False)
