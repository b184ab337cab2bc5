"""``pull`` and ``import``: the weights of models, fetched ahead of time or brought by a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reprozoo.base.errors import ContractError, IntegrityError, ReprozooError
from reprozoo.cli.common import json_option, note, offline_option, print_json, quiet_option
from reprozoo.engine.display import ProgressDisplay, size

if TYPE_CHECKING:
    from reprozoo.zoo.cards import DescriptorCard, ModelCard, WeightsSource
    from reprozoo.zoo.resolving import Zoo
    from reprozoo.zoo.weights import FetchedFile, PlannedFile

Planned = list[tuple["ModelCard | DescriptorCard", "WeightsSource", "PlannedFile"]]


@click.command(short_help="Fetch the weights of models ahead of time.")
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Say what would be fetched and how large it is; fetch nothing.")
@json_option
@offline_option
@quiet_option
def pull(*, ids: tuple[str, ...], dry_run: bool, as_json: bool, offline: bool, quiet: bool) -> None:
    """Fetch the weights of models ahead of time, and verify them.

    ID is a model (tiny-edm) or a descriptor (sscd). With --offline nothing is fetched: what is here is verified. What
    was interrupted goes on where it stopped when the same command is run again.
    """
    from reprozoo.zoo.resolving import default_zoo
    from reprozoo.zoo.weights import check_room, fetch

    zoo = default_zoo()
    cards = [_card(zoo, name) for name in ids]  # an unknown id is found before anything is fetched
    planned = _plan(cards, offline=offline)
    if dry_run:
        return _print_plan(cards, planned, as_json=as_json)
    check_room((source, file) for _, source, file in planned)
    done = []
    with ProgressDisplay(quiet=quiet) as progress:
        for card in cards:
            for source in card.weights:
                file = fetch(source, card_dir=card.home, offline=offline, progress=progress.fetched)
                fact = {"file": source.name, "path": str(file.path), "sha256": file.sha256, "origin": file.origin}
                done.append({"id": card.id} | fact)
    if as_json:
        print_json({"files": done})
        return
    for fact in done:
        click.echo(f"{fact['id']}  {fact['file']}  {fact['origin']}  sha256 {fact['sha256']}  {fact['path']}")
    _print_formulas(cards)


@click.command(name="import", short_help="Bring a file of weights that you fetched yourself.")
@click.argument("model", metavar="ID")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--name", help="Which of the model's files it is, where it needs several.")
@json_option
@quiet_option
def import_(*, model: str, file: Path, name: str | None, as_json: bool, quiet: bool) -> None:
    """Bring a file of weights that you fetched yourself.

    `reprozoo show ID` says which file a model needs and where a person finds it. The file is read without executing
    anything, compared with the model's network, converted to safetensors, and remembered by its digest.
    """
    from reprozoo.zoo.resolving import default_zoo
    from reprozoo.zoo.specs import MapSpec
    from reprozoo.zoo.weights import import_file, importable, read_checkpoint, recognise

    zoo = default_zoo()
    card = zoo.card(MapSpec.parse(model))
    source = importable(card, name)
    found = recognise(file) if source.format == "auto" else source.format
    checkpoint = read_checkpoint(file, format=source.format)  # refuses what is not weights before it is copied
    imported = import_file(source, file)
    why_not = _verify(zoo, model, source, imported)
    fact = {"id": card.id, "file": source.name, "format": found, "tensors": len(checkpoint.tensors)}
    fact |= {"sha256": imported.sha256, "path": str(imported.path), "verified": why_not is None}
    if as_json:
        print_json(fact)
    else:
        count = f"{fact['tensors']} tensors of format {found}"
        click.echo(f"{card.id}  {source.name}  {count}  sha256 {imported.sha256}  {imported.path}")
    if why_not is not None:
        note(f"its shapes were not compared with the network: {why_not}", quiet=quiet)


def _verify(zoo: Zoo, model: str, source: WeightsSource, imported: FetchedFile) -> str | None:
    """Load the model with the imported file; None where it fits, else why that could not be tried.

    Raises:
        IntegrityError: it does not fit; the file is forgotten.
    """
    from reprozoo.zoo.weights import forget

    try:
        recipe = zoo.resolve(model, offline=True)
    except ReprozooError as error:
        return str(error).split("\n")[0]
    try:
        recipe.load()
    except (IntegrityError, ContractError) as error:
        forget(source, imported)
        raise IntegrityError(f"the file does not fit the network of {model} and was not kept: {error}") from error
    return None


def _plan(cards: Sequence[ModelCard | DescriptorCard], *, offline: bool) -> Planned:
    from reprozoo.zoo.weights import plan

    return [
        (card, source, file)
        for card in cards
        for source in card.weights
        for file in plan(source, card_dir=card.home, offline=offline)
    ]


def _print_plan(cards: Sequence[ModelCard | DescriptorCard], planned: Planned, *, as_json: bool) -> None:
    total = sum(file.to_fetch for _, _, file in planned)
    unknown = sum(file.bytes is None and file.status in ("downloadable", "gated") for _, _, file in planned)
    if as_json:
        files: list[dict[str, Any]] = [
            {"id": card.id, "source": source.name, "file": file.name, "bytes": file.bytes, "status": file.status}
            for card, source, file in planned
        ]
        print_json({"files": files, "bytes_to_fetch": total, "files_of_unknown_size": unknown})
        return
    for card, source, file in planned:
        shown = size(file.bytes) if file.bytes is not None else "size unknown"
        click.echo(f"{card.id}  {source.name}  {file.name}  {shown}  {file.status}")
    _print_formulas(cards)
    more = f", and {unknown} of unknown size" if unknown else ""
    click.echo(f"to fetch: {size(total)}{more}")


def _print_formulas(cards: Sequence[ModelCard | DescriptorCard]) -> None:
    for card in cards:
        if not card.weights:
            click.echo(f"{card.id}  is a formula: nothing to fetch")


def _card(zoo: Zoo, name: str) -> ModelCard | DescriptorCard:
    """The card of a model, or of a descriptor where no model has the name."""
    from reprozoo.zoo.specs import MapSpec

    descriptors = {alias: card for card in zoo.registry.descriptors.values() for alias in (card.id, *card.aliases)}
    return descriptors.get(name.lower()) or zoo.card(MapSpec.parse(name))
