"""From a TOML file to a card: every key understood, every value of its type, each mistake a sentence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.zoo.cards.records import CARD_KINDS, Card, DatasetCard, Split
from reprozoo.zoo.cards.sources import SOURCE_KINDS, UNKNOWN, WeightsSource

T = TypeVar("T")

_ID = re.compile(r"[a-z0-9][a-z0-9._@-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}|unknown")
_COMMIT = re.compile(r"[0-9a-f]{40}|unknown")
_INHERITED = {"source_file", "home"}  # set by the reader, not written in a card


class _Mistake(Exception):
    """What is wrong, without the file's name; ``read_card`` adds it."""


def read_card(path: Path, *, home: Path | None = None) -> Card:
    """Read one card.

    Args:
        path: the TOML file; its ``kind`` says which of the three it is.
        home: directory that bundled files are relative to; by default the directory of ``path``.

    Raises:
        UsageError: the file cannot be read, is not TOML, or has a key that is unknown, missing or of another type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        kind = _required(table, "kind", "a card")
        if kind not in CARD_KINDS:
            raise _Mistake(f'kind = "{kind}" is none of {", ".join(CARD_KINDS)}')
        cls = CARD_KINDS[kind]
        card = _build(cls, table, f"a {kind} card", source_file=path, home=home or path.parent)
        _check_names(card)
        return card
    except OSError as error:
        raise UsageError(f"cannot read the card {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the card {path} is not TOML: {error}") from error
    except _Mistake as error:
        raise UsageError(f"{path}: {error}") from error


def _build(cls: type[T], table: Mapping[str, Any], what: str, **inherited: Any) -> T:
    """An instance of the dataclass ``cls`` from a TOML table."""
    known: dict[str, Field[Any]] = {f.name: f for f in fields(cls) if f.name not in _INHERITED}  # type: ignore[arg-type]
    for key in table:
        if key not in known and key != "kind":
            raise _Mistake(f'{what} has no key "{key}"{did_you_mean(key, known)}')
    values = dict(inherited)
    for name, f in known.items():
        if name in table:
            values[name] = _value(name, str(f.type), table[name])
        elif f.default is MISSING and f.default_factory is MISSING:
            raise _Mistake(f'{what} needs "{name}"; where nobody knows it, write "{UNKNOWN}"')
    return cls(**values)


def _value(name: str, annotation: str, value: Any) -> Any:
    convert = _CONVERTERS[annotation]
    try:
        converted = convert(value)
    except (TypeError, ValueError) as error:
        raise _Mistake(f'"{name}" is {value!r}, expected {error}') from error
    if pattern := {"sha256": _SHA256, "images_sha256": _SHA256, "labels_sha256": _SHA256, "revision": _COMMIT}.get(
        name
    ):
        for text in converted.values() if isinstance(converted, dict) else [converted]:
            if not pattern.fullmatch(text):
                raise _Mistake(f'"{name}" is "{text}", expected lower-case hexadecimal of full length, or "{UNKNOWN}"')
    return converted


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text in quotes")
    return value.strip()


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("a whole number, not negative")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError("a number")
    return float(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("a list of texts")
    return tuple(value)


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError("a list of whole numbers, e.g. [3, 32, 32]")
    if not all(isinstance(item, int) and item > 0 for item in value):
        raise TypeError("a list of positive whole numbers, e.g. [3, 32, 32]")
    return tuple(value)


def _image_shape(value: Any) -> tuple[int, ...]:
    if len(shape := _shape(value)) != 3:
        raise TypeError("channels, height and width, e.g. [3, 32, 32]")
    return shape


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("a table")
    return dict(value)


def _text_table(value: Any) -> dict[str, str]:
    return {key: _text(item) for key, item in _table(value).items()}


def _integer_or_unknown(value: Any) -> int | str:
    return UNKNOWN if value == UNKNOWN else _integer(value)


def _splits(value: Any) -> dict[str, Split]:
    return {name: _build(Split, _table(split), f'split "{name}"') for name, split in _table(value).items()}


def _sources(value: Any) -> tuple[WeightsSource, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise TypeError("a list of tables; write [] for a model without weights, [[weights]] for one with them")
    return tuple(_source(table) for table in value)


def _source(table: Mapping[str, Any]) -> WeightsSource:
    kind = _required(table, "kind", "a source")
    if kind not in SOURCE_KINDS:
        raise _Mistake(f'a source of kind "{kind}" does not exist; the kinds are {", ".join(SOURCE_KINDS)}')
    source = _build(SOURCE_KINDS[kind], table, f"a {kind} source")
    for path in [getattr(source, "file", ""), *getattr(source, "files", ())]:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path:
            raise _Mistake(f'the path "{path}" leaves its package; write it relative, with forward slashes')
    return source


def _required(table: Mapping[str, Any], key: str, what: str) -> str:
    if not isinstance(table.get(key), str):
        raise _Mistake(f'{what} needs {key} = "..."')
    return str(table[key])


def _check_names(card: Card) -> None:
    for name in (card.id, *card.aliases):
        if not _ID.fullmatch(name):
            raise _Mistake(f'"{name}" cannot be a name: lower-case letters, digits, dots, dashes and underscores only')
        if "@" in name and card.kind == "model":
            raise _Mistake(f'"{name}" cannot name a model: what follows @ is read as its revision')
    sources = [s.name for s in getattr(card, "weights", ())]
    if twice := {name for name in sources if sources.count(name) > 1}:
        raise _Mistake(f'two weights are called "{min(twice)}"; give each [[weights]] its own name')
    if isinstance(card, DatasetCard) and not card.splits:
        raise _Mistake("a data set needs at least one split")


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": _integer,
    "bool": _truth,
    "float": _number,
    "int | None": _integer,
    "float | None": _number,
    "int | Literal['unknown']": _integer_or_unknown,
    'int | Literal["unknown"]': _integer_or_unknown,
    "tuple[str, ...]": _texts,
    "tuple[int, ...]": _shape,
    "tuple[int, int, int]": _image_shape,
    "dict[str, Any]": _table,
    "dict[str, str]": _text_table,
    "dict[str, Split]": _splits,
    "tuple[WeightsSource, ...]": _sources,
}
