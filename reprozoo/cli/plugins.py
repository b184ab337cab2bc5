"""``plugins`` and ``check``: what is installed, and whether a model keeps the contract of maps."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from reprozoo.cli.common import device_options, json_option, note, print_json
from reprozoo.cli.table import Cell, print_table
from reprozoo.errors import ContractError, PluginError

if TYPE_CHECKING:
    from reprozoo.plugins import PluginRecord
    from reprozoo.testing import CheckResult


@click.command(short_help="List the plugins and what became of each.")
@click.option("--strict", is_flag=True, help="Exit with 3 when a plugin is broken.")
@json_option
def plugins(*, strict: bool, as_json: bool) -> None:
    """List the plugins and what became of each.

    A broken plugin is listed with its error and fails only what needs it. REPROZOO_DISABLE_PLUGINS=name,… keeps plugins
    from being imported.
    """
    from reprozoo.plugins import installed_plugins

    records = installed_plugins().records
    if as_json:
        print_json({"plugins": [asdict(record) for record in records]})
    else:
        _print_plugins(records)
    broken = [record.name for record in records if record.status == "broken"]
    if strict and broken:
        raise PluginError(f"broken: {', '.join(broken)}")


def _print_plugins(records: list[PluginRecord]) -> None:
    styles = {"ok": "good", "broken": "bad", "disabled": "note"}
    rows: list[list[Cell]] = []
    for record in records:
        names = {kind: values for kind, values in record.provides.items() if kind != "cards"}
        provides = [f"{kind}: {', '.join(values)}" for kind, values in names.items()]
        provides += [f"{len(record.provides['cards'])} card folder"] if "cards" in record.provides else []
        status = (record.status, styles.get(record.status, ""))
        origin, took = f"{record.distribution} {record.version}", f"{record.import_s * 1e3:.0f} ms"
        rows.append([record.name, status, origin, took, record.error or "; ".join(provides)])
    print_table(rows, header=("plugin", "status", "from", "import", "provides"), right=(3,))


@click.command(short_help="Run the contract of maps on a real model.")
@click.argument("model", metavar="ID")
@json_option
@device_options
def check(*, model: str, as_json: bool, device: str, dtype: str, offline: bool, quiet: bool) -> None:
    """Run the contract of maps on a real model: the same checks that a plugin's author runs.

    ID is a map spec, e.g. tiny-edm or tiny-edm+steps=4. Exits with 3 when a check fails.
    """
    from reprozoo.engine import resolve_device
    from reprozoo.testing import run_checks
    from reprozoo.zoo import resolve

    note(f"checking {model}: a few small batches", quiet=quiet or as_json)
    recipe = resolve(model, device=resolve_device(device), dtype=dtype, offline=offline)
    results = run_checks(recipe.load())
    if as_json:
        print_json({"model": model, "ok": all(r.ok for r in results), "checks": [asdict(r) for r in results]})
    else:
        _print_checks(results)
    failed = [result.name for result in results if not result.ok]
    if failed:
        raise ContractError(f"{model} breaks the contract of maps: {', '.join(failed)}")


def _print_checks(results: list[CheckResult]) -> None:
    marks = {True: ("ok", "good"), False: ("FAIL", "bad")}
    print_table([[marks[result.ok], result.name, result.detail] for result in results])
