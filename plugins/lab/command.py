"""``reprozoo train``: parse, load the data, run the loop, stop cleanly."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reprozoo import IntegrityError, UsageError
from reprozoo.errors import did_you_mean
from reprozoo.plugins import installed_plugins

from .recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor


@click.command()
@click.argument("recipe")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the run.  [default: train/<id>]")
@click.option("--data", help="Folder or file of the training images.  [default: the recipe's data set]")
@click.option("--device", default="cpu", show_default=True, help="torch device.")
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint.")
@click.option("--images", type=click.IntRange(min=1), help="End at this number of images instead of the recipe's.")
@click.option("--offline", is_flag=True, help="Use only what is on this machine.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def train(
    recipe: str,
    output: Path | None,
    data: str | None,
    device: str,
    resume: bool,
    images: int | None,
    offline: bool,
    quiet: bool,
) -> None:
    """Train a small model from a recipe.

    RECIPE is a TOML file or the id of a recipe that ships. The folder gets a checkpoint every few minutes, the averaged
    weights, a loss curve and sheets of samples. Ctrl-C writes a checkpoint and stops; --resume continues with the same
    bits as an undisturbed run.
    """
    from .trainer import WEIGHTS, Trainer

    chosen = Recipe.read(find_recipe(recipe))
    if images is not None:
        chosen = replace(chosen, training=replace(chosen.training, images=images))
    folder = output or Path("train") / chosen.id
    report = (lambda line: None) if quiet else (lambda line: click.echo(line, err=True))
    trainer = Trainer(
        chosen, training_images(chosen, data, offline=offline), folder, device=device, resume=resume, report=report
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: trainer.request_stop())
    trainer.run()
    click.echo(f"{trainer.images_seen:,} images, loss {trainer.loss:.4f}, weights: {folder / WEIGHTS}")


def find_recipe(name: str) -> Path:
    """A TOML file, or the recipe of that id in a registry.

    Raises:
        UsageError: there is neither.
    """
    if Path(name).is_file():
        return Path(name)
    folders = map(Path, installed_plugins().card_directories)
    shipped = {path.stem: path for folder in folders for path in folder.glob("recipes/*.toml")}
    if name not in shipped:
        known = ", ".join(sorted(shipped)) or "none"
        raise UsageError(
            f"there is no recipe {name!r}{did_you_mean(name, shipped)}; expected a TOML file or one of: {known}"
        )
    return shipped[name]


def training_images(recipe: Recipe, place: str | None, *, offline: bool = False) -> Tensor:
    """(n, channels, height, width) uint8 images of the recipe's data set, checked against its digest.

    Raises:
        IntegrityError: the images are not those that the recipe names.
    """
    import torch

    from reprozoo.datasets import load_dataset

    spec = recipe.data
    dataset = load_dataset(place or spec.name, "train", offline=offline)
    if dataset.digest != spec.images_sha256:
        raise IntegrityError(
            f"{dataset.name} holds other images than the recipe's {spec.name}: sha256 {dataset.digest}, "
            f"expected {spec.images_sha256}"
        )
    return torch.from_numpy(dataset.images_u8[: spec.limit])
