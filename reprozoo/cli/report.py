"""``report``: finished runs, shown again, at other thresholds, or several as one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reprozoo.base.errors import UsageError
from reprozoo.cli.common import ParamType, debug_option

if TYPE_CHECKING:
    from reprozoo.engine.result import Comparison


class Threshold(ParamType):
    """0.7 of the measure that the report leads with, or NAME=0.7 of a measure or a score."""

    name = "threshold"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        name, _, text = str(value).rpartition("=")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r}: expected a number or NAME=NUMBER", param, ctx)
        return name, number


@click.command(short_help="Show finished runs again, at other thresholds, or several as one.")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--threshold", "thresholds", multiple=True, type=Threshold(), metavar="[NAME=]X",
    help="Another threshold of a measure or score, of the report's headline without a name.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Write report and result to a folder.",
)  # fmt: skip
@click.option("--csv", "as_csv", is_flag=True, help="Print scores.csv on stdout, and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else.")
@debug_option
def report(
    *,
    runs: tuple[Path, ...],
    thresholds: tuple[tuple[str, float], ...],
    output: Path | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show finished runs again, at other thresholds, or several as one.

    A RUN is the folder of a result, or its result.json. Runs of other models on the same noises are put beside each
    other; runs of the same models on other noises become one of all of them. Nothing is sampled; images are shown while
    the store has them.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other: both go to stdout")
    comparison = _read(runs, dict(thresholds))
    written = _written(comparison, output)
    _print(comparison, as_csv=as_csv, as_json=as_json)
    if written is not None:
        click.echo(f"\nreport: {written}" if not (as_csv or as_json) else f"report: {written}", err=as_csv or as_json)


def _read(runs: tuple[Path, ...], thresholds: dict[str, float]) -> Comparison:
    """The runs as one result, at these thresholds."""
    from reprozoo.engine.joining import combined
    from reprozoo.engine.rescoring import rescored
    from reprozoo.engine.store import Store
    from reprozoo.report.reading import read_result, with_stored_images

    results = [read_result(run) for run in runs]
    if thresholds:
        results = [rescored(result, _named(result, thresholds)) for result in results]
    return with_stored_images(combined(results, [str(run) for run in runs]), Store())


def _named(comparison: Comparison, thresholds: dict[str, float]) -> dict[str, float]:
    """Thresholds without a name are of the measure that the report leads with."""
    from reprozoo.report.findings import Findings, headline

    found = Findings(comparison)
    head = headline(found.columns or found.nearest_columns)
    if "" in thresholds and (head is None or not head.is_share):
        raise UsageError("--threshold: no score of this result has a threshold; name one with NAME=X")
    return {name or (head.measure.name if head else ""): at for name, at in thresholds.items()}


def _written(comparison: Comparison, output: Path | None) -> Path | None:
    if output is None:
        return None
    from reprozoo.report.files import write_result

    return write_result(comparison, output)[0]


def _print(comparison: Comparison, *, as_csv: bool, as_json: bool) -> None:
    from reprozoo.report.files import scores_csv, to_json

    if as_json:
        click.echo(to_json(comparison), nl=False)
    elif as_csv:
        click.echo(scores_csv(comparison), nl=False)
    else:
        from reprozoo.base.terminal import console
        from reprozoo.report.terminal import print_result

        print_result(comparison, console())
