"""docs/cli.md says what the commands really take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from reprozoo.cli import COMMANDS, EXIT_CODES, app
from reprozoo.cli.models import STATUSES
from reprozoo.engine.question import COMPARE, GENERALIZE, SAMPLE, SCORE, Ask, Question, asks_of, default_of, no_flag

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


SAID_ELSEWHERE = {"measures"}  # the section names options of other commands


def documented_options(text: str) -> set[str]:
    quoted = re.findall(r"`(--?[a-z-]+)`", text)
    return set(quoted) - EVERYWHERE


def flags_of(ask: Ask) -> set[str]:
    return {*ask.flags, *([no_flag(ask.flags[0])] if ask.kind == "optional texts" else [])}


def rows_of(text: str) -> dict[str, str]:
    """The last flag of each row of a table of options -> its default."""
    cells = [re.split(r"(?<!\\)\|", line)[1:3] for line in text.splitlines() if line.startswith("| `-")]
    return {re.findall(r"`(--[a-z-]+)`", flags)[-1]: default.strip(" `") for flags, default in cells}


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_options_are_the_real_ones(name: str, command: click.Command) -> None:
    if name in SAID_ELSEWHERE:
        assert options_of(command) <= documented_options(sections(PAGE)[name])
    else:
        assert documented_options(sections(PAGE)[name]) == options_of(command)


def test_the_check_sees_a_missing_option() -> None:
    command = dict(commands())["compare"]
    assert documented_options(sections(PAGE.replace("`--seed`", "seed"))["compare"]) != options_of(command)


@pytest.mark.parametrize("task", [COMPARE, GENERALIZE, SCORE, SAMPLE])
def test_every_field_of_a_question_is_an_option_and_is_documented(task: str) -> None:
    command = dict(commands())[task]
    for name, ask in asks_of(task).items():
        assert flags_of(ask) <= options_of(command), name
        assert flags_of(ask) <= documented_options(sections(PAGE)[task]), name


def test_every_field_has_a_row_with_its_default() -> None:
    rows = rows_of(sections(PAGE)[COMPARE]) | rows_of(sections(PAGE)[GENERALIZE])
    for task in (COMPARE, GENERALIZE):
        for name, ask in asks_of(task).items():
            default = default_of(name)
            shown = default[0] if name == "descriptor" else default
            expected = f"{shown:g}" if isinstance(shown, float) else str(shown)
            left_open = default is None or default is False or default in ((), {})
            assert rows[ask.flags[-1]] == ("" if left_open else expected), name


def test_the_question_file_of_the_page_can_be_read(tmp_path: Path) -> None:
    (toml,) = re.findall(r"^```toml\n(.*?)^```", sections(PAGE)["run"], re.MULTILINE | re.DOTALL)
    (tmp_path / "question.toml").write_text(toml, encoding="utf-8")
    question = Question.read(tmp_path / "question.toml")
    assert question.changed() == {
        "num_samples": 256, "descriptor": ("sscd", "pixels"), "threshold": {"similarity": 0.7, "mae": 10.0},
        "baselines": (),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["noise export"])
def test_defaults_are_the_real_ones(name: str) -> None:
    rows = rows_of(sections(PAGE)[name])
    numbers = {
        parameter.opts[-1]: parameter.default
        for parameter in dict(commands())[name].params
        if isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool)
    }
    assert numbers
    assert {flag: float(rows[flag]) for flag in numbers} == numbers


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
