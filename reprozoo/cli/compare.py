"""``compare``: noise in, scores and a report out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reprozoo.base.errors import UsageError
from reprozoo.cli.common import (
    json_option,
    model_options,
    noise_arguments,
    noise_options,
    output_folder,
    output_option,
    pair_options,
    problem_options,
)
from reprozoo.cli.progress import ProgressDisplay
from reprozoo.cli.results import FailUnder, one_of_json_and_csv, say_sampled, show_comparison

DEFAULT_NOISE_FLOOR = 64


@click.command(short_help="Compare models on the same noise.")
@click.argument("models", metavar="A B [C…]", nargs=-1, required=True)
@noise_options
@problem_options
@pair_options
@click.option("--baseline", "baselines", multiple=True, metavar="ID", help="Compare every model with this one too.")
@click.option("--no-baseline", is_flag=True, help="Not even the Gaussian theory of the training data.")
@click.option(
    "--noise-floor",
    type=click.IntRange(min=0),
    default=DEFAULT_NOISE_FLOOR,
    show_default=True,
    help="Noises on which each model runs again at another batch size; 0 for none.",
)
@model_options
@output_option
@click.option("--csv", "as_csv", is_flag=True, help="Print pairs.csv on stdout, and nothing else.")
@click.option(
    "--fail-under",
    type=FailUnder(),
    metavar="rp=X[,mae=Y]",
    help="Exit with 1 when a score of the worst pair is below.",
)
@json_option
def compare(
    *,
    models: tuple[str, ...],
    num_samples: int,
    noise: dict[str, Any],
    problem: dict[str, Any],
    descriptor: str,
    threshold: float | None,
    mirror: bool,
    mae_threshold: float,
    baselines: tuple[str, ...],
    no_baseline: bool,
    noise_floor: int,
    device: str,
    dtype: str,
    batch_size: int | None,
    offline: bool,
    quiet: bool,
    output: Path | None,
    as_csv: bool,
    as_json: bool,
    fail_under: dict[str, float] | None,
) -> int:
    """Compare models on the same noise: noise in, scores and a report out.

    A, B, … are map specs: ID, ID@REVISION, options after plus signs (tiny-edm+steps=50+sampler=euler), or
    samples:FOLDER for images that another program made from exported noise.

    Results go to a folder: report.html, result.json and pairs.csv. What is already in the store is not made again, so
    the same command continues an interrupted run.
    """
    from reprozoo.cli.fetching import data_name, fetch_ahead
    from reprozoo.engine import compare as run
    from reprozoo.engine.posing import problem_zoo
    from reprozoo.zoo.resolving import default_zoo

    one_of_json_and_csv(as_json, as_csv)
    if no_baseline and baselines:
        raise UsageError("--baseline and --no-baseline exclude each other; --baseline ID alone has no other beside it")
    chosen = problem | {
        "num_samples": num_samples,
        "descriptor": descriptor,
        "threshold": threshold,
        "mae_threshold": mae_threshold,
        "mirror": mirror,
        "baselines": () if no_baseline else baselines or None,
        "noise_floor": noise_floor,
        "device": device,
        "dtype": dtype,
        "batch_size": batch_size,
    }
    folder = output_folder(output, models, chosen | noise)
    zoo = problem_zoo(default_zoo(), **problem)
    with ProgressDisplay(quiet=quiet) as progress:
        fetch_ahead(
            [*models, *baselines], zoo=zoo, descriptor=descriptor, dataset=data_name(problem["observation"]),
            offline=offline, progress=progress,
        )  # fmt: skip
        comparison = run(models, **chosen, **noise_arguments(**noise), offline=offline, progress=progress.stage)
    say_sampled([*comparison.models, *(baseline.run for baseline in comparison.baselines)], quiet=quiet)
    return show_comparison(comparison, folder, as_json=as_json, as_csv=as_csv, fail_under=fail_under, quiet=quiet)
