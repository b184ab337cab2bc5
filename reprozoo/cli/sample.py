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
from reprozoo.cli.common import (
    json_option,
    model_options,
    noise_arguments,
    noise_options,
    print_json,
    problem_options,
)
from reprozoo.cli.progress import ProgressDisplay
from reprozoo.cli.results import say_sampled

if TYPE_CHECKING:
    from reprozoo.engine.sampling import ImageRows, Subject

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
@noise_options
@problem_options
@model_options
@json_option
def sample(
    *,
    model: str,
    output: Path,
    columns: int | None,
    num_samples: int,
    noise: dict[str, Any],
    problem: dict[str, Any],
    device: str,
    dtype: str,
    batch_size: int | None,
    offline: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write the images of one model to a grid, a folder or an archive.

    Folders and archives carry the index of each noise, so `reprozoo compare ID samples:PATH` and `reprozoo score` pair
    them again. Images come from the store where they are there already.
    """
    writer = make_writer(output, num_samples, columns)
    options: dict[str, Any] = {"device": device, "batch_size": batch_size, "num_samples": num_samples}
    options |= noise_arguments(**noise)
    with ProgressDisplay(quiet=quiet) as progress:
        subject, indices = _sample(model, problem, dtype=dtype, offline=offline, progress=progress, **options)
    writer(subject.images, indices)
    say_sampled([subject.run], quiet=quiet or as_json)
    if as_json:
        facts = {"path": str(output), "model": model, "count": len(indices), "images_key": subject.run.images_key}
        print_json(facts | {"description": subject.run.description})
    else:
        click.echo(output)


def _sample(
    model: str, problem: dict[str, Any], *, dtype: str, offline: bool, progress: ProgressDisplay, **arguments: Any
) -> tuple[Subject, list[int]]:
    """The images of one model, in the store, and the indices of their noises."""
    from reprozoo.cli.fetching import data_name, fetch_ahead
    from reprozoo.engine.posing import pose, problem_zoo
    from reprozoo.engine.sampling import sample_models
    from reprozoo.engine.setup import fitted_to, make_setup
    from reprozoo.zoo.resolving import default_zoo

    zoo = problem_zoo(default_zoo(), **problem)
    dataset = data_name(problem["observation"])
    fetch_ahead([model], zoo=zoo, descriptor=None, dataset=dataset, offline=offline, progress=progress)
    setup = make_setup(**arguments, store=None, executor=None, progress=progress.stage)
    zoo, posed = pose(default_zoo(), [model], setup.conditions, offline=offline, **problem)
    setup = replace(setup, conditions=posed)
    recipe = zoo.resolve(model, device=setup.device, dtype=dtype, offline=offline)
    setup = fitted_to([recipe], setup)
    (subject,) = sample_models([recipe], [recipe.display_id], setup, repeats=[0])
    return subject, list(setup.indices)


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
