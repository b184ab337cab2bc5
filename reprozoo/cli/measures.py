"""``measures``: what can be measured of two images, and the scores that come of it."""

from __future__ import annotations

import click

from reprozoo.cli.common import json_option, print_json
from reprozoo.cli.table import print_table


@click.command(short_help="List the measures and their scores.")
@json_option
def measures(*, as_json: bool) -> None:
    """List the measures and their scores, those of plugins too: what each means and how it is summarised.

    `--measure NAME` takes one that is not usual; `--fail-under SCORE=X` and `--fail-over` bound a score.
    """
    from reprozoo.zoo.plugins import import_object, installed_plugins

    found = installed_plugins().measures
    kinds = sorted((import_object(entry.value.load) for entry in found.values()), key=lambda kind: kind.rank)
    if as_json:
        print_json({
            kind.name: {
                "meaning": kind.meaning, "unit": kind.unit, "closer": kind.closer, "reads": kind.reads,
                "usual": found[kind.name].value.usual, "plugin": found[kind.name].plugin.name,
                "scores": {score.name: score.meaning for score in kind.scores},
            }
            for kind in kinds
        })  # fmt: skip
        return
    rows = []
    for kind in kinds:
        usual = "usual" if found[kind.name].value.usual else found[kind.name].plugin.name
        rows.append([(kind.name, "bold"), usual, kind.meaning])
        rows += [[f"  {score.name}", "", score.meaning] for score in kind.scores]
    print_table(rows, header=("measure, scores", "", "meaning"))
