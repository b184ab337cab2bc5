"""The commands that ask a question: their options come from ``Question``, field by field."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.cli.common import ParamType, debug_option, note, offline_option, quiet_option
from reprozoo.engine.display import ProgressDisplay
from reprozoo.engine.question import COMPARE, Ask, Question, asks_of, default_of, no_flag

if TYPE_CHECKING:
    from reprozoo.engine.checking import Workplace
    from reprozoo.engine.result import Comparison, Score

Function = Callable[..., Any]


class Bounds(ParamType):
    """rp=0.9 or rp=0.9,mae=0.8: scores and a number each."""

    name = "bounds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        wanted: dict[str, float] = {}
        for part in str(value).split(","):
            score, equals, text = part.strip().partition("=")
            if not equals or not score or score in wanted:
                self.fail(f"{part.strip()!r}: expected SCORE=NUMBER, e.g. rp=0.9, with commas between", param, ctx)
            wanted[score] = self._number(part, text, param, ctx)
        return wanted

    def _number(self, part: str, text: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{part.strip()!r}: {text!r} is no number", param, ctx)
        return number


def question_options(task: str) -> Callable[[Function], Function]:
    """Click options for every field that a command asks; the function gets them as one dictionary ``asked``."""

    def decorate(function: Function) -> Function:
        fields = asks_of(task)

        @functools.wraps(function)
        def call(**given: Any) -> Any:
            asked = {name: given.pop(name) for name in fields}
            asked |= {name: () for name in fields if given.pop(f"no_{name}", False) and _alone(name, asked[name])}
            return function(asked={name: value for name, value in asked.items() if value is not None}, **given)

        decorated: Function = call
        for name, ask in reversed(fields.items()):
            for option in reversed(_options(name, ask)):
                decorated = option(decorated)
        return decorated

    return decorate


def _alone(name: str, value: Any) -> bool:
    """That an option is not given beside the one that says there is nothing.

    Raises:
        UsageError: it is.
    """
    if value:
        flag = asks_of(COMPARE)[name].flags[0]
        raise UsageError(f"{flag} and {no_flag(flag)} exclude each other; {flag} alone has no other beside it")
    return True


def _options(name: str, ask: Ask) -> list[Callable[[Function], Function]]:
    default = default_of(name)
    many = ask.kind in ("texts", "optional texts", "thresholds")
    settings: dict[str, Any] = {"help": ask.help, "metavar": ask.metavar or None}
    if ask.kind is bool:
        settings |= {"is_flag": True, "default": None}
    elif many:
        settings |= {"multiple": True, "callback": lambda _, __, value: tuple(value) or None}
    else:
        settings |= {"type": _type_of(ask), "default": None}
    if not many and ask.kind is not bool and default is not None:
        settings["help"] += f"  [default: {default}]"
    options: list[Callable[[Function], Function]] = [click.option(*ask.flags, name, **settings)]
    if ask.kind == "optional texts":
        options.append(click.option(no_flag(ask.flags[0]), f"no_{name}", is_flag=True, help="None at all."))
    return options


def _type_of(ask: Ask) -> Any:
    if ask.choices:
        return click.Choice([*ask.choices, *ask.aliases])
    if ask.kind not in (int, float):
        return str
    range_type: Any = click.IntRange if ask.kind is int else click.FloatRange
    return range_type(ask.low, ask.high, min_open=ask.low_open)


def output_options(*, csv: bool = True) -> Callable[[Function], Function]:
    """Options of every command that writes a result; the function gets them as one dictionary ``shown``."""

    def decorate(function: Function) -> Function:
        choices = [
            click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
                         help="Where results go; reprozoo-out/NAME-KEY when left out."),
            click.option("--save-question", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
                         help="Write what is asked to a TOML file, for `reprozoo run FILE`."),
            click.option("--csv", "as_csv", is_flag=True, help="Print scores.csv on stdout, and nothing else."),
            click.option("--fail-under", type=Bounds(), metavar="SCORE=X[,…]",
                         help="Exit with 1 when a score of the worst pair of models is below, e.g. rp=0.9."),
            click.option("--fail-over", type=Bounds(), metavar="SCORE=X[,…]",
                         help="Exit with 1 when a score of the worst pair is above, e.g. mean_abs=12."),
            click.option("--json", "as_json", is_flag=True,
                         help="Print one JSON document on stdout, and nothing else."),
        ]  # fmt: skip
        names = ("output", "save_question", "as_csv", "fail_under", "fail_over", "as_json")

        @functools.wraps(function)
        def call(**given: Any) -> Any:
            return function(shown={name: given.pop(name) for name in names}, **given)

        decorated: Function = debug_option(call)
        for option in reversed(choices):
            decorated = option(decorated)
        return decorated

    return decorate


def asking(task: str) -> Callable[[Function], Function]:
    """Everything that a command with a question and a result takes."""

    def decorate(function: Function) -> Function:
        decorated = output_options()(function)
        return question_options(task)(offline_option(quiet_option(decorated)))

    return decorate


def run_question(question: Question, *, shown: Mapping[str, Any], offline: bool, quiet: bool) -> int:
    """Ask, show, and judge by the bounds; the exit code.

    Raises:
        ReprozooError: as ``engine.answering.answer``.
    """
    from reprozoo.engine.checking import Materials, Workplace, check_question

    if shown["as_json"] and shown["as_csv"]:
        raise UsageError("--json and --csv exclude each other: both go to stdout (and both files are written anyway)")
    place = Workplace.here(offline=offline)
    _check_bounds(question, shown)
    check_question(question, Materials(), place)
    folder = output_folder(shown["output"], question)
    if shown["save_question"]:
        from reprozoo.base.files import write_whole

        write_whole(shown["save_question"], question.to_toml().encode(), remedy="choose another file")
    comparison = asked(question, place, quiet=quiet)
    return _show(comparison, folder, shown, quiet=quiet)


def asked(question: Question, place: Workplace, *, quiet: bool) -> Comparison:
    """The answer, with progress on stderr and a note on what was made."""
    from reprozoo.cli.fetching import fetch_ahead

    with ProgressDisplay(quiet=quiet) as progress:
        fetch_ahead(question, place, progress)
        from reprozoo.engine.answering import answer

        comparison = answer(question, None, replace(place, progress=progress.stage))
    for side in comparison.of_role("model", "baseline"):
        say_sampled(side, quiet=quiet)
    return comparison


def say_sampled(side: Any, *, quiet: bool) -> None:
    """A note on what was made and what was already there."""
    made = f"{side.sampled:,} images made in {side.sampling_s:.1f} s, " if side.sampled else ""
    note(f"{side.label}: {made}{side.reused:,} from the store", quiet=quiet)


def output_folder(chosen: Path | None, question: Question) -> Path:
    """Where a command's results go: what was chosen, or a name that the same question gives again.

    A place that cannot be written is found here, before any work is done.
    """
    from reprozoo.base.files import check_folder

    folder = chosen or Path("reprozoo-out") / question.folder_name()
    check_folder(folder)
    return folder


def _show(comparison: Comparison, folder: Path, shown: Mapping[str, Any], *, quiet: bool) -> int:
    """Write everything, print one form of it, and say which bounds do not hold."""
    from reprozoo.report.files import scores_csv, to_json, write_result

    paths = write_result(comparison, folder)
    if shown["as_json"]:
        click.echo(to_json(comparison), nl=False)
    elif shown["as_csv"]:
        click.echo(scores_csv(comparison), nl=False)
    else:
        from reprozoo.base.terminal import console
        from reprozoo.report.terminal import print_result

        print_result(comparison, console())
    if shown["as_json"] or shown["as_csv"]:
        note(f"report: {paths[0]}", quiet=quiet)
    else:
        click.echo(f"\nreport: {paths[0]}")
    failures = shortfalls(comparison, shown["fail_under"] or {}, shown["fail_over"] or {})
    for failure in failures:
        click.echo(f"failed: {failure}", err=True)
    return 1 if failures else 0


def shortfalls(comparison: Comparison, least: Mapping[str, float], most: Mapping[str, float]) -> list[str]:
    """One sentence for each bound that the worst pair of models does not keep."""
    sentences = []
    for name, bound in least.items():
        value, pair, score = _extreme(comparison, name, min)
        if value < bound:
            sentences.append(f"{score.label} of {pair} is {value:.4g}, below {bound:g}")
    for name, bound in most.items():
        value, pair, score = _extreme(comparison, name, max)
        if value > bound:
            sentences.append(f"{score.label} of {pair} is {value:.4g}, above {bound:g}")
    return sentences


def _extreme(comparison: Comparison, name: str, choose: Any) -> tuple[float, str, Score]:
    """The least or greatest value of a score among the pairs that were asked about."""
    models = {side.label for side in comparison.of_role("model", "data")}
    found = [
        (score.value, f"{m.a} and {m.b}", score)
        for m in comparison.measurements
        if m.pairing in ("same", "nearest") and m.labels <= models
        for score in m.scores
        if score.name == name
    ]
    if not found:
        raise UsageError(f"the bound of {name!r} cannot be judged: it was not computed; see the notes above")
    chosen: tuple[float, str, Score] = choose(found, key=lambda item: item[0])
    return chosen


def _check_bounds(question: Question, shown: Mapping[str, Any]) -> None:
    """Refuse bounds of scores that the question does not compute, or that say nothing, before any work is done.

    Raises:
        UsageError: with the scores that there are.
    """
    bounds = [(option, item) for option in ("fail_under", "fail_over") for item in (shown[option] or {}).items()]
    if not bounds:
        return
    from reprozoo.engine.checking import measure_classes, scores_of

    scores = {spec.name: spec for kind in measure_classes(question) for spec in scores_of(kind, question.task)}
    for option, (name, bound) in bounds:
        flag = f"--{option.replace('_', '-')}"
        if name not in scores:
            raise UsageError(
                f"{flag} {name}: there is no score {name!r}{did_you_mean(name, scores)}; there are: {', '.join(scores)}"
            )
        if scores[name].is_share and not 0 <= bound <= 1:
            raise UsageError(f"{flag} {name}: {name} is a share, so its bound is between 0 and 1, got {bound:g}")
