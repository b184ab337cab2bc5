"""What was asked, all of it, in one frozen record.

Each field says once how it is asked for: its flags, its help, its limits. From that come the options of the command
line, the keyword arguments of Python and their documentation, question files, the JSON in a result, the name of the
output folder, and the command that asks again. Nothing here imports torch.
"""

from __future__ import annotations

import math
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.engine.naming import folder_text
from reprozoo.maps.conditions import class_labels
from reprozoo.zoo.specs import DTYPE_ALIASES, DTYPES

MAX_SAMPLES = 10_000_000
DEVICES = "auto, cpu, cuda, cuda:1 or mps"
COMPARE, GENERALIZE, SCORE, SAMPLE = "compare", "generalize", "score", "sample"


@dataclass(frozen=True)
class Ask:
    """How one field is asked for.

    Args:
        flags: on the command line.
        help: one line.
        kind: str, int, float or bool of one value; "texts": several texts; "labels": classes; "thresholds": NAME=X
            or X; "optional texts": several, none at all, or left open.
        low, high: ends of a number's range; ``low_open``: the lower end is excluded.
        choices: the values allowed, if limited; ``aliases`` are other words for them.
        metavar: how the value is called.
        by: the commands that ask it.
    """

    flags: tuple[str, ...]
    help: str
    kind: type | str = str
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    choices: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    metavar: str = ""
    by: tuple[str, ...] = (COMPARE, GENERALIZE, SAMPLE)


def asked(default: Any, *flags: str, help: str, **how: Any) -> Any:
    """A field of ``Question`` with how it is asked for."""
    given: dict[str, Any] = {"default_factory": dict} if default == {} else {"default": default}
    return field(**given, metadata={"ask": Ask(flags, help, **how)})


@dataclass(frozen=True)
class Question:
    """Everything that can be asked of images by noise index; equal questions have equal answers.

    Sides are map specs, or paths of folders and archives of images. Python objects are asked about under labels.
    """

    sides: tuple[str, ...]
    task: str = COMPARE
    num_samples: int = asked(
        1000, "-n", "--num-samples", help="How many noises.", kind=int, low=1, high=MAX_SAMPLES
    )  # fmt: skip
    first: int = asked(0, "--first", help="Index of the first noise.", kind=int, low=0, high=2**62)
    seed: int = asked(0, "--seed", help="Seed of the noise.", kind=int, low=0, high=2**64 - 1)
    noise: str | None = asked(None, "--noise", help="Noise of a file instead.", metavar="FILE")
    classes: str | None = asked(
        None, "--class", kind="labels", metavar="LABELS",
        help="Class label of conditional models: 3, several taken in turn (1,5,7 or 0-9), or random.",
    )  # fmt: skip
    prompts: tuple[str, ...] = asked(
        (), "--prompt", kind="texts", metavar="TEXT", help="Prompt; several are taken in turn."
    )
    prompts_file: str | None = asked(
        None, "--prompts", metavar="FILE", help="Prompts of a file: one a line, or JSON with ids."
    )
    inverse: str | None = asked(
        None, "--inverse", metavar="OPERATOR", by=(COMPARE, SAMPLE),
        help="Ask for images that fit an observation: inpaint-16, grayscale, ...",
    )  # fmt: skip
    observation: str | None = asked(
        None, "--observation", metavar="WHAT", by=(COMPARE, SAMPLE),
        help="What is observed: an image for all noises, or a data set (cifar10:test) with one for each.",
    )  # fmt: skip
    observation_noise: float = asked(
        0.0, "--observation-noise", kind=float, low=0, metavar="STD", by=(COMPARE, SAMPLE),
        help="Noise in the observation, in units of images in [-1, 1].",
    )  # fmt: skip
    solver: str | None = asked(
        None, "--solver", metavar="NAME", by=(COMPARE, SAMPLE),
        help="What fits images to observations; dps when left out.",
    )  # fmt: skip
    data: str | None = asked(
        None,
        "--data",
        metavar="NAME",
        by=(GENERALIZE,),
        help="Data set, folder or file; the model's own when left out.",
    )
    split: str | None = asked(
        None, "--split", metavar="NAME", by=(GENERALIZE,),
        help="Part of the data set; the model's own, or train, when left out.",
    )  # fmt: skip
    measures: tuple[str, ...] = asked(
        (), "--measure", kind="texts", metavar="NAME", by=(COMPARE, GENERALIZE, SCORE),
        help="Take this measure too; may be given several times. `reprozoo measures` lists them.",
    )  # fmt: skip
    descriptor: tuple[str, ...] = asked(
        ("sscd",), "--descriptor", kind="texts", metavar="NAME", by=(COMPARE, GENERALIZE, SCORE),
        help="What makes features of images; may be given several times.",
    )  # fmt: skip
    threshold: Mapping[str, float] = asked(
        {}, "--threshold", kind="thresholds", metavar="[NAME=]X", by=(COMPARE, GENERALIZE, SCORE),
        help="Threshold of a measure or score: 0.7 is of the similarity, mae=10 of the score mae; by default the "
        "descriptor's or the measure's own.",
    )  # fmt: skip
    mirror: bool = asked(
        False, "--mirror", kind=bool, by=(COMPARE, SCORE),
        help="Compare features with those of the mirror image too, and take the closer.",
    )  # fmt: skip
    baselines: tuple[str, ...] | None = asked(
        None, "--baseline", kind="optional texts", metavar="ID", by=(COMPARE,),
        help="Compare every model with this one too; by default with the Gaussian theory of its training data.",
    )  # fmt: skip
    noise_floor: int = asked(
        64, "--noise-floor", kind=int, low=0, by=(COMPARE,),
        help="Noises on which each model runs again at another batch size; 0 for none.",
    )  # fmt: skip
    batch_size: int | None = asked(
        None, "--batch-size", kind=int, low=1, help="Samples at a time; by image size when left out."
    )
    device: str = asked("auto", "--device", help=f"Where networks run: {DEVICES}.")
    dtype: str = asked(DTYPES[0], "--dtype", choices=DTYPES, aliases=DTYPE_ALIASES, help="Precision of the networks.")

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "sides":
                object.__setattr__(self, "sides", _sides(value))
            elif item.name != "task":
                object.__setattr__(self, item.name, _checked(item.name, value, asks()[item.name]))
        _check_together(self)

    def changed(self) -> dict[str, Any]:
        """The fields that are not at their defaults, but sides and task."""
        return {name: getattr(self, name) for name in asks() if getattr(self, name) != default_of(name)}

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON types; what is left open is left out."""
        every = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: _plain(value) for name, value in every.items() if value is not None}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str = "question") -> Self:
        """The question that ``to_json`` wrote, or that was written by hand.

        Raises:
            UsageError: an unknown field, or a value that a field does not take.
        """
        known = [item.name for item in fields(cls)]
        for name in document:
            if name not in known:
                raise UsageError(
                    f"{where}: there is no field {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}"
                )
        if "sides" not in document:
            raise UsageError(f'{where} names no sides: write sides = ["tiny-edm", "tiny-uvit"]')
        if document.get("task") == SCORE:
            document = {**document, "sides": tuple(map(folder_text, _sides(document["sides"])))}
        return cls(**document)

    def to_toml(self) -> str:
        """A question file: what differs from the defaults."""
        lines = [f"task = {_toml(self.task)}", f"sides = {_toml(self.sides)}"]
        lines += [f"{name} = {_toml(value)}" for name, value in self.changed().items() if value is not None]
        return "\n".join(lines) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """The question in a TOML file.

        Raises:
            UsageError: the file cannot be read, or is no question.
        """
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read as a question: {error}") from error
        return cls.from_json(document, where=str(path))

    def words(self) -> list[str]:
        """The command that asks it: its name, the sides, and the options that are not at their defaults."""
        options = [word for name, value in self.changed().items() for word in option_words(name, value)]
        return [self.task, *self.sides, *options]

    def command(self) -> str:
        """``words`` for a shell."""
        return shlex.join(["reprozoo", *self.words()])

    def folder_name(self) -> str:
        """A name for its results that the same question gives again."""
        from reprozoo.zoo.cards import canonical_digest

        names = [self.task, *self.sides] if self.task == GENERALIZE else list(self.sides)
        readable = re.sub(r"[^A-Za-z0-9._+=@-]+", "-", "--".join(names)).strip("-.")[:80]
        return f"{readable}-{canonical_digest(self.to_json())[:8]}"


def asks() -> dict[str, Ask]:
    """How each field is asked for, but sides and task."""
    return {item.name: item.metadata["ask"] for item in fields(Question) if "ask" in item.metadata}


def asks_of(command: str) -> dict[str, Ask]:
    """Those that a command asks."""
    return {name: ask for name, ask in asks().items() if command in ask.by}


def default_of(name: str) -> Any:
    """The value of a field that was left out."""
    item: Field[Any] = Question.__dataclass_fields__[name]
    return {} if item.default is MISSING else item.default


def option_words(name: str, value: Any) -> list[str]:
    """A field's value as words of a command line."""
    flag, kind = asks()[name].flags[0], asks()[name].kind
    if kind is bool:
        return [flag]
    if kind == "optional texts" and not value:
        return [no_flag(flag)]
    if kind == "thresholds":
        return [word for measure, at in value.items() for word in (flag, f"{measure}={_number(at)}")]
    if isinstance(value, tuple):
        return [word for item in value for word in (flag, item)]
    return [flag, _number(value) if isinstance(value, float) else str(value)]


def no_flag(flag: str) -> str:
    """--no-baseline of --baseline."""
    return f"--no-{flag.removeprefix('--')}"


# --- values ---------------------------------------------------------------------------------------------------------


def _sides(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise UsageError(f"expected a list of sides, got the one text {value!r}; write [{value!r}, ...]")
    if not isinstance(value, Sequence) or not all(isinstance(side, str | Path) for side in value):
        raise UsageError(f"sides: expected a list of texts, got {value!r}")
    sides = tuple(map(str, value))
    if not sides or not all(side.strip() for side in sides):
        raise UsageError("a question is about at least one side: a map spec such as tiny-edm, or a folder of images")
    return sides


def _checked(name: str, value: Any, ask: Ask) -> Any:
    """A value in the type that the field has."""
    if value is None:
        if default_of(name) is None:
            return None
        raise UsageError(f"{name}: expected {_expected(ask)}, got nothing")
    if ask.kind in _READERS:
        return _READERS[ask.kind](name, value)
    if ask.kind in (int, float):
        return _checked_number(name, value, ask)
    if ask.kind is bool:
        if not isinstance(value, bool):
            raise UsageError(f"{name}: expected true or false, got {value!r}")
        return value
    text = ask.aliases.get(str(value), str(value))
    if not isinstance(value, str | Path) or (ask.choices and text not in ask.choices):
        raise UsageError(f"{name}: expected {_expected(ask)}, got {value!r}{did_you_mean(str(value), ask.choices)}")
    return text


def _checked_number(name: str, value: Any, ask: Ask) -> int | float:
    if not _is_number(value, Integral if ask.kind is int else Real):
        raise UsageError(f"{name}: expected {_expected(ask)}, got {value!r}")
    too_low = ask.low is not None and (value <= ask.low if ask.low_open else value < ask.low)
    if too_low or (ask.high is not None and value > ask.high):
        raise UsageError(f"{name}: expected {_expected(ask)}, got {value:,}")
    return int(value) if ask.kind is int else float(value)


def _is_number(value: Any, kind: Any = Real) -> bool:
    """Finite, NumPy's too, no bool, and no whole number that 64 bits do not hold."""
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    try:
        return math.isfinite(value) and (not isinstance(value, Integral) or abs(int(value)) < 2**64)
    except OverflowError:  # a whole number beyond every float
        return False


def _expected(ask: Ask) -> str:
    if ask.choices:
        return f"one of {', '.join(ask.choices)}"
    if ask.kind not in (int, float):
        return "a text"
    what = "a whole number" if ask.kind is int else "a number"
    if ask.low is not None and ask.high is not None:
        return f"{what} from {ask.low:,} to {ask.high:,}"
    return what if ask.low is None else f"{what} {'above' if ask.low_open else 'of at least'} {ask.low:g}"


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{name}: expected a list of texts, got {value!r}")
    return tuple(value)


def _labels(name: str, value: Any) -> str:
    """Class labels as the command line writes them."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = ",".join(map(str, value))
    text = str(value)
    class_labels(text)
    return text


def _thresholds(name: str, value: Any) -> dict[str, float]:
    """{"mae": 10} of a mapping, a number (of the similarity), or texts such as "mae=10"."""
    if isinstance(value, Real):
        value = {"similarity": value}
    if not isinstance(value, Mapping):
        value = dict(_threshold(text) for text in _texts(name, value))
    found = {}
    for measure, at in value.items():
        if not _is_number(at):
            raise UsageError(f"{name}: expected a number for {measure}, got {at!r}")
        found[str(measure)] = float(at)
    return found


def _threshold(text: str) -> tuple[str, float]:
    measure, equals, at = text.rpartition("=")
    try:
        return (measure if equals else "similarity"), float(at)
    except ValueError:
        raise UsageError(f"threshold: expected a number or NAME=NUMBER, got {text!r}") from None


_READERS: dict[type | str, Callable[[str, Any], Any]] = {
    "texts": _texts,
    "optional texts": _texts,
    "labels": _labels,
    "thresholds": _thresholds,
}


def _check_together(question: Question) -> None:
    """Refuse fields that exclude each other, and numbers of sides that a command does not take."""
    if question.task not in list(SIDES):
        raise UsageError(f"task: expected one of {', '.join(SIDES)}, got {question.task!r}")
    least, most, hint = SIDES[question.task]
    if not least <= len(question.sides) <= (most or len(question.sides)):
        raise UsageError(f"{question.task} takes {hint}, got {len(question.sides)}")
    for name in question.changed():
        if question.task not in asks()[name].by:
            by = asks()[name].by
            raise UsageError(
                f"{question.task} does not ask for {name}; {' and '.join(by)} {'do' if len(by) > 1 else 'does'}"
            )
    if question.noise is not None and question.seed:
        raise UsageError("seed and noise file (--seed, --noise) exclude each other: a noise file has its own seed")
    given = [name for name in ("classes", "prompts", "prompts_file") if getattr(question, name)]
    if len(given) > 1:
        raise UsageError("--class, --prompt and --prompts exclude each other: a noise gets one condition")
    if not question.descriptor:
        raise UsageError("descriptor: expected at least one, got none")


SIDES = {  # command -> least and most sides, and what is said of another number
    COMPARE: (2, None, "two or more models; for one model against its data: generalize"),
    GENERALIZE: (1, 1, "one model"),
    SCORE: (2, 2, "two folders or archives of images"),
    SAMPLE: (1, 1, "one model"),
}


def _number(value: float) -> str:
    """Short where that is the number, exact otherwise."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _toml_text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml_text(name)} = {_toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)


def _toml_text(text: str) -> str:
    """A basic string of TOML: what JSON escapes, and the delete character."""
    import json

    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
