"""``data``: the data sets that models are trained on and measured against."""

from __future__ import annotations

import click

from reprozoo.base.errors import UsageError
from reprozoo.cli.common import json_option, offline_option, print_json, quiet_option
from reprozoo.cli.table import print_table
from reprozoo.engine.display import ProgressDisplay


@click.group(short_help="List and fetch data sets.")
def data() -> None:
    """List and fetch data sets.

    Wherever a data set is asked for, a folder or zip of images, an .npz or a .safetensors file will do too.
    """


@data.command(name="ls", short_help="List the data sets.")
@json_option
def list_(*, as_json: bool) -> None:
    """List the data sets: those of cards, and those of plugins."""
    from reprozoo.zoo.resolving import default_zoo

    zoo = default_zoo()
    cards = list(zoo.registry.datasets.values())
    others = {name: found.value.summary for name, found in zoo.plugins.datasets.items()}
    if as_json:
        extra = [{"id": name, "title": summary} for name, summary in others.items()]
        print_json({"datasets": [card.to_json() for card in cards] + extra})
        return
    rows = []
    for card in cards:
        counts = ", ".join(f"{split} {part.count:,}" for split, part in card.splits.items())
        rows.append([card.id, counts, "×".join(map(str, card.image_shape)), card.licence, card.title])
    rows += [[name, "–", "–", "–", summary] for name, summary in others.items()]
    print_table(rows, header=("id", "images", "shape", "licence", "title"))


@data.command(short_help="Fetch data sets and check their digests.")
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@json_option
@offline_option
@quiet_option
def pull(*, names: tuple[str, ...], as_json: bool, offline: bool, quiet: bool) -> None:
    """Fetch data sets, decode them once, and check the digest of their pixels, whatever the source."""
    from reprozoo.zoo.datasets import pull_dataset
    from reprozoo.zoo.plugins import installed_plugins
    from reprozoo.zoo.resolving import default_zoo

    registry = default_zoo().registry
    for name in names:  # an unknown name is found before anything is fetched
        if name in installed_plugins().datasets:
            raise UsageError(f"a plugin makes {name} whenever it is used; there is nothing to pull")
        registry.dataset(name)
    files = {}
    with ProgressDisplay(quiet=quiet) as progress:
        for name in names:
            files[name] = pull_dataset(name, registry=registry, offline=offline, progress=progress.fetched)
    if as_json:
        print_json({name: {split: str(path) for split, path in found.items()} for name, found in files.items()})
        return
    for name, found in files.items():
        for split, path in found.items():
            click.echo(f"{name}  {split}  {path}")
