"""``plugins``: what is installed and what became of it, and switching plugins off and on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from reprozoo.base.errors import PluginError, UsageError, did_you_mean
from reprozoo.cli.common import debug_option, json_option, note, print_json
from reprozoo.cli.table import Cell, print_table
from reprozoo.zoo.plugins import API_VERSION, DISABLE_VARIABLE, disabled_plugins, installed_names, switch, switched_off

if TYPE_CHECKING:
    from reprozoo.zoo.plugins import PluginRecord, Plugins


@click.group(
    short_help="List the plugins and what became of each; switch them off and on.", invoke_without_command=True
)
@click.option("--strict", is_flag=True, help="Exit with 3 when a plugin is broken or incompatible.")
@json_option
@click.pass_context
def plugins(ctx: click.Context, *, strict: bool, as_json: bool) -> None:
    """List the plugins and what became of each; switch them off and on.

    A broken plugin is listed with its error and fails only what needs it. `reprozoo plugins disable NAME` keeps it from
    being imported from then on, REPROZOO_DISABLE_PLUGINS=name,… for one command.
    """
    if ctx.invoked_subcommand is not None:
        return
    from reprozoo.zoo.plugins import installed_plugins, plugin_cards

    installed = installed_plugins()
    plugin_cards(installed)  # a plugin whose cards cannot be read is broken
    _note_taken_names(installed)
    if as_json:
        print_json({"api": API_VERSION, "plugins": [asdict(record) for record in installed.records]})
    else:
        _print_plugins(installed.records)
    if strict and (failed := installed.failed()):
        raise PluginError("; ".join(record.sentence() for record in failed))


@plugins.command(short_help="Switch plugins off.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@debug_option
def disable(*, names: tuple[str, ...]) -> None:
    """Switch plugins off, for every command from now on: they are not imported any more.

    Nothing is imported to do so: it helps against a plugin that breaks, hangs or kills what imports it.
    """
    _switch(names, installed_names() | switched_off(), on=False)


@plugins.command(short_help="Switch plugins on again.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@debug_option
def enable(*, names: tuple[str, ...]) -> None:
    """Switch plugins on again that `reprozoo plugins disable` has switched off."""
    _switch(names, installed_names() | switched_off(), on=True)
    still = [name for name in names if name in disabled_plugins()]
    if still:
        note(f"{', '.join(still)}: still switched off by {DISABLE_VARIABLE}; unset it")


def _switch(names: Sequence[str], known: Collection[str], *, on: bool) -> None:
    """Switch plugins that are known; the file of those switched off is written only if all are."""
    for name in names:
        if name not in known:
            raise UsageError(
                f"no plugin is called {name!r}{did_you_mean(name, known)}; there is: {', '.join(sorted(known))}"
            )
    switch(names, on=on)
    click.echo(f"{', '.join(names)}: switched {'on' if on else 'off'}", err=True)


def _note_taken_names(installed: Plugins) -> None:
    """Warn of commands under a name of reprozoo's own, which stays what it is; what else takes one is broken."""
    if not installed.commands:
        return
    from reprozoo.cli import COMMANDS

    own = {name for section in COMMANDS.values() for name in section}
    for name in sorted(own & set(installed.commands)):
        installed.commands[name].plugin.warnings.append(
            f"its command {name!r} is not used: reprozoo has one of that name; rename it"
        )


def _print_plugins(records: list[PluginRecord]) -> None:
    styles = {"ok": "good", "disabled": "note", "broken": "bad", "incompatible": "bad"}
    rows: list[list[Cell]] = []
    for record in records:
        origin, took = f"{record.distribution} {record.version}", f"{record.import_s * 1e3:.0f} ms"
        said = "; ".join([record.error or _provided(record), *record.warnings])
        rows.append([record.name, (record.status, styles[record.status]), origin, took, said])
    print_table(rows, header=("plugin", "status", "from", "import", "provides"), right=(3,))


def _provided(record: PluginRecord) -> str:
    """What it registered through each of its hooks."""
    parts = []
    for hook in record.hooks:
        kind = hook.removeprefix("reprozoo_register_")
        names = record.provides.get(kind, [])
        count = f"{len(names)} folder{'' if len(names) == 1 else 's'}"
        parts.append(f"{kind}: {count if kind == 'cards' else ', '.join(names) or 'none'}")
    return "; ".join(parts)
