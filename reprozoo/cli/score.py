"""``score``: the scores of images that are already there."""

from __future__ import annotations

from pathlib import Path

import click

from reprozoo.cli.common import (
    json_option,
    offline_option,
    output_folder,
    output_option,
    pair_options,
    quiet_option,
)
from reprozoo.cli.progress import ProgressDisplay
from reprozoo.cli.results import FailUnder, one_of_json_and_csv, show_comparison


@click.command(short_help="Compare images that were made elsewhere, paired by index.")
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@pair_options
@offline_option
@quiet_option
@output_option
@click.option("--csv", "as_csv", is_flag=True, help="Print pairs.csv on stdout, and nothing else.")
@click.option("--fail-under", type=FailUnder(), metavar="rp=X[,mae=Y]", help="Exit with 1 when a score is below.")
@json_option
def score(
    *,
    first: Path,
    second: Path,
    descriptor: str,
    threshold: float | None,
    mirror: bool,
    mae_threshold: float,
    offline: bool,
    quiet: bool,
    output: Path | None,
    as_csv: bool,
    as_json: bool,
    fail_under: dict[str, float] | None,
) -> int:
    """Compare images that were made elsewhere, paired by index.

    A and B are folders or files (.zip, .npz, .npy, .safetensors). Images are paired by the array "indices" of a file or
    by the last number in each file's name, never by their order. Nothing can check that both were made from the same
    noise: `reprozoo noise export` writes noise for both, and `compare ID samples:FOLDER` checks the rest.
    """
    from reprozoo.cli.fetching import fetch_ahead
    from reprozoo.engine import score as run

    one_of_json_and_csv(as_json, as_csv)
    chosen = {"descriptor": descriptor, "threshold": threshold, "mae_threshold": mae_threshold, "mirror": mirror}
    folder = output_folder(output, [first.name, second.name], chosen | {"first": first, "second": second})
    with ProgressDisplay(quiet=quiet) as progress:
        fetch_ahead([], descriptor=descriptor, offline=offline, progress=progress)
        comparison = run(first, second, **chosen, offline=offline, progress=progress.stage)  # type: ignore[arg-type]
    return show_comparison(comparison, folder, as_json=as_json, as_csv=as_csv, fail_under=fail_under, quiet=quiet)
