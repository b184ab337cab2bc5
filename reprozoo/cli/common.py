"""What the commands share: options, consoles, and how a result reaches standard output."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from reprozoo.base.errors import UsageError
from reprozoo.zoo.specs import DTYPE_ALIASES, DTYPES

if TYPE_CHECKING:
    from rich.console import Console

    from reprozoo.maps.conditions import Conditions

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]  # generic since click 8.4 only
else:
    ParamType = click.ParamType

Function = TypeVar("Function", bound=Callable[..., Any])
PLAIN_WIDTH = 160  # of tables that are not for a terminal
MOST_LABELS = 100_000
DEFAULT_MAE_THRESHOLD = 15.0
RANDOM = "random"


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


def _together(function: Function, name: str, *options: Callable[[Any], Any]) -> Function:
    """As ``_all_of``; the function gets the values of these options as one dictionary ``name``."""

    @functools.wraps(function)
    def call(**given: Any) -> Any:
        return function(**{name: {option: given.pop(option) for option in own}}, **given)

    before = len(getattr(call, "__click_params__", ()))
    decorated: Any = _all_of(call, *options)
    own = [parameter.name for parameter in decorated.__click_params__[before:]]
    return cast(Function, decorated)


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


class Finite(click.FloatRange):
    """A number in a range, and neither NaN nor infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number.", param, ctx)
        return number


class ClassLabels(ParamType):
    """3, several labels taken in turn (1,5,7 or 0-9), or random."""

    name = "labels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int] | str:
        if value == RANDOM:
            return RANDOM
        labels: list[int] = []
        for part in str(value).split(","):
            match = re.fullmatch(r"(-?\d+)(?:-(\d+))?", part.strip())
            if match is None:
                self.fail(f"{value!r} is no class label; expected 3, 1,5,7, 0-9 or {RANDOM}", param, ctx)
            first, last = int(match[1]), int(match[2] or match[1])
            if not 0 <= last - first < MOST_LABELS:
                self.fail(f"{part.strip()!r} is no range of class labels; expected e.g. 0-9", param, ctx)
            labels += range(first, last + 1)
        return labels


def device_options(function: Function) -> Function:
    """Options of every command that loads a model."""
    return _all_of(
        function,
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps."),
        click.option("--dtype", type=Dtype(), default="float32", show_default=True, help="Precision of the networks."),
        offline_option,
        quiet_option,
    )


def model_options(function: Function) -> Function:
    """Options of every command that samples a model."""
    batch_size = click.option(
        "--batch-size", type=click.IntRange(min=1), help="Samples at a time; by image size when left out."
    )
    return _all_of(function, batch_size, device_options)


def noise_options(function: Function) -> Function:
    """Options of every command that draws noise: ``num_samples``, and the rest as ``noise`` (``noise_arguments``)."""
    count = click.option(
        "-n", "--num-samples", type=click.IntRange(min=1), default=1000, show_default=True, help="How many noises."
    )
    choices = (
        click.option("--seed", type=int, help="Seed of the noise; 0 when left out."),
        click.option(
            "--noise", "noise_file", type=click.Path(path_type=Path), metavar="FILE", help="Noise of a file instead."
        ),
        click.option(
            "--class",
            "class_labels",
            type=ClassLabels(),
            metavar="LABELS",
            help="Class label of conditional models: 3, several taken in turn (1,5,7 or 0-9), or random.",
        ),
        click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="Prompt; several are taken in turn."),
        click.option(
            "--prompts",
            "prompts_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Prompts of a file: one a line, or JSON with ids.",
        ),
    )
    return _all_of(_together(function, "noise", *choices), count)


def problem_options(function: Function) -> Function:
    """Options of every command that can be asked an inverse problem, as ``problem``."""
    return _together(
        function,
        "problem",
        click.option(
            "--inverse", metavar="OPERATOR", help="Ask for images that fit an observation: inpaint-16, grayscale, ..."
        ),
        click.option(
            "--observation",
            metavar="WHAT",
            help="What is observed: an image for all noises, or a data set (cifar10:test) with one for each.",
        ),
        click.option(
            "--observation-noise",
            type=Finite(min=0.0),
            default=0.0,
            show_default=True,
            metavar="STD",
            help="Noise in the observation, in units of images in [-1, 1].",
        ),
        click.option("--solver", metavar="NAME", help="What fits images to observations; dps when left out."),
    )


def descriptor_options(function: Function) -> Function:
    """Options of every command that measures similarity."""
    return _all_of(
        function,
        click.option(
            "--descriptor", default="sscd", show_default=True, metavar="NAME", help="What measures similarity."
        ),
        click.option(
            "--threshold",
            type=Finite(-1.0, 1.0),
            help="Similarity above which images count as the same; the descriptor's own when left out.",
        ),
    )


def pair_options(function: Function) -> Function:
    """Options of every command that compares images with images."""
    return _all_of(
        descriptor_options(function),
        click.option(
            "--mirror", is_flag=True, help="Compare with the mirror image too, and take the larger similarity."
        ),
        click.option(
            "--mae-threshold",
            type=Finite(min=0.0, min_open=True),
            default=DEFAULT_MAE_THRESHOLD,
            show_default=True,
            help="Mean absolute difference, of 255, below which images count as the same.",
        ),
    )


def output_option(function: Function) -> Function:
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Where results go; reprozoo-out/NAME-KEY when left out.",
    )(function)


def noise_arguments(
    seed: int | None,
    noise_file: Path | None,
    class_labels: list[int] | str | None,
    prompts: Sequence[str],
    prompts_file: Path | None,
) -> dict[str, Any]:
    """The engine's arguments for ``noise_options``.

    Raises:
        UsageError: both a seed and a file, or several kinds of conditions.
    """
    if seed is not None and noise_file is not None:
        raise UsageError("--seed and --noise exclude each other: a noise file has its own seed")
    conditions = _conditions(class_labels, prompts, prompts_file)
    return {"seed": seed or 0, "noise": noise_file, "conditions": conditions}


def _conditions(class_labels: list[int] | str | None, prompts: Sequence[str], prompts_file: Path | None) -> Conditions:
    from reprozoo.maps.condition import Condition
    from reprozoo.maps.conditions import InTurn, RandomClasses
    from reprozoo.maps.prompts import read_prompts

    if sum(map(bool, (class_labels, prompts, prompts_file))) > 1:
        raise UsageError("--class, --prompt and --prompts exclude each other: a noise gets one condition")
    if prompts_file is not None:
        return read_prompts(prompts_file)
    if isinstance(class_labels, str):
        return RandomClasses()
    labelled = [Condition(class_label=label) for label in class_labels or ()]
    return InTurn(tuple(labelled or [Condition(prompt=prompt) for prompt in prompts]))


def output_folder(chosen: Path | None, names: Sequence[str], arguments: Mapping[str, Any]) -> Path:
    """Where a command's results go: what was chosen, or a name that the same arguments give again.

    A place that cannot be written is found here, before any work is done.
    """
    from reprozoo.base.files import check_folder
    from reprozoo.zoo.cards import canonical_digest

    if chosen is None:
        readable = re.sub(r"[^A-Za-z0-9._+=@-]+", "-", "--".join(names)).strip("-.")[:80]
        chosen = Path("reprozoo-out") / f"{readable}-{canonical_digest([*names, json_safe(arguments)])[:8]}"
    check_folder(chosen)
    return chosen


def json_safe(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as JSON values, paths as text."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}


def console(*, stderr: bool = False) -> Console:
    """A rich console that honours NO_COLOR, does not wrap what goes to a file, and lets a closed pipe be noticed."""
    from rich.console import Console

    class Honest(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    wide = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Honest(file=stream, width=wide, highlight=False, soft_wrap=False)


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
        click.echo(text, err=True)
