"""``sample``: the images of one model, for looking at or for other programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reprozoo.base.errors import UsageError
from reprozoo.cli.asking import question_options, say_sampled
from reprozoo.cli.common import json_option, offline_option, print_json, quiet_option
from reprozoo.engine.display import ProgressDisplay
from reprozoo.engine.question import SAMPLE, Question

if TYPE_CHECKING:
    from reprozoo.engine.sides import ImageRows, Side

    Writer = Callable[[ImageRows, Sequence[int]], None]

MOST_IN_GRID = 10_000
WRITE_ROWS = 256
OTHER_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".pt", ".safetensors", ".webp", ".zip")


@click.command(short_help="Write the images of one model to a grid, a folder or an archive.")
@click.argument("model", metavar="ID")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="A .png (grid), an .npz (array with indices), or a folder (a PNG for each noise).",
)
@click.option("--columns", type=click.IntRange(min=1), help="Columns of a grid; about square when left out.")
@question_options(SAMPLE)
@offline_option
@quiet_option
@json_option
def sample(
    *,
    model: str,
    output: Path,
    columns: int | None,
    asked: dict[str, Any],
    offline: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write the images of one model to a grid, a folder or an archive.

    Folders and archives carry the index of each noise, so `reprozoo compare ID samples:PATH` and `reprozoo score` pair
    them again. Images come from the store where they are there already.
    """
    question = Question((model,), SAMPLE, **asked)
    writer = make_writer(output, question.num_samples, columns)
    side, indices = _sampled(question, offline=offline, quiet=quiet)
    writer(side.images, indices)
    say_sampled(side.record, quiet=quiet or as_json)
    if as_json:
        facts = {"path": str(output), "model": model, "count": len(indices), "images_key": side.record.images_key}
        print_json(facts | {"facts": side.record.facts})
    else:
        click.echo(output)


def _sampled(question: Question, *, offline: bool, quiet: bool) -> tuple[Side, list[int]]:
    """The images, in the store, and the indices of their noises."""
    from reprozoo.cli.fetching import fetch_ahead
    from reprozoo.engine.checking import Materials, Workplace, check_question

    place = Workplace.here(offline=offline)
    check_question(question, Materials(), place)
    with ProgressDisplay(quiet=quiet) as progress:
        fetch_ahead(question, place, progress)
        from reprozoo.engine.answering import images_by_noise

        side, indices = images_by_noise(question, Materials(), replace(place, progress=progress.stage))
    return side, list(indices)


def make_writer(output: Path, count: int, columns: int | None) -> Writer:
    """What writes images to ``output``, chosen by its name; the place is checked now, before any work is done.

    Raises:
        UsageError: another kind of file, a grid too large, or a folder that holds something else.
    """
    from reprozoo.base.files import check_folder, prepare_folder

    suffix = output.suffix.lower()
    if suffix in OTHER_SUFFIXES:
        raise UsageError(f"images are written as a .png grid, an .npz archive or a folder, not as {output.name!r}")
    if columns is not None and suffix != ".png":
        raise UsageError("--columns is for a .png grid")
    if suffix == ".png" and count > MOST_IN_GRID:
        raise UsageError(f"a grid of {count:,} images is too large to look at; write a folder or .npz, or lower -n")
    folder = output.absolute().parent if suffix in (".png", ".npz") else output
    check_folder(folder)
    if suffix == ".png":
        write: Writer = partial(_write_grid, output, columns or math.ceil(math.sqrt(count)))
    else:
        write = partial(_write_archive if suffix == ".npz" else _write_folder, output)

    def into_folder(images: ImageRows, indices: Sequence[int]) -> None:
        prepare_folder(folder)
        write(images, indices)

    return into_folder


def _write_grid(path: Path, columns: int, images: ImageRows, indices: Sequence[int]) -> None:
    import torch

    from reprozoo.maps.images import grid, save_png

    save_png(grid(torch.from_numpy(images.rows(indices)), columns=columns), path)


def _write_archive(path: Path, images: ImageRows, indices: Sequence[int]) -> None:
    """``images`` (n, height, width, channels) uint8 and ``indices`` (n,)."""
    import numpy as np

    from reprozoo.base.files import ELSEWHERE, whole_file

    with whole_file(path, remedy=ELSEWHERE) as temporary, temporary.open("wb") as file:
        np.savez(file, images=images.rows(indices).transpose(0, 2, 3, 1), indices=np.array(indices))


def _write_folder(path: Path, images: ImageRows, indices: Sequence[int]) -> None:
    """``000123.png`` for noise 123; a folder that holds anything else is left alone.

    Raises:
        UsageError: such a folder, because its images would be paired with these.
    """
    import torch

    from reprozoo.maps.images import save_png

    names = [f"{index:06d}.png" for index in indices]
    if others := {entry.name for entry in path.iterdir()} - set(names):
        raise UsageError(f"{path} holds other files already, e.g. {min(others)}; choose an empty folder")
    for start in range(0, len(indices), WRITE_ROWS):
        rows = images.rows(indices[start : start + WRITE_ROWS])
        for name, image in zip(names[start : start + WRITE_ROWS], rows, strict=True):
            save_png(torch.from_numpy(image), path / name)
