"""``generalize``: does a model make new images, or copies of its training set?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reprozoo.cli.common import (
    descriptor_options,
    json_option,
    model_options,
    noise_arguments,
    noise_options,
    output_folder,
    output_option,
)
from reprozoo.cli.progress import ProgressDisplay
from reprozoo.cli.results import say_sampled, show_generalization


@click.command(short_help="Measure how far a model copies a data set.")
@click.argument("model", metavar="ID")
@click.option("--data", "dataset", metavar="NAME", help="Data set, folder or file; the model's own when left out.")
@click.option("--split", metavar="NAME", help="Part of the data set; the model's own, or train, when left out.")
@noise_options
@descriptor_options
@model_options
@output_option
@json_option
def generalize(
    *,
    model: str,
    dataset: str | None,
    split: str | None,
    num_samples: int,
    noise: dict[str, Any],
    descriptor: str,
    threshold: float | None,
    device: str,
    dtype: str,
    batch_size: int | None,
    offline: bool,
    quiet: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Measure how far a model copies a data set: GL score, memorization, and the nearest training images.

    Results go to a folder: report.html with a gallery of nearest neighbours, result.json and neighbours.csv.
    """
    from reprozoo.cli.fetching import fetch_ahead
    from reprozoo.cli.models import dataset_of
    from reprozoo.engine import generalize as run
    from reprozoo.zoo.resolving import default_zoo
    from reprozoo.zoo.specs import MapSpec

    chosen: dict[str, Any] = {
        "split": split,
        "num_samples": num_samples,
        "descriptor": descriptor,
        "threshold": threshold,
        "device": device,
        "dtype": dtype,
        "batch_size": batch_size,
    }
    folder = output_folder(output, ["generalize", model], chosen | noise | {"dataset": dataset})
    trained_on = dataset or dataset_of(default_zoo().card(MapSpec.parse(model)))
    with ProgressDisplay(quiet=quiet) as progress:
        fetch_ahead([model], descriptor=descriptor, dataset=trained_on, offline=offline, progress=progress)
        result = run(model, dataset, **chosen, **noise_arguments(**noise), offline=offline, progress=progress.stage)
    say_sampled([result.model], quiet=quiet)
    show_generalization(result, folder, as_json=as_json, quiet=quiet)
