"""JSON values as a person reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Rows = list[tuple[str, str]]


def rows_of(values: Mapping[str, Any]) -> Rows:
    """(name, text) of each value that says something; nested values in one line."""
    said = {str(name): value for name, value in values.items() if value not in (None, "", [], {})}
    return [
        (name.replace("_", " "), shape(value) if name.endswith("shape") else one_line(value))
        for name, value in said.items()
    ]


def shape(sizes: Any) -> str:
    """3×32×32."""
    return "×".join(map(str, sizes)) if isinstance(sizes, (list, tuple)) else str(sizes)


def one_line(value: Any) -> str:
    """A JSON value as a person reads it: ``a = 1, b = 2``; anything nested deeper stays JSON."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {_inner(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(one_line(item) if isinstance(item, Mapping) else _inner(item) for item in value)
    return _inner(value)


def _inner(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)
