"""Records from TOML and JSON: a table becomes a frozen dataclass, and every mistake a sentence with its place.

Values are converted and checked by msgspec, in its strict mode; a ``Meta(description=…)`` of a field's type says what
is expected there, and its limits are checked. Tables are taken apart here, because msgspec passes over keys that a
dataclass does not have, stops at a missing one without its table, and names no entry of a dictionary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from reprozoo.base.errors import UsageError, did_you_mean

T = TypeVar("T")
NOTHING: Mapping[str, Any] = MappingProxyType({})
WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "nothing"}
PLURALS = {str: "texts", int: "whole numbers", float: "numbers", bool: "truth values"}
LONGEST = 80  # of a value in a sentence


@dataclass(frozen=True)
class _Place:
    """Where in which file a value is; ``table`` without its last key."""

    file: str
    table: tuple[str, ...] = ()
    remedy: str = ""

    def below(self, *keys: str) -> _Place:
        return _Place(self.file, (*self.table, *keys), self.remedy)

    def error(self, what: str, key: str = "") -> UsageError:
        table = f"[{'.'.join(self.table)}]" if self.table else ""
        place = " ".join(part for part in (table, key) if part)
        return UsageError(": ".join(part for part in (self.file, place, what) if part))

    def expected(self, hint: Any, value: Any) -> UsageError:
        inner = _Place(self.file, self.table[:-1])
        return inner.error(f"expected {words(hint)}, got {shown(value)}", self.table[-1] if self.table else "")


def read_record(kind: type[T], table: Any, where: str, *, given: Mapping[str, Any] = NOTHING, remedy: str = "") -> T:
    """An instance of the dataclass ``kind`` from a table of plain values, everything below it converted too.

    A dataclass with a static method ``read_as(table)``, which returns a dataclass and a table, is read as these: a
    table may choose its class by a key of it, or gather keys that are its own.

    Args:
        kind: its annotations may name other dataclasses, also in lists, tuples and dictionaries, and None.
        table: what ``tomllib`` or ``json`` gave.
        where: the file, for messages.
        given: fields that the reader fills; they are no keys of the table.
        remedy: what to do about a key that is missing, e.g. 'where nobody knows it, write "unknown"'.

    Raises:
        UsageError: a key is unknown or missing, or a value is of another type; it names the file, table and key.
    """
    return cast(T, _record(kind, table, _Place(where, remedy=remedy), given))


def words(hint: Any) -> str:
    """What a type expects, in words: "a whole number", "a list of texts"."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        said = [meta.description for meta in hint.__metadata__ if isinstance(meta, msgspec.Meta) and meta.description]
        return said[-1] if said else words(inner[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(words(part) for part in inner if part is not NoneType))
    if origin is Literal:
        texts = [shown(value) for value in inner]
        return texts[0] if len(texts) == 1 else f"one of {', '.join(texts)}"
    if origin is tuple and Ellipsis not in inner:
        return f"a list of {len(inner)} {_plural(inner[0])}"
    if _is(hint, Sequence, set, frozenset) and hint is not str:
        return f"a list of {_plural(inner[0])}" if inner else "a list"
    if _is(hint, Mapping) and inner and inner[1] is not Any:
        return f"a table of {_plural(inner[1])}"
    return WORDS.get(hint, "a table")


def shown(value: Any) -> str:
    """A value as JSON, for a sentence; a long one is cut."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _plural(hint: Any) -> str:
    if _dataclass_in(hint):
        return "tables"
    return PLURALS.get(hint) or f"values, each {words(hint)}"


def _is(hint: Any, *kinds: type) -> bool:
    origin = get_origin(hint) or hint
    return isinstance(origin, type) and issubclass(origin, kinds)


def _record(kind: Any, table: Any, place: _Place, given: Mapping[str, Any] = NOTHING) -> Any:
    if not isinstance(table, Mapping):
        raise place.expected(kind, table)
    if (read_as := getattr(kind, "read_as", None)) is not None:
        try:
            kind, table = read_as(table)
        except UsageError as error:
            raise place.error(str(error)) from None
    known = {name: pair for name, pair in _fields(kind).items() if name not in given}
    for key in table:
        if key not in known:
            some = "" if (close := did_you_mean(str(key), known)) else f"; known are {', '.join(known)}"
            raise place.error(f'there is no key "{key}" here{close or some}')
    for name, (field, _) in known.items():
        if name not in table and field.default is MISSING and field.default_factory is MISSING:
            raise place.error(f'the key "{name}" is missing' + (f"; {place.remedy}" if place.remedy else ""))
    values = {name: _value(known[name][1], value, place.below(name)) for name, value in table.items()}
    try:
        return kind(**given, **values)
    except (UsageError, ValueError) as error:  # what the dataclass itself checks
        raise place.error(str(error)) from error


@cache
def _fields(kind: Any) -> dict[str, tuple[Field[Any], Any]]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: (field, hints[field.name]) for field in fields(kind) if field.init}


def _value(hint: Any, value: Any, place: _Place) -> Any:
    inner = _dataclass_in(hint)
    if inner is None:
        return _plain(hint, value, place)
    if value is None and NoneType in get_args(hint):
        return None
    if get_origin(hint) in (Union, UnionType):
        return _value(next(part for part in get_args(hint) if _dataclass_in(part)), value, place)
    if inner is hint:
        return _record(hint, value, place)
    return _container(hint, get_args(hint)[0] if get_origin(hint) is Annotated else hint, value, place)


def _container(said: Any, hint: Any, value: Any, place: _Place) -> Any:
    """Records in a list, a tuple or a dictionary; ``said`` is its type with what describes it."""
    item = next(part for part in get_args(hint) if _dataclass_in(part))
    if _is(hint, Mapping):
        if not isinstance(value, Mapping):
            raise place.expected(said, value)
        return {str(key): _value(item, entry, place.below(str(key))) for key, entry in value.items()}
    if not isinstance(value, (list, tuple)):
        raise place.expected(said, value)
    items = [_value(item, entry, place.below(str(number))) for number, entry in enumerate(value, 1)]
    return tuple(items) if _is(hint, tuple) else items


def _plain(hint: Any, value: Any, place: _Place) -> Any:
    try:
        return msgspec.convert(value, hint, str_keys=True)
    except msgspec.ValidationError as error:
        raise place.expected(hint, value) from error


def _dataclass_in(hint: Any) -> Any:
    """The dataclass that a type is, or is a container of; None for plain values."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    parts = () if get_origin(hint) is Literal else get_args(hint)
    return next(filter(None, map(_dataclass_in, parts)), None)
