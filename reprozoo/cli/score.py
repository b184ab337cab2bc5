"""``score``: the scores of images that are already there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reprozoo.cli.asking import asking, run_question
from reprozoo.engine.naming import folder_text
from reprozoo.engine.question import SCORE, Question


@click.command(short_help="Compare images that were made elsewhere, paired by index.")
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@asking(SCORE)
def score(*, first: Path, second: Path, asked: dict[str, Any], **how: Any) -> int:
    """Compare images that were made elsewhere, paired by index.

    A and B are folders or files (.zip, .npz, .npy, .safetensors). Images are paired by the array "indices" of a file or
    by the last number in each file's name, never by their order. Nothing can check that both were made from the same
    noise: `reprozoo noise export` writes noise for both, and `compare ID samples:FOLDER` checks the rest.
    """
    return run_question(Question((folder_text(first), folder_text(second)), SCORE, **asked), **how)
