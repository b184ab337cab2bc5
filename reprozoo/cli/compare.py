"""``compare``: noise in, scores and a report out."""

from __future__ import annotations

from typing import Any

import click

from reprozoo.cli.asking import asking, run_question
from reprozoo.engine.question import COMPARE, Question


@click.command(short_help="Compare models on the same noise.")
@click.argument("models", metavar="A B [C…]", nargs=-1, required=True)
@asking(COMPARE)
def compare(*, models: tuple[str, ...], asked: dict[str, Any], **how: Any) -> int:
    """Compare models on the same noise: noise in, scores and a report out.

    A, B, … are map specs: ID, ID@REVISION, options after plus signs (tiny-edm+steps=50+sampler=euler); folders of
    images that another program made, paired by index (./images); or samples:FOLDER, which checks their noise too.

    Results go to a folder: report.html, result.json, scores.csv and values.safetensors. What is already in the store is
    not made again, so the same command continues an interrupted run.
    """
    return run_question(Question(models, COMPARE, **asked), **how)
