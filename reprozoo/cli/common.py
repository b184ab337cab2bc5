"""What the commands share: options, consoles, and how a result reaches standard output."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reprozoo.base.terminal import clean
from reprozoo.zoo.specs import DTYPE_ALIASES, DTYPES

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]  # generic since click 8.4 only
else:
    ParamType = click.ParamType

Function = TypeVar("Function", bound=Callable[..., Any])


def debug_option(function: Function) -> Function:
    """``--debug`` after the command's name too; ``reprozoo.cli.run`` looks for it."""
    return click.option("--debug", is_flag=True, expose_value=False, hidden=True)(function)


def json_option(function: Function) -> Function:
    return _all_of(
        function,
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else."),
        debug_option,
    )


def quiet_option(function: Function) -> Function:
    return click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr.")(function)


def offline_option(function: Function) -> Function:
    return click.option(
        "--offline",
        is_flag=True,
        envvar="REPROZOO_OFFLINE",
        callback=_go_offline,
        help="Fetch nothing: use what is on this machine.",
    )(function)


def _go_offline(ctx: click.Context, _: click.Parameter, offline: bool) -> bool:
    """Keep libraries that a family uses off the Hub as well; their client reads this once, when it is imported."""
    before = os.environ.get("HF_HUB_OFFLINE")
    if offline and before is None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        ctx.call_on_close(lambda: os.environ.pop("HF_HUB_OFFLINE", None))
    return offline


def _all_of(function: Function, *options: Callable[[Any], Any]) -> Function:
    """Apply decorators so that ``--help`` lists them in this order."""
    for option in reversed(options):
        function = option(function)
    return function


class Dtype(ParamType):
    """float32, float16 or bfloat16, and their short names."""

    name = "dtype"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = DTYPE_ALIASES.get(value, value)
        if name not in DTYPES:
            self.fail(f"{value!r} is not one of {', '.join(DTYPES)}", param, ctx)
        return str(name)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(DTYPES)}]"


def device_options(function: Function) -> Function:
    """Options of every command that loads a model."""
    return _all_of(
        function,
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps."),
        click.option("--dtype", type=Dtype(), default="float32", show_default=True, help="Precision of the networks."),
        offline_option,
        quiet_option,
    )


def print_json(document: Any) -> None:
    """The one JSON document of ``--json``; NaN is written as null."""
    click.echo(json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def note(text: str, *, quiet: bool = False) -> None:
    """A remark on stderr, unless the user asked for quiet."""
    if not quiet:
        click.echo(clean(text, lines=True), err=True)
