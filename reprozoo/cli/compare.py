"""``compare``: noise in, scores and a report out."""

from __future__ import annotations

from pathlib import Path

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
from reprozoo.cli.results import FailUnder, one_of_json_and_csv, say_sampled, show_comparison

DEFAULT_MAE_THRESHOLD = 15.0
DEFAULT_NOISE_FLOOR = 64


@click.command(short_help="Compare models on the same noise.")
@click.argument("models", metavar="A B [C…]", nargs=-1, required=True)
@noise_options
@descriptor_options
@click.option(
    "--mae-threshold",
    type=click.FloatRange(min=0.0, min_open=True),
    default=DEFAULT_MAE_THRESHOLD,
    show_default=True,
    help="Mean absolute difference, of 255, below which images count as the same.",
)
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
    seed: int | None,
    noise_file: Path | None,
    class_labels: list[int] | str | None,
    descriptor: str,
    threshold: float | None,
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
    from reprozoo.cli.fetching import fetch_ahead
    from reprozoo.engine import compare as run

    one_of_json_and_csv(as_json, as_csv)
    chosen = {
        "num_samples": num_samples,
        "descriptor": descriptor,
        "threshold": threshold,
        "mae_threshold": mae_threshold,
        "baselines": () if no_baseline else baselines or None,
        "noise_floor": noise_floor,
        "device": device,
        "dtype": dtype,
        "batch_size": batch_size,
    }
    key = chosen | {"seed": seed, "noise": noise_file, "class": class_labels}
    folder = output_folder(output, models, key)
    with ProgressDisplay(quiet=quiet) as progress:
        fetch_ahead([*models, *baselines], descriptor=descriptor, offline=offline, progress=progress)
        noise = noise_arguments(seed, noise_file, class_labels)
        comparison = run(models, **chosen, **noise, offline=offline, progress=progress.stage)  # type: ignore[arg-type]
    say_sampled([*comparison.models, *(baseline.run for baseline in comparison.baselines)], quiet=quiet)
    return show_comparison(comparison, folder, as_json=as_json, as_csv=as_csv, fail_under=fail_under, quiet=quiet)
