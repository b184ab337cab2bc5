"""The modules of ``reprozoo.zoo.weights`` import each other in one direction only, inside functions too."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import reprozoo.zoo.weights

PACKAGE = "reprozoo.zoo.weights"
FOLDER = Path(reprozoo.zoo.weights.__file__).parent


def imported(source: str, package: str) -> set[str]:
    """Modules of ``package`` that ``source`` imports at run time, those of ``from package import name`` included."""
    found = {name.removeprefix(f"{package}.").split(".")[0] for name in _names(ast.parse(source)) if package in name}
    return {name for name in found if name != package}


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.orelse:
            yield from _names(child)
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _names(child)


def circle(sources: Mapping[str, str], package: str) -> list[str]:
    """The modules of a circle, the first one twice; empty where there is none."""
    try:
        TopologicalSorter({name: imported(source, package) for name, source in sources.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_a_detour():
    sources = {path.stem: path.read_text() for path in FOLDER.glob("*.py") if path.stem != "__init__"}
    assert len(sources) > 10
    assert any(imported(source, PACKAGE) for source in sources.values())
    assert circle(sources, PACKAGE) == []


@pytest.mark.parametrize(
    ("b", "expected"),
    [
        ("from p.q.a import x", True),
        ("def f():\n    from p.q import a", True),
        ("import p.q.a", True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.q.a import x", False),
        ("from p.q.d import x", False),
    ],
)
def test_circles_are_found(b, expected):
    found = circle({"a": "def f():\n    import p.q.c", "c": "from p.q.b import y", "b": b, "d": ""}, "p.q")
    assert bool(found) == expected
