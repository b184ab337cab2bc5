"""What commands do with a result: files in a folder, then a table, JSON or CSV on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reprozoo.base.errors import UsageError
from reprozoo.cli.common import ParamType, console, note

if TYPE_CHECKING:
    from reprozoo.engine.results import Comparison, Generalization, ModelRun, PairScores

SCORES = ("rp", "mae")


class FailUnder(ParamType):
    """rp=0.9 or rp=0.9,mae=0.8."""

    name = "scores"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        wanted: dict[str, float] = {}
        for part in str(value).split(","):
            score, equals, text = part.strip().partition("=")
            if not equals or score not in SCORES or score in wanted:
                self.fail(f"{part.strip()!r}: expected rp=0.9, mae=0.9 or both, with a comma between", param, ctx)
            try:
                wanted[score] = float(text)
            except ValueError:
                self.fail(f"{part.strip()!r}: {text!r} is no number", param, ctx)
            if not 0 <= wanted[score] <= 1:
                self.fail(f"{part.strip()!r}: a score lies between 0 and 1", param, ctx)
        return wanted


def show_comparison(
    comparison: Comparison,
    folder: Path,
    *,
    as_json: bool,
    as_csv: bool,
    fail_under: dict[str, float] | None,
    quiet: bool,
) -> int:
    """Write, print and judge a comparison; the exit code."""
    from reprozoo.report.files import pairs_csv, to_json, write_comparison
    from reprozoo.report.terminal import print_comparison

    paths = write_comparison(comparison, folder)
    if as_json:
        click.echo(to_json(comparison), nl=False)
    elif as_csv:
        click.echo(pairs_csv(comparison), nl=False)
    else:
        print_comparison(comparison, console())
    _say_where(paths, plain=not (as_json or as_csv), quiet=quiet)
    failures = shortfalls(comparison, fail_under or {})
    for failure in failures:
        click.echo(f"failed: {failure}", err=True)
    return 1 if failures else 0


def show_generalization(result: Generalization, folder: Path, *, as_json: bool, quiet: bool) -> None:
    """Write and print a generalization."""
    from reprozoo.report.files import to_json, write_generalization
    from reprozoo.report.terminal import print_generalization

    paths = write_generalization(result, folder)
    if as_json:
        click.echo(to_json(result), nl=False)
    else:
        print_generalization(result, console())
    _say_where(paths, plain=not as_json, quiet=quiet)


def shortfalls(comparison: Comparison, fail_under: dict[str, float]) -> list[str]:
    """One sentence for each score whose worst pair is below what is asked for."""

    def value(pair: PairScores) -> float:
        return float(getattr(pair, score).value)

    sentences = []
    for score, least in fail_under.items():
        worst = min(comparison.pairs, key=value)
        if value(worst) < least:
            name = comparison.score_names.get(score, score)
            sentences.append(f"{name} of {worst.model_a} and {worst.model_b} is {value(worst):.4g}, below {least:g}")
    return sentences


def one_of_json_and_csv(as_json: bool, as_csv: bool) -> None:
    """Refuse both.

    Raises:
        UsageError: both are asked for.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other: both go to stdout (and both files are written anyway)")


def say_sampled(runs: list[ModelRun], *, quiet: bool) -> None:
    """A note on what was made and what was already there."""
    for run in runs:
        made = f"{run.sampled:,} images made in {run.sampling_s:.1f} s, " if run.sampled else ""
        note(f"{run.label}: {made}{run.reused:,} from the store", quiet=quiet)


def _say_where(paths: list[Path], *, plain: bool, quiet: bool) -> None:
    """Where the report is: part of the answer where that is for a person, else a note."""
    if plain:
        click.echo(f"\nreport: {paths[0]}")
    else:
        note(f"report: {paths[0]}", quiet=quiet)
