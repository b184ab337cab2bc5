"""The command line: parse, call, print. One file a command group, each imported when its command runs.

``main`` is the one place where an exception becomes a sentence and an exit code (``EXIT_CODES``). Nothing here imports
torch: ``--help``, ``models``, ``show`` and ``plugins`` answer at once.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import click

from reprozoo import __version__
from reprozoo.base.errors import PartialError, ReprozooError

EXIT_CODES = {
    0: "it worked",
    1: "a score is outside of what --fail-under or --fail-over asks for",
    2: "usage: the request cannot be carried out as it was made",
    3: "a plugin is missing, broken or breaks its contract",
    4: "something that has to be fetched cannot be had (offline, gated, gone)",
    5: "integrity: a wrong hash, NaN images, one model's images under another's name",
    6: "partial: what was finished is kept, and the same command continues",
    70: "an internal error, which is a bug: run again with --debug and report it",
    130: "interrupted (Ctrl-C); what was finished is kept",
    141: "the reader of standard output went away",
}

# Section -> command -> ("module:object", one line of help). A test holds the lines equal to the commands' own.
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Compare": {
        "compare": ("compare:compare", "Compare models on the same noise."),
        "sample": ("sample:sample", "Write the images of one model to a grid, a folder or an archive."),
        "score": ("score:score", "Compare images that were made elsewhere, paired by index."),
        "generalize": ("generalize:generalize", "Measure how far a model copies a data set."),
        "run": ("question_file:run", "Ask what a question file asks."),
        "report": ("report:report", "Show finished runs again, at other thresholds, or several as one."),
    },
    "The zoo": {
        "models": ("models:models", "List the models, by family."),
        "show": ("models:show", "Show everything known about one model."),
        "pull": ("weights:pull", "Fetch the weights of models ahead of time."),
        "import": ("weights:import_", "Bring a file of weights that you fetched yourself."),
        "measures": ("measures:measures", "List the measures and their scores."),
        "data": ("data:data", "List and fetch data sets."),
        "noise": ("noise:noise", "Write noise to a file that other programs can read."),
    },
    "This installation": {
        "plugins": ("plugins:plugins", "List the plugins and what became of each; switch them off and on."),
        "new-plugin": ("new_plugin:new_plugin", "Write a package that adds a family of models."),
        "check": ("check:check", "Run the contract of maps on a real model."),
        "cache": ("cache:cache", "List, verify and prune the store of images and features."),
        "doctor": ("doctor:doctor", "Say what works here, what would fail and why."),
    },
}


class ClosedPipe(Exception):
    """Whoever read standard output went away. No OSError, because click turns those into exit code 1."""


@contextmanager
def _noticing_closed_pipes() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ClosedPipe from error


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for; plugins' commands come after the built-in ones."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section] + sorted(_plugin_commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in COMMANDS.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name][0].partition(":")
                command: click.Command = getattr(import_module(f"reprozoo.cli.{module}"), attribute)
                return command
        return _load_plugin_command(cmd_name)

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        """Parse; ``--help`` and ``--version`` print here."""
        with _noticing_closed_pipes():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        with _noticing_closed_pipes():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name.replace("_", "-")) is None:
            ctx.fail(f"there is no command {name!r}.{_did_you_mean(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sections of ``COMMANDS`` from their one-line helps: no command is imported for ``--help``."""
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in section.items()])
        if extra := _plugin_commands():
            with formatter.section("From plugins"):
                formatter.write_dl([(name, line) for name, (_, line) in sorted(extra.items())])


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),  # --batch_size is --batch-size
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="reprozoo", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.option(
    "--registry",
    "registries",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    callback=lambda ctx, _, chosen: _add_registries(ctx, chosen),
    expose_value=False,
    help="Cards of your own beside the others: a folder of TOML files. May be given several times.",
)
def app() -> None:
    """Given the same noise, do two generative models make the same image?

    \b
    reprozoo models                             what there is
    reprozoo compare tiny-edm tiny-uvit -n 64   noise in, scores and a report out
    reprozoo doctor                             what works on this machine
    """


def _add_registries(ctx: click.Context, chosen: Sequence[str]) -> None:
    """Make further directories of cards known for the time of this command, to child processes as well."""
    if not chosen:
        return
    from reprozoo.zoo import plugins, resolving

    before = os.environ.get(plugins.REGISTRY_VARIABLE)

    def use(value: str | None) -> None:
        os.environ.pop(plugins.REGISTRY_VARIABLE, None)
        if value is not None:
            os.environ[plugins.REGISTRY_VARIABLE] = value
        plugins.installed_registry.cache_clear()
        resolving.default_zoo.cache_clear()

    use(os.pathsep.join([*([before] if before else []), *(os.path.abspath(directory) for directory in chosen)]))
    ctx.call_on_close(lambda: use(before))


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the ``reprozoo`` command: run it and leave with its exit code."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code; every failure is one sentence on stderr."""
    debug = "--debug" in argv
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # for as long as the process lives
    try:
        returned = app.main(args=list(argv), prog_name="reprozoo", standalone_mode=False)
        sys.stdout.flush()
        return returned if isinstance(returned, int) else 0
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted: what was finished is kept, and the same command continues from there")
        return 130
    except (BrokenPipeError, ClosedPipe):
        _forget_output()
        return 141
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            _forget_output()
            _say(f"error: the output cannot be written: {error.strerror}; send it to another place")
            return PartialError.exit_code
        return _explain(error)


def _forget_output() -> None:
    """Let the flush at exit not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: Exception) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        _say(error.format_message())
        return 2
    if isinstance(error, click.ClickException):
        _say(f"error: {error.format_message()}")
        context = getattr(error, "ctx", None)
        if context is not None:
            _say(f"`{context.command_path} --help` explains the command")
        return 2  # click's own 1 means "below --fail-under" here
    if isinstance(error, ReprozooError):
        _say(f"error: {error}")
        return error.exit_code
    text = " ".join(str(error).split())
    _say(f"internal error: {type(error).__name__}: {text}".rstrip(": "))
    _say("this is a bug in reprozoo or in a plugin: report it with the output of --debug and of `reprozoo doctor`")
    return 70


def _say(text: str) -> None:
    with suppress(OSError):  # where nobody can be told, the exit code still says it
        click.echo(text, err=True)


def _plugin_commands() -> dict[str, tuple[str, str]]:
    """Commands of plugins: name -> (target, one line); a plugin cannot take a built-in name."""
    from reprozoo.zoo.plugins import installed_plugins

    built_in = {name for section in COMMANDS.values() for name in section}
    table = installed_plugins().commands
    return {name: found.value[1:] for name, found in table.items() if name not in built_in}


def _load_plugin_command(name: str) -> click.Command | None:
    from reprozoo.zoo.plugins import import_object

    found = _plugin_commands().get(name)
    command: Any = import_object(found[0]) if found else None
    if not isinstance(command, click.Command):
        return None
    if not any("--debug" in parameter.opts for parameter in command.params):
        command.params.append(click.Option(["--debug"], is_flag=True, expose_value=False, hidden=True))
    return command


def _did_you_mean(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
