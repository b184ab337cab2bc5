"""``models`` and ``show``: what there is, and what is known about it; no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.cli.common import json_option, note, print_json
from reprozoo.cli.table import Cell, print_table, short, styled, terminal_width
from reprozoo.engine.display import size

if TYPE_CHECKING:
    from reprozoo.zoo.cards import ModelCard, WeightsSource
    from reprozoo.zoo.plugins import Family, Option
    from reprozoo.zoo.resolving import Zoo

STATUSES = {
    "formula": "nothing to fetch",
    "bundled": "ships with the registry",
    "cached": "on this machine",
    "downloadable": "fetched when it is first used, or by `reprozoo pull`",
    "gated": "needs a licence to be accepted and a token",
    "manual": "a person has to fetch it; `reprozoo show ID` says from where",
    "untrained": "has a recipe and no weights yet; `reprozoo train ID` makes them",
    "missing": "ships with the registry, but its file is not there",
    "no-plugin": "no working plugin provides its family",
}
STYLES = {"downloadable": "note", "manual": "note", "gated": "note", "missing": "bad"}
STYLES |= {"untrained": "dim", "no-plugin": "dim"}
WIDE = 120  # columns of a terminal that has room for titles
UNUSABLE = ("untrained", "missing", "no-plugin")
WORST_FIRST = ("missing", "untrained", "manual", "gated", "downloadable", "cached", "bundled")


@dataclass(frozen=True)
class Row:
    """One model as the table lists it."""

    card: ModelCard
    status: str
    bytes: int | None
    plugin: str | None

    def to_json(self) -> dict[str, Any]:
        names = ("id", "aliases", "family", "title", "licence", "paper", "table_row", "noise_shape", "image_shape")
        known = {name: getattr(self.card, name) for name in (*names, "num_classes")}
        return known | {
            "dataset": dataset_of(self.card),
            "status": self.status,
            "bytes": self.bytes,
            "plugin": self.plugin,
        }


@click.command(short_help="List the models, by family.")
@click.option("--family", metavar="NAME", help="Only this family.")
@click.option("--dataset", metavar="NAME", help="Only models trained on this data set.")
@click.option("--status", type=click.Choice(tuple(STATUSES)), help="Only models of this status.")
@json_option
def models(*, family: str | None, dataset: str | None, status: str | None, as_json: bool) -> None:
    """List the models, by family, with their status, licence and size."""
    from reprozoo.zoo.resolving import default_zoo

    zoo = default_zoo()
    _check_family(zoo, family)
    rows = [
        row
        for row in _rows(zoo)
        if (family is None or row.card.family == family)
        and (dataset is None or dataset_of(row.card) == dataset)
        and (status is None or row.status == status)
    ]
    if as_json:
        print_json({"models": [row.to_json() for row in rows]})
    elif rows:
        _print_models(rows)
    elif zoo.registry.models:
        note("no model fits; `reprozoo models` lists them all")
    else:
        note("there is no model, because no plugin gives a card; `reprozoo plugins` lists the plugins")
    if failed := zoo.plugins.failed():
        names = ", ".join(record.name for record in failed)
        note(f"not listed is what these plugins would give, which failed: {names} (see `reprozoo plugins`)")


@click.command(short_help="Show everything known about one model.")
@click.argument("model", metavar="ID")
@json_option
def show(*, model: str, as_json: bool) -> None:
    """Show everything known about one model: card, options, weights and their status."""
    from reprozoo.zoo.resolving import common_options, default_zoo
    from reprozoo.zoo.specs import MapSpec

    zoo, spec = default_zoo(), MapSpec.parse(model)
    card = zoo.card(spec)
    registered = zoo.plugins.families.get(card.family)
    if spec.options and registered:
        card = zoo.as_chosen(model)
    row = _row(zoo, card)
    if as_json:
        facts = {"card": card.to_json(), "digest": card.digest(), "status": row.status, "bytes": row.bytes}
        if registered:
            own: Family = registered.value
            facts["options"] = _options({**own.options, **common_options(card, own)})
            facts["sampler_options"] = _options(_sampler_options(zoo, card))
        print_json(facts)
    else:
        missing = None if registered else zoo.plugins.missing_family(card.family, package=card.package)
        _print_card(zoo, row, registered.value if registered else None, missing)
        click.echo(f"Compare it on the same noise: {_comparison(zoo, card, model)}")


def _comparison(zoo: Zoo, card: ModelCard, spec: str) -> str:
    """The command that compares the model: with another of the same noise, or with itself in twice as many steps."""
    if other := _partner(zoo, card):
        against = other
    else:
        steps = {**card.sampler, **card.options}.get("steps")
        against = f"{card.id}+steps={2 * steps}" if steps else "samples:FOLDER"
    classes = f" --class 0-{card.num_classes - 1}" if card.num_classes else ""
    return f"reprozoo compare {spec} {against}{classes}"


def _partner(zoo: Zoo, card: ModelCard) -> str | None:
    """Another model that takes the same noise and classes: of the same data, a network, easily had, trained apart."""

    def distance(other: ModelCard) -> tuple[bool, bool, int, bool, str]:
        effort = list(STATUSES).index(status_of(zoo, other))
        derived = not other.training.keys().isdisjoint(("start_sha256", "teacher_sha256"))
        return (not _same_data(card, other), not other.network, effort, derived, other.id)

    def takes(model: ModelCard) -> tuple[object, ...]:
        return (model.noise_shape, model.image_shape, model.num_classes)

    fitting = [
        model
        for model in zoo.registry.models.values()
        if takes(model) == takes(card) and model.id != card.id and status_of(zoo, model) not in UNUSABLE
    ]
    return min(fitting, key=distance).id if fitting else None


def _same_data(one: ModelCard, other: ModelCard) -> bool:
    """Whether two models were trained on the same images, as far as their cards say."""
    known = all("images_sha256" in card.training for card in (one, other))
    facts = ("images_sha256",) if known else ("dataset", "split")
    return all(one.training.get(fact) == other.training.get(fact) for fact in facts)


def status_of(zoo: Zoo, card: ModelCard) -> str:
    """One of ``STATUSES``: the worst of what the model needs."""
    from reprozoo.zoo.cards import BundledSource

    if card.family not in zoo.plugins.families:
        return "no-plugin"

    def one(source: WeightsSource) -> str:
        if isinstance(source, BundledSource):
            return "bundled" if (card.home / source.file).is_file() else "missing"
        from reprozoo.zoo.weights import status  # slow to import, and often not needed

        return status(source)

    found = {one(source) for source in card.weights}
    return next((name for name in WORST_FIRST if name in found), "formula")


def dataset_of(card: ModelCard) -> str:
    """The training set, as the card names it."""
    return str(card.training.get("dataset", "unknown"))


def _check_family(zoo: Zoo, name: str | None) -> None:
    known = sorted({*zoo.plugins.families, *(card.family for card in zoo.registry.models.values())})
    if name is not None and name not in known:
        raise UsageError(
            f"no family is called {name!r}{did_you_mean(name, known)}; there is: {', '.join(known) or 'none'}"
        )


def _rows(zoo: Zoo) -> list[Row]:
    cards = sorted(zoo.registry.models.values(), key=lambda card: (card.family, card.id))
    return [_row(zoo, card) for card in cards]


def _row(zoo: Zoo, card: ModelCard) -> Row:
    registered = zoo.plugins.families.get(card.family)
    return Row(card, status_of(zoo, card), _bytes(card), registered.plugin.name if registered else None)


def _bytes(card: ModelCard) -> int | None:
    """Size of all files; None where one is not known."""
    from reprozoo.zoo.weights import size_of

    sizes = [size_of(source, card_dir=card.home) for source in card.weights]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _print_models(rows: Iterable[Row]) -> None:
    lines: list[list[Cell]] = []
    header = ["id", "status", "size", "licence", "data", "title"]
    if (terminal_width() or WIDE) < WIDE:
        header.pop()
    family = None
    for row in rows:
        card = row.card
        if card.family != family:
            family = card.family
            lines.append([(family, "bold")])
        status = (row.status, STYLES.get(row.status, "good"))
        bytes_shown = "–" if row.bytes in (None, 0) else size(row.bytes)
        cells: list[Cell] = [
            f"  {card.id}",
            status,
            bytes_shown,
            short(card.licence),
            short(dataset_of(card)),
            card.title,
        ]
        lines.append(cells[: len(header)])
    print_table(lines, header=header, right=(2,))


def _options(options: Mapping[str, Option]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "kind": getattr(o.kind, "__name__", o.kind),
            "default": o.default,
            "choices": list(o.choices),
            "help": o.help,
        }
        for name, o in options.items()
    }


def _sampler_options(zoo: Zoo, card: ModelCard) -> Mapping[str, Option]:
    """Those of the card's sampler; none where it has none, or none that is installed."""
    registered = zoo.plugins.samplers.get(card.sampler.get("name", ""))
    return registered.value.options if registered else {}


def _option_lines(
    options: Mapping[str, Option], values: Mapping[str, Any], *, otherwise: str = ""
) -> Iterator[tuple[str, str]]:
    """What each does, and its value on the card or by default; ``otherwise`` stands where both are silent."""
    for name, option in options.items():
        value = values.get(name, option.default)
        shown = otherwise if value is None else value
        yield f"+{name}=", option.help + (f" ({shown})" if shown != "" else "")


def _print_card(zoo: Zoo, row: Row, family: Family | None, missing: str | None) -> None:
    from reprozoo.report.plain import one_line, shape
    from reprozoo.zoo.resolving import common_options

    card = row.card
    known = card.to_json()
    lines: list[tuple[str, str]] = []
    for name in SHOWN:
        if known.get(name) not in (None, "", [], {}):
            shown = shape(known[name]) if name.endswith("_shape") else one_line(known[name])
            lines.append((name.replace("_", " "), shown))
    lines.append(("card", str(card.source_file)))
    lines.append(("status", f"{row.status}: {missing or STATUSES.get(row.status, '')}"))
    for source in card.weights:
        lines += _source_lines(card, source)
    lines += _option_lines(family.options if family else {}, card.options, otherwise="chosen by the family")
    if card.sampler:
        lines.append(("+sampler=", f"one of {', '.join(zoo.plugins.samplers)} ({card.sampler['name']})"))
        lines += _option_lines(_sampler_options(zoo, card), card.sampler)
    lines += [(f"+{name}=", option.help) for name, option in common_options(card, family).items()] if family else []
    click.echo(styled(card.title, "bold"))
    print_table([[(name, "dim"), text] for name, text in lines])


def _source_lines(card: ModelCard, source: WeightsSource) -> list[tuple[str, str]]:
    """Where a file comes from, how it is known and read, and what a person has to do."""
    from reprozoo.report.plain import one_line

    known = source.to_json()
    details = [(f"  {name}", one_line(known[name])) for name in SOURCE_SHOWN if known.get(name)]
    if "instructions" in known or "recipe" in known:
        details.append(("  then", f"reprozoo import {card.id} FILE"))
    return [(source.name, source.describe()), *details]


SHOWN = (
    "id", "aliases", "family", "package", "licence", "paper", "table_row", "status_note", "noise_shape", "image_shape",
    "num_classes", "training", "network", "kernel", "sampler", "options",
)  # fmt: skip
SOURCE_SHOWN = ("instructions", "revision", "files", "format", "sha256", "bytes", "gated")
