"""The measures that come with reprozoo, one a file. A new one is a file here: nothing else names it."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from reprozoo.measures.base import Measure
from reprozoo.zoo.plugins import MeasureSpec


def specs() -> list[MeasureSpec]:
    """What the plugin host registers of them, in the order of the files."""
    return [
        MeasureSpec(kind.name, kind.meaning, f"{kind.__module__}:{kind.__name__}", kind.usual) for kind in classes()
    ]


def classes() -> list[type[Measure]]:
    """Every measure that a module of this folder defines."""
    modules = sorted(info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)]))
    found: list[type[Measure]] = []
    for name in modules:
        module = import_module(f"{__name__}.{name}")
        found += [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Measure) and value.__module__ == module.__name__
        ]
    return found
