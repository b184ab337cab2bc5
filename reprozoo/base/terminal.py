"""The consoles that tables and progress are written to."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 160  # of tables that are not for a terminal


def console(*, stderr: bool = False) -> Console:
    """A rich console that honours NO_COLOR, does not wrap what goes to a file, and lets a closed pipe be noticed."""
    from rich.console import Console

    class Honest(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    wide = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Honest(file=stream, width=wide, highlight=False, soft_wrap=False)
