"""``generalize``: does a model make new images, or copies of its training set?"""

from __future__ import annotations

from typing import Any

import click

from reprozoo.cli.asking import asking, run_question
from reprozoo.engine.question import GENERALIZE, Question


@click.command(short_help="Measure how far a model copies a data set.")
@click.argument("model", metavar="ID")
@asking(GENERALIZE)
def generalize(*, model: str, asked: dict[str, Any], **how: Any) -> int:
    """Measure how far a model copies a data set: GL score, memorization, and the nearest training images.

    Results go to a folder: report.html with a gallery of nearest neighbours, result.json, scores.csv
    and values.safetensors.
    """
    return run_question(Question((model,), GENERALIZE, **asked), **how)
