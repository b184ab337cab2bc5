"""The architecture, enforced: who may import whom (docs/architecture.md, docs/plugin-api.md)."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

from reprozoo.zoo.plugins import public
from tests.plugin_kit.tutorial import steps

ROOT = Path(__file__).parent.parent
ROOMS = ("base", "maps", "diffusion", "zoo", "measures", "engine", "report", "testing", "cli")
BESIDE = {"builtin": "measures", "pytest_plugin": "testing"}  # modules without a room -> the room that they belong to


# --- what is imported ------------------------------------------------------------------------------------------------


def imports(source: str, *, names_alone: bool = False) -> Iterator[str]:
    """Absolute names of what is imported, at the top or in a function.

    Args:
        source: of a module.
        names_alone: whether what is under TYPE_CHECKING counts, too.
    """
    stack: list[ast.AST] = [ast.parse(source)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not names_alone:
            stack.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        stack.extend(ast.iter_child_nodes(node))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room of a module of reprozoo; "" for what has none."""
    first = [*module.split("."), "", ""][1]
    return BESIDE.get(first, first)


ENTRANCES = {ROOT / "reprozoo" / "__init__.py", ROOT / "reprozoo" / "__main__.py"}
CORE = sorted(path for path in (ROOT / "reprozoo").rglob("*.py") if path not in ENTRANCES)
PLUGINS = sorted(path for path in (ROOT / "plugins").rglob("*.py") if path != ROOT / "plugins" / "__init__.py")
TEMPLATES = sorted((ROOT / "reprozoo" / "cli" / "templates").glob("*.py.tmpl"))
PAGE = {step.path: step.text for step in steps() if step.language == "python"}


# --- the core --------------------------------------------------------------------------------------------------------


def below(module: str, source: str) -> list[str]:
    """What a module of the core imports from a room below its own, or from plugins."""
    own = ROOMS.index(room_of(module))
    found = []
    for name in imports(source):
        other = room_of(name) if name.startswith("reprozoo.") else ""
        if name.split(".")[0] in ("reprozoo_plugins", "reprozoo_registry") or (
            other in ROOMS and ROOMS.index(other) > own
        ):
            found.append(name)
    return found


def test_every_module_has_a_room() -> None:
    assert {room_of(module_name(path)) for path in CORE} <= set(ROOMS)


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_core_imports_only_from_above(path: Path) -> None:
    assert below(module_name(path), path.read_text()) == []


def imported_modules(name: str, source: str, known: Iterable[str], *, package: bool) -> set[str]:
    """Those of ``known`` that a module imports itself; a package's lazy public names, under TYPE_CHECKING, count."""
    found = set()
    for target in imports(source, names_alone=package):
        package_or_module = target if target in known else target.rpartition(".")[0]
        found |= {package_or_module} & set(known) - {name}
    return found


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches the others."""
    reached = {name: _reached(name, graph) for name in graph}
    groups = {tuple(sorted({name, *(o for o in reached[name] if name in reached[o])})) for name in graph}
    return [list(group) for group in sorted(groups) if len(group) > 1]


def _reached(name: str, graph: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    stack = [name]
    while stack:
        for other in graph.get(stack.pop(), set()) - seen:
            seen.add(other)
            stack.append(other)
    return seen


@pytest.mark.parametrize("room", ROOMS)
def test_no_modules_of_a_room_import_each_other_in_a_circle(room: str) -> None:
    paths = {module_name(path): path for path in CORE if room_of(module_name(path)) == room}
    graph = {
        name: imported_modules(name, path.read_text(), paths, package=path.name == "__init__.py")
        for name, path in paths.items()
    }
    assert circles(graph) == []


# --- plugins ---------------------------------------------------------------------------------------------------------


def foreign(plugin: str, source: str) -> list[str]:
    """What a bundled plugin, or one of a person, imports that docs/plugin-api.md does not list."""
    listed = {f"{room.module}.{name}" for room in public.MODULES for name in room.names}
    found = []
    for name in imports(source, names_alone=True):
        parts = [*name.split("."), "", ""]
        other_plugin = parts[0] == "reprozoo_plugins" and parts[1] not in (plugin, "")
        if other_plugin or (parts[0] == "reprozoo" and name not in listed):
            found.append(name)
    return found


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_plugins_import_only_what_a_stranger_may(path: Path) -> None:
    assert foreign(path.relative_to(ROOT / "plugins").parts[0], path.read_text()) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_new_plugin_imports_only_what_is_listed(path: Path) -> None:
    assert foreign("", re.sub("@[a-z]+@", "word", path.read_text())) == []


@pytest.mark.parametrize("path", PAGE)
def test_the_tutorial_imports_only_what_is_listed(path: str) -> None:
    assert foreign("", PAGE[path]) == []


@pytest.mark.parametrize("room", public.MODULES, ids=lambda room: room.module)
def test_what_is_listed_is_there_and_documented(room: public.PublicModule) -> None:
    module = import_module(room.module)
    assert inspect.getdoc(module)
    for name in room.names:
        value = getattr(module, name)
        if name not in room.constants:
            assert callable(value) or inspect.ismodule(value), f"{room.module}.{name} is a value; say what it means"
            assert inspect.getdoc(value), f"{room.module}.{name} has no docstring"


def test_the_page_of_public_names_is_the_list() -> None:
    page = ROOT / "docs" / "plugin-api.md"
    assert page.read_text() == public.page(), f"python -m {public.__name__} > {page.relative_to(ROOT)}"


# --- the checks themselves -------------------------------------------------------------------------------------------


def test_the_checks_see_a_violation() -> None:
    assert below("reprozoo.maps.x", "from reprozoo.engine import compare") == ["reprozoo.engine.compare"]
    assert below("reprozoo.cli.x", "def f():\n    import reprozoo_plugins.edm") == ["reprozoo_plugins.edm"]
    assert below("reprozoo.maps.x", "if TYPE_CHECKING:\n    from reprozoo.diffusion.kernels import Kernel") == []
    assert foreign("edm", "from reprozoo.engine.store import Store") == ["reprozoo.engine.store.Store"]
    assert foreign("edm", "from reprozoo_plugins.uvit.adapter import load") == ["reprozoo_plugins.uvit.adapter.load"]
    assert foreign("edm", "from reprozoo import Family\nfrom reprozoo_plugins.edm import adapter") == []


def test_the_checks_see_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    known = {"reprozoo.x", "reprozoo.x.one", "reprozoo.x.two"}
    late = "def f():\n    from reprozoo.x.two import g"
    assert imported_modules("reprozoo.x.one", late, known, package=False) == {"reprozoo.x.two"}
    assert imported_modules("reprozoo.x.one", "from reprozoo.x import two", known, package=False) == {"reprozoo.x.two"}
