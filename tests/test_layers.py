"""The architecture, enforced: who may import whom (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = (
    "base",
    "maps",
    "diffusion",
    "zoo",
    "inverse",
    "measures",
    "engine",
    "report",
    "testing",
    "pytest_plugin",
    "cli",
)
NOT_FOR_PLUGINS = {"engine", "report", "cli"}


def imports(source: str) -> Iterator[str]:
    """Absolute names of modules that really are imported; those under TYPE_CHECKING are names alone."""
    stack: list[ast.AST] = [ast.parse(source)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            stack.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        stack.extend(ast.iter_child_nodes(node))


def layer_violations(module: str, source: str) -> list[str]:
    """What a module of the core imports from below itself."""
    own = LAYERS.index(module)
    found = []
    for name in imports(source):
        parts = name.split(".")
        if parts[0] in ("reprozoo_plugins", "reprozoo_registry") or (
            parts[0] == "reprozoo" and len(parts) > 1 and parts[1] in LAYERS and LAYERS.index(parts[1]) > own
        ):
            found.append(name)
    return found


def plugin_violations(plugin: str, source: str) -> list[str]:
    """What a bundled plugin imports that a stranger's could not."""
    found = []
    for name in imports(source):
        parts = [*name.split("."), "", ""]
        other_plugin = parts[0] == "reprozoo_plugins" and parts[1] not in (plugin, "")
        if other_plugin or (parts[0] == "reprozoo" and parts[1] in NOT_FOR_PLUGINS):
            found.append(name)
    return found


ENTRANCES = {ROOT / "reprozoo" / "__init__.py", ROOT / "reprozoo" / "__main__.py"}
CORE = sorted(path for path in (ROOT / "reprozoo").rglob("*.py") if path not in ENTRANCES)
PLUGINS = sorted(path for path in (ROOT / "plugins").rglob("*.py") if path != ROOT / "plugins" / "__init__.py")


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_core_imports_only_from_above(path: Path) -> None:
    module = path.relative_to(ROOT / "reprozoo").parts[0].removesuffix(".py")
    assert layer_violations(module, path.read_text()) == []


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_plugins_import_only_what_a_stranger_could(path: Path) -> None:
    assert plugin_violations(path.relative_to(ROOT / "plugins").parts[0], path.read_text()) == []


def test_the_checks_see_a_violation() -> None:
    assert layer_violations("maps", "from reprozoo.engine import compare") == ["reprozoo.engine.compare"]
    assert layer_violations("cli", "def f():\n    import reprozoo_plugins.edm") == ["reprozoo_plugins.edm"]
    assert layer_violations("maps", "if TYPE_CHECKING:\n    from reprozoo.diffusion.kernels import Kernel") == []
    assert plugin_violations("edm", "from reprozoo.engine.store import Store") == ["reprozoo.engine.store.Store"]
    assert plugin_violations("edm", "from reprozoo_plugins.uvit.adapter import load") == [
        "reprozoo_plugins.uvit.adapter.load"
    ]
