"""``cache``: the store of images and features that runs leave behind and later runs reuse."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sized
from typing import TYPE_CHECKING, Any

import click

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.cli.common import ParamType, json_option, print_json
from reprozoo.cli.table import print_table
from reprozoo.engine.display import duration, size

if TYPE_CHECKING:
    from reprozoo.engine.store import EntryInfo

UNIT_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class Age(ParamType):
    """A length of time: 30d, 12h, 2w, 90m."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", str(value).strip().lower())
        if match is None:
            self.fail(f"{value!r} is no length of time; expected e.g. 30d, 12h, 2w or 90m", param, ctx)
        return float(match[1]) * UNIT_SECONDS[match[2]]


@click.group(short_help="List, verify and prune the store of images and features.")
def cache() -> None:
    """List, verify and prune the store of images and features.

    It lies in $REPROZOO_HOME/store. Everything in it can be computed again.
    """


@cache.command(name="ls", short_help="List what is in the store.")
@json_option
def list_(*, as_json: bool) -> None:
    """List what is in the store, latest used first."""
    from reprozoo.engine.store import Store

    store = Store()
    entries = store.entries()
    if as_json:
        print_json({"root": str(store.root), "entries": [_entry_json(entry) for entry in entries]})
        return
    _print_entries(entries)
    total = size(sum(entry.bytes for entry in entries))
    click.echo(f"{_count(entries, 'entry', 'entries')}, {total}, in {store.root}", err=True)


@cache.command(short_help="Read everything and compare it with its digests.")
@json_option
def verify(*, as_json: bool) -> None:
    """Read everything and compare it with its digests. Exits with 5 when something is damaged."""
    from reprozoo.engine.store import Store

    store = Store()
    problems = list(store.verify())
    if as_json:
        found = [{"path": str(problem.path), "message": problem.message} for problem in problems]
        print_json({"root": str(store.root), "problems": found})
    else:
        for problem in problems:
            click.echo(problem.message)
    if problems:
        raise IntegrityError(
            f"{_count(problems, 'file is', 'files are')} damaged; `reprozoo cache prune --broken` removes what is, and "
            "the next run computes it again"
        )
    if not as_json:
        click.echo(f"everything in {store.root} is as it was written")


@cache.command(short_help="Remove entries.")
@click.option("--broken", is_flag=True, help="What `cache verify` finds damaged.")
@click.option("--unused-for", type=Age(), metavar="TIME", help="Entries not used for so long: 30d, 12h, 2w.")
@click.option("--key", metavar="PREFIX", help="The entry whose key begins so.")
@click.option("--all", "everything", is_flag=True, help="All entries.")
@json_option
def prune(*, broken: bool, unused_for: float | None, key: str | None, everything: bool, as_json: bool) -> None:
    """Remove entries, and what interrupted runs left behind."""
    from reprozoo.engine.store import Store

    if not (broken or everything or unused_for is not None or key):
        raise UsageError("nothing was chosen; give --broken, --unused-for 30d, --key PREFIX or --all")
    pruned = Store().prune(broken=broken, unused_for_s=unused_for, key=key, everything=everything)
    if as_json:
        print_json({"removed": [str(path) for path in pruned.paths], "bytes": pruned.bytes})
    else:
        click.echo(f"removed {_count(pruned.paths, 'item', 'items')}, {size(pruned.bytes)}")


def _count(things: Sized, one: str, several: str) -> str:
    return f"{len(things):,} {one if len(things) == 1 else several}"


def _entry_json(entry: EntryInfo) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "key": entry.key,
        "rows": entry.rows,
        "bytes": entry.bytes,
        "used": entry.used,
        "document": dict(entry.document),
    }


def _print_entries(entries: list[EntryInfo]) -> None:
    now = time.time()
    rows = []
    for entry in entries:
        used = f"{duration(max(0.0, now - entry.used))} ago"
        rows.append([entry.kind, entry.key[:12], f"{entry.rows:,}", size(entry.bytes), used, _origin(entry.document)])
    print_table(rows, header=("kind", "key", "rows", "size", "last used", "of"), right=(2, 3))


def _origin(document: Mapping[str, Any]) -> str:
    """What an entry was made from, as far as its document says."""
    if "map" in document:
        made = document["map"]
        digests = ", ".join(f"{name} {digest[:8]}" for name, digest in made.get("digests", {}).items())
        sampler = made.get("sampler", {})
        words = [made.get("family", "?"), digests, f"{sampler.get('name', '')} {sampler.get('steps', '')}".strip()]
        return ", ".join(word for word in words if word)
    if "descriptor" in document:
        name = document["descriptor"].get("name") or document["descriptor"].get("id", "?")
        return f"{name} of {str(document.get('images', '?'))[:12]}"
    return ""
