"""Records to JSON and back: one document with its kind and schema version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from reprozoo.base.errors import UsageError

SCHEMA_VERSION = 1

Record = TypeVar("Record")

_NOT_IN_JSON = ("similarities", "mean_absolute_errors", "image_loader")


def to_document(record: Any, kind: str) -> dict[str, Any]:
    """``record`` as plain JSON types, without what is kept beside it, under its ``kind``."""
    return {"kind": kind, **_plain(record)}


def check_schema(document: Mapping[str, Any], kind: str) -> None:
    """Refuse a document of another kind or schema version.

    Raises:
        UsageError: with what was expected.
    """
    if document.get("kind") != kind:
        raise UsageError(f"expected the JSON of a {kind}, got {document.get('kind', 'something else')!r}")
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"this {kind} has schema version {version}, this reprozoo reads {SCHEMA_VERSION}; "
            "read it with the version that wrote it, or run it again"
        )


def build(record: type[Record], document: Mapping[str, Any]) -> Record:
    """The record that ``to_document`` wrote; fields it did not write keep their defaults."""
    hints = get_type_hints(record)
    known = [f.name for f in fields(record) if f.name in document]  # type: ignore[arg-type]  # records are dataclasses
    return record(**{name: _build(hints[name], document[name]) for name in known})


def _build(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        return build(kind, value)
    if get_origin(kind) in (Union, UnionType):
        return None if value is None else _build(next(a for a in get_args(kind) if a is not type(None)), value)
    if get_origin(kind) is list:
        return [_build(get_args(kind)[0], item) for item in value]
    return value


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name not in _NOT_IN_JSON}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
