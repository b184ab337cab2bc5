"""docs/cli.md says what the commands really take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from reprozoo.cli import COMMANDS, EXIT_CODES, app
from reprozoo.cli.models import STATUSES

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
EVERYWHERE = {"--help", "-h", "--debug"}


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(app)
    for name in (name for section in COMMANDS.values() for name in section):
        command = app.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group) and command.invoke_without_command:
            yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {child}", command.commands[child]) for child in command.commands)
        else:
            yield name, command


def options_of(command: click.Command) -> set[str]:
    options = (parameter for parameter in command.params if isinstance(parameter, click.Option))
    return {name for option in options for name in (*option.opts, *option.secondary_opts)} - EVERYWHERE


def sections(page: str) -> dict[str, str]:
    """Command -> its part of the page."""
    parts = re.split(r"^#{2,3} (.+)$", page, flags=re.MULTILINE)
    titled = zip(parts[1::2], parts[2::2], strict=True)
    return {
        " ".join(re.findall(r"[a-z-]+", title.removeprefix("reprozoo "))[: _words(title)]): text
        for title, text in titled
    }


def _words(title: str) -> int:
    return 2 if re.match(r"reprozoo (data|noise|cache|plugins) ", title) else 1


def documented_options(text: str) -> set[str]:
    quoted = re.findall(r"`(--?[a-z-]+)`", text)
    return set(quoted) - EVERYWHERE


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_options_are_the_real_ones(name: str, command: click.Command) -> None:
    assert documented_options(sections(PAGE)[name]) == options_of(command)


def test_the_check_sees_a_missing_option() -> None:
    command = dict(commands())["compare"]
    assert documented_options(sections(PAGE.replace("`--seed`", "seed"))["compare"]) != options_of(command)


@pytest.mark.parametrize("name", ["compare", "sample", "noise export"])
def test_defaults_are_the_real_ones(name: str) -> None:
    rows = dict(re.findall(r"^\| .*`(--[a-z-]+)` \| ([^|]*) \|", sections(PAGE)[name], flags=re.MULTILINE))
    for parameter in dict(commands())[name].params:
        written = rows.get(parameter.opts[-1], "").strip(" `")
        if isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool) and written:
            assert float(written) == parameter.default


def test_exit_codes() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, flags=re.MULTILINE))
    assert {int(code): meaning for code, meaning in rows.items()} == EXIT_CODES


def test_statuses() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", sections(PAGE)["models"], flags=re.MULTILINE))
    assert set(rows) == set(STATUSES)


def test_every_variable_is_read_somewhere() -> None:
    source = "".join(path.read_text() for path in (Path(__file__).parents[2] / "reprozoo").rglob("*.py"))
    for variable in re.findall(r"^\| `([A-Z_]+)` \|", PAGE, flags=re.MULTILINE):
        assert variable in source or variable == "NO_COLOR"  # which rich reads
