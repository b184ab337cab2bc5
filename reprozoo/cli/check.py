"""``check``: whether a model keeps the contract of maps, a line for each promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from reprozoo.base.errors import ContractError
from reprozoo.cli.common import device_options, json_option, note, print_json
from reprozoo.cli.table import print_table

if TYPE_CHECKING:
    from reprozoo.testing import CheckResult

MARKS = {"ok": ("ok     ", "good"), "failed": ("FAILED ", "bad"), "skipped": ("skipped", "dim")}
NAME_WIDTH = 19


@click.command(short_help="Run the contract of maps on a real model.")
@click.argument("model", metavar="ID")
@click.option(
    "--only", "checks", multiple=True, metavar="CHECK", help="Only this check, e.g. determinism; several times."
)
@json_option
@device_options
def check(
    *, model: str, checks: tuple[str, ...], as_json: bool, device: str, dtype: str, offline: bool, quiet: bool
) -> None:
    """Run the contract of maps on a real model: the same checks that a plugin's author runs.

    ID is a map spec, e.g. tiny-edm or tiny-edm+steps=4. A line for each check: ok, FAILED, or skipped where it does not
    apply. Exits with 3 when a check fails.
    """
    from reprozoo.base.devices import resolve_device
    from reprozoo.testing import Subject, iter_checks
    from reprozoo.zoo.resolving import resolve

    subject = Subject(resolve(model, device=resolve_device(device), dtype=dtype, offline=offline))
    results = iter_checks(subject, checks=checks or None)
    note(f"checking {model}: a few small batches, and once more in a fresh process", quiet=quiet or as_json)
    subject.load()  # what is wrong with its files has an exit code of its own
    finished = list(results) if as_json else list(_printed(results))
    failed = [result.name for result in finished if not result.ok]
    if as_json:
        print_json({"model": model, "ok": not failed, "checks": [asdict(result) for result in finished]})
    if failed:
        raise ContractError(f"{model} breaks the contract of maps: {', '.join(failed)}")


def _printed(results: Iterator[CheckResult]) -> Iterator[CheckResult]:
    """Each result once its line is printed, as soon as it is there."""
    for result in results:
        print_table([[MARKS[result.status], result.name.ljust(NAME_WIDTH), result.detail]])
        yield result
