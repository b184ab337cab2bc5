"""``run``: a question from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reprozoo.base.errors import UsageError
from reprozoo.cli.asking import output_options, run_question
from reprozoo.cli.common import offline_option, quiet_option
from reprozoo.engine.question import SAMPLE, Question


@click.command(short_help="Ask what a question file asks.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@offline_option
@quiet_option
@output_options()
def run(*, file: Path, **how: Any) -> int:
    """Ask what a question file asks: TOML, as --save-question of other commands writes it.

    Its fields have the names of Python's keyword arguments; those left out have their defaults.
    """
    question = Question.read(file)
    if question.task == SAMPLE:
        raise UsageError(f"{file} asks for images alone; `reprozoo sample` says where they go")
    return run_question(question, **how)
