"""The questions that have names, for Python: what ``Question`` asks, as keyword arguments."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.engine.checking import Materials, Specs, Workplace, check_question
from reprozoo.engine.naming import folder_text, labels_of
from reprozoo.engine.question import COMPARE, GENERALIZE, SAMPLE, SCORE, Question, asks_of, default_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reprozoo.engine.result import Comparison

OBJECTS = {  # keyword arguments that may be objects in the place of what a question says in text
    "noise": "a source of noise, or an array (n, *shape)",
    "conditions": "a Condition for all noises, several in turn, or a source such as RandomClasses()",
    "descriptor": "a Descriptor, or a list of them",
}
PLACE = {  # where a question is answered, which is no part of it
    "zoo": "where specs are resolved; that of this environment by default",
    "store": "of images and features; the one below REPROZOO_HOME by default",
    "executor": "who samples; this process by default",
    "progress": "called with a ProgressEvent after each step; by default shown where somebody sees it; False: not",
    "offline": "fetch nothing",
    "threads": "CPU threads of descriptors",
}


def compare(*sides: Any, **options: Any) -> Comparison:
    """Compare models, or whatever makes images, on the same noise: every pair of them is measured."""
    return _answer(COMPARE, sides, options)


def generalize(*sides: Any, **options: Any) -> Comparison:
    """Search the image of a data set that is nearest to each image of a model."""
    return _answer(GENERALIZE, sides, options)


def score(*sides: Any, **options: Any) -> Comparison:
    """Measure two sets of images that were made from the same noises, by whatever program.

    Each image is paired by its index. Nothing here can check that the noises were the same.
    """
    listed = sides[0] if len(sides) == 1 else sides
    if isinstance(listed, Mapping):
        return _answer(SCORE, ({label: _as_path(side) for label, side in listed.items()},), options)
    return _answer(SCORE, ([_as_path(side) for side in listed],), options)


def images_of(side: Any, **options: Any) -> NDArray[np.uint8]:
    """The images that a model makes, from the store where they are there already.

    >>> images_of("tiny-edm", num_samples=4).shape
    (4, 3, 32, 32)
    """
    question, materials, place = _asked(SAMPLE, (side,), options)
    check_question(question, materials, place)  # before torch is imported
    from reprozoo.engine.answering import images_by_noise

    with _progress(options.get("progress")) as progress:
        found, indices = images_by_noise(question, materials, replace(place, progress=progress))
    images: NDArray[np.uint8] = found.images.rows(list(indices))
    return images


def _answer(task: str, sides: Sequence[Any], options: Mapping[str, Any]) -> Comparison:
    question, materials, place = _asked(task, sides, options)
    check_question(question, materials, place)  # before torch is imported
    from reprozoo.engine.answering import answer

    with _progress(options.get("progress")) as progress:
        return answer(question, materials, replace(place, progress=progress))


def _asked(task: str, sides: Sequence[Any], options: Mapping[str, Any]) -> tuple[Question, Materials, Workplace]:
    """The parts of a call.

    Raises:
        UsageError: an unknown keyword, or a value that it does not take.
    """
    known = list(dict.fromkeys([*asks_of(task), *_others_of(task)]))
    for name in options:
        if name not in known:
            raise UsageError(f"{task} has no argument {name!r}{did_you_mean(name, known)}; it has: {', '.join(known)}")
    _exclude_each_other(options)
    names, objects = _sides(sides)
    rest = {name: value for name, value in options.items() if name in asks_of(task)}
    place = {name: options[name] for name in PLACE if name in options and name != "progress"}
    noise = rest.get("noise")
    if noise is not None and not isinstance(noise, str | Path):
        del rest["noise"]
        rest.setdefault("num_samples", len(noise) if hasattr(noise, "__len__") else default_of("num_samples"))
    else:
        noise = None
    described = {
        name if isinstance(name, str) else getattr(name, "id", name): name for name in _listed(rest.get("descriptor"))
    }
    if described:
        rest["descriptor"] = tuple(described)
    given = {name: descriptor for name, descriptor in described.items() if not isinstance(descriptor, str)}
    question = Question(tuple(names), task, **rest)
    materials = Materials(objects, noise, options.get("conditions") or (), given)
    where = Workplace(**place)
    return question, materials, replace(where, specs=Specs(where.with_zoo(), offline=where.offline))


def _exclude_each_other(options: Mapping[str, Any]) -> None:
    """Refuse objects beside texts that say the same."""
    if options.get("noise") is not None and options.get("seed"):
        raise UsageError("seed and noise exclude each other: noise that is given is not drawn")
    if options.get("conditions"):
        for name in ("classes", "prompts", "prompts_file"):
            if options.get(name) is not None:
                raise UsageError(f"conditions and {name} exclude each other: a noise gets one condition")


def _sides(given: Sequence[Any]) -> tuple[list[str], dict[str, Any]]:
    """The sides as a question names them, and the objects behind those names.

    >>> _sides((["a", "b"],))
    (['a', 'b'], {})
    """
    if len(given) == 1 and isinstance(given[0], Mapping):
        return [str(label) for label in given[0]], {str(label): side for label, side in given[0].items()}
    listed = list(given[0]) if len(given) == 1 and isinstance(given[0], list | tuple) else list(given)
    texts = [_text_of(side) for side in listed]
    taken = [text for text in texts if text is not None]
    names: list[str] = []
    objects: dict[str, Any] = {}
    for text, side in zip(texts, listed, strict=True):
        name = text if text is not None else labels_of([*taken, *objects, _name_of(side, len(names))])[-1]
        if text is None:
            objects[name] = side
        names.append(name)
    return names, objects


def _text_of(side: Any) -> str | None:
    """How a question writes a side; None for an object."""
    if isinstance(side, Path):
        return folder_text(side)
    return side if isinstance(side, str) else None


def _name_of(side: Any, number: int) -> str:
    name = getattr(side, "name", None) or getattr(side, "__name__", None)
    return str(name) if name else f"side {number + 1}"


def _others_of(task: str) -> dict[str, str]:
    """What a call takes besides the texts of a question."""
    asks = asks_of(task)
    objects = {name: text for name, text in OBJECTS.items() if ("classes" if name == "conditions" else name) in asks}
    return objects | PLACE


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _as_path(side: Any) -> Any:
    return Path(side) if isinstance(side, str) else side


@contextmanager
def _progress(given: Any) -> Iterator[Any]:
    """What is told of progress: what was given, or a display where somebody can see it, which ends with the work."""
    if given is not None or not (hasattr(sys, "ps1") or sys.stderr.isatty()):
        yield given or None
        return
    from reprozoo.engine.display import ProgressDisplay

    with ProgressDisplay(interactive=True) as display:
        yield display.stage


def _describe(function: Any, task: str) -> None:
    """Give a preset the signature and the documentation that ``Question`` has."""
    asks = asks_of(task)
    also = {name: f" Also {text}." for name, text in OBJECTS.items()}
    lines = [f"    {name}: {ask.help}{also.get(name, '')}" for name, ask in asks.items()]
    others = {name: text for name, text in _others_of(task).items() if name not in asks}
    lines += [f"    {name}: {text}." for name, text in others.items()]
    function.__doc__ = f"{inspect.cleandoc(function.__doc__)}\n\nArgs:\n" + "\n".join(
        ["    sides: map specs, maps, functions of noise, or folders; a dictionary gives labels.", *lines]
    )
    first = inspect.Parameter("sides", inspect.Parameter.VAR_POSITIONAL)
    keyword = inspect.Parameter.KEYWORD_ONLY
    names = {name: default_of(name) for name in asks} | dict.fromkeys(others)
    rest = [inspect.Parameter(name, keyword, default=default) for name, default in names.items()]
    function.__signature__ = inspect.Signature([first, *rest])


for _function, _task in ((compare, COMPARE), (generalize, GENERALIZE), (score, SCORE), (images_of, SAMPLE)):
    _describe(_function, _task)
