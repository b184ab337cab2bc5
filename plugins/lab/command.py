"""``reprozoo train``: parse, load the data and the other models, run the loop, stop cleanly, write the facts."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .recipe import Recipe, find_recipe

if TYPE_CHECKING:
    from .trainer import Trainer

INTERRUPTED = 130  # as after Ctrl-C everywhere


@click.command()
@click.argument("recipe")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the run.  [default: train/<id>]")
@click.option("--data", help="Folder or file of the recipe's data set, in place of its sources.")
@click.option("--teacher", metavar="ID", help="In place of the model that is distilled, begun with, or makes images.")
@click.option("--device", default="cpu", show_default=True, help="torch device.")
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint.")
@click.option("--images", type=click.IntRange(min=1), help="End at this number of images instead of the recipe's.")
@click.option("--offline", is_flag=True, help="Use only what is on this machine.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def train(
    recipe: str,
    output: Path | None,
    data: str | None,
    teacher: str | None,
    device: str,
    resume: bool,
    images: int | None,
    offline: bool,
    quiet: bool,
) -> int:
    """Train a small model from a recipe.

    RECIPE is a TOML file or the id of a recipe that ships. The folder gets a checkpoint every few minutes, the averaged
    weights, a loss curve and sheets of samples; at the end, the facts of the training and the model's card. Ctrl-C
    writes a checkpoint and stops; --resume continues with the same bits as an undisturbed run.
    """
    chosen = Recipe.read(find_recipe(recipe))
    if teacher is not None:
        chosen = chosen.with_model(teacher)
    folder = output or Path("train") / chosen.id
    report = (lambda line: None) if quiet else (lambda line: click.echo(line, err=True))
    trainer = _trainer(
        chosen, folder, data=data, images=images, device=device, resume=resume, offline=offline, report=report
    )
    with _stopping(trainer):
        trainer.run()
    if not trainer.finished:
        report(f"stopped at {trainer.images_seen:,} of {trainer.end_images:,} images; --resume goes on from here")
        return INTERRUPTED
    _conclude(trainer, report=report, offline=offline)
    return 0


@contextmanager
def _stopping(trainer: Trainer) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask the trainer to stop, as long as the block lasts."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: trainer.request_stop())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _trainer(
    recipe: Recipe,
    folder: Path,
    *,
    data: str | None,
    images: int | None,
    device: str,
    resume: bool,
    offline: bool,
    report: Callable[[str], None],
) -> Trainer:
    from reprozoo.base.devices import resolve_device
    from reprozoo.base.files import check_folder

    from .data import training_data
    from .others import other_models
    from .trainer import Trainer
    from .workers import Workers

    check_folder(folder)
    workers, device = Workers(), resolve_device(device)
    if workers.rank:
        workers.wait()  # until the first process has fetched or made the data
    others = other_models(recipe, offline=offline)
    on = training_data(recipe, data, device=str(workers.device or device), offline=offline, report=report)
    if not workers.rank:
        workers.wait()
    return Trainer(
        recipe, on, folder, others=others, end_images=images, device=device, resume=resume, report=report,
        workers=workers,
    )  # fmt: skip


def _conclude(trainer: Trainer, *, report: Callable[[str], None], offline: bool) -> None:
    """Say what was reached, and write the facts of the training."""
    from .facts import write_facts
    from .trainer import WEIGHTS

    if trainer.workers.rank:
        return
    click.echo(f"{trainer.images_seen:,} images, loss {trainer.loss:.4f}, weights: {trainer.folder / WEIGHTS}")
    report("measuring how far from converged it is")
    for path in write_facts(trainer, offline=offline):
        click.echo(f"written: {path}")
