"""The frame of the command line: laziness, help, exit codes, interrupts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest

from reprozoo import cli as command_line
from reprozoo.base.errors import ContractError, IntegrityError, PartialError, PluginError, UnavailableError, UsageError
from reprozoo.base.terminal import console
from reprozoo.cli import COMMANDS, app, common, models
from tests.cli.conftest import Cli

HEAVY = {"torch", "onnxruntime", "diffusers", "transformers", "matplotlib", "scipy"}


def built_in() -> dict[str, str]:
    return {name: line for section in COMMANDS.values() for name, (_, line) in section.items()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["models"],
        ["models", "--json"],
        ["plugins"],
        ["show", "tiny-edm"],
        ["measures"],
        *([command, "--help"] for command in ("compare", "score", "generalize", "sample", "run", "report")),
    ],
)
def test_quick_commands_import_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import json, sys\nfrom reprozoo.cli import run\n"
        f"code = run({arguments!r})\nprint(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    check_light(json.loads(done.stderr.splitlines()[-1]))


def check_light(seen: list) -> None:
    code, loaded = seen
    assert code == 0
    assert not HEAVY & set(loaded)


def test_the_check_sees_a_heavy_import() -> None:
    with pytest.raises(AssertionError):
        check_light([0, ["sys", "torch"]])


def test_help_lists_every_command(cli: Cli) -> None:
    outcome = cli("--help")
    assert outcome.code == 0
    for name, line in built_in().items():
        assert f"  {name} " in outcome.out
        assert line in outcome.out


@pytest.mark.parametrize("name", built_in())
def test_lines_of_the_help_are_the_commands_own(name: str) -> None:
    command = app.get_command(click.Context(app), name)
    assert command is not None
    assert command.short_help == built_in()[name]
    assert (command.help or "").startswith(built_in()[name][:-1])


def test_commands_of_plugins_are_listed_and_run(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "_plugin_commands", lambda: {"greet": (f"{__name__}:greet", "Say hello.")})
    assert "From plugins:\n  greet  Say hello." in cli("--help").out
    assert cli("greet", "--loud").out == "HELLO\n"
    assert cli("greet", "--debug").out == "hello\n"


@click.command()
@click.option("--loud", is_flag=True)
def greet(loud: bool) -> None:
    """Say hello."""
    click.echo("HELLO" if loud else "hello")


def test_broken_command_of_a_plugin(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "_plugin_commands", lambda: {"greet": ("no_such_module:greet", "Say hello.")})
    outcome = cli("greet")
    assert outcome.code == 3
    assert "cannot load no_such_module:greet" in outcome.err


def test_underscores_are_dashes(cli: Cli) -> None:
    outcome = cli("compare", "theory-gaussian", "--batch_size", "none")
    assert "Invalid value for '--batch-size'" in outcome.err


def test_version(cli: Cli) -> None:
    assert cli("--version").out.startswith("reprozoo ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("said"), 2),
        (ContractError("said"), 3),
        (PluginError("said"), 3),
        (UnavailableError("said"), 4),
        (IntegrityError("said"), 5),
        (PartialError("said"), 6),
        (click.FileError("said"), 2),
        (RuntimeError("said"), 70),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(models, "_rows", fail)
    outcome = cli("models")
    assert outcome.code == code
    assert code in command_line.EXIT_CODES
    assert "Traceback" not in outcome.err
    assert ("said" if code != 130 else "the same command continues") in outcome.err


@pytest.mark.parametrize("arguments", [("--debug", "models"), ("models", "--debug")])
def test_debug_shows_the_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.setattr(models, "_rows", lambda zoo: 1 / 0)
    outcome = cli(*arguments)
    assert outcome.code == 70
    assert "Traceback" in outcome.err
    assert "ZeroDivisionError" in outcome.err


def test_internal_error_says_what_to_report(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_rows", lambda zoo: {}["key"])
    outcome = cli("models")
    assert outcome.err.splitlines()[0] == "internal error: KeyError: 'key'"
    assert "report it" in outcome.err


def test_closed_pipe_is_no_error() -> None:
    script = "import sys\nfrom reprozoo.cli import main\nsys.argv = ['reprozoo', 'models', '--json']\nmain()"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 141


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["models", "--help"]])
def test_closed_pipe_of_help_is_no_error(arguments: list[str]) -> None:
    script = f"import sys\nfrom reprozoo.cli import main\nmain({arguments})"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=30) == 141


@pytest.mark.parametrize(
    ("redirection", "arguments", "code"),
    [
        (">/dev/full", "models", 6), (">&-", "models", 0), ("2>&-", "models", 0), ("2>/dev/full", "nonsense", 2),
        ("2>&-", "nonsense", 2),
    ],
)  # fmt: skip
def test_no_exit_code_of_broken_output_means_a_low_score(redirection: str, arguments: str, code: int) -> None:
    script = f"from reprozoo.cli import main; main(['{arguments}'])"
    shell = f'"{sys.executable}" -c "{script}" {redirection}'
    assert subprocess.run(shell, shell=True, stdout=subprocess.DEVNULL, check=False).returncode == code


@pytest.mark.parametrize("arguments", [(), ("data",), ("noise",)])
def test_without_a_command_help_is_shown(cli: Cli, arguments: tuple[str, ...]) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("Usage: reprozoo")


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console().print("[red]warm[/red]")
    assert "\x1b[31m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    console().print("[red]warm[/red]")
    assert "\x1b[31m" not in capsys.readouterr().out


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    common.print_json({"a": [float("nan"), float("inf"), 1.5, {"b": (2,)}]})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5, {"b": [2]}]}


def test_completion_is_offered() -> None:
    variables = {"_REPROZOO_COMPLETE": "bash_complete", "COMP_WORDS": "reprozoo comp", "COMP_CWORD": "1"}
    script = "from reprozoo.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ | variables
    )
    assert done.stdout == "plain,compare\n"
