"""What pyproject.toml says of the tree is true."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = {"reprozoo": "reprozoo", "reprozoo_plugins": "plugins", "reprozoo_registry": "registry"}


def packages_in_tree() -> set[str]:
    found = set()
    for name, folder in ROOMS.items():
        for marker in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join([name, *marker.parent.relative_to(ROOT / folder).parts]))
    return found


def settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_is_listed() -> None:
    assert set(settings()["tool"]["setuptools"]["packages"]) == packages_in_tree()


def test_every_plugin_has_an_entry_point() -> None:
    plugins = {name for name in packages_in_tree() if name.count(".") == 1 and name.startswith("reprozoo_plugins.")}
    points = set(settings()["project"]["entry-points"]["reprozoo"].values())
    assert points == plugins | {"reprozoo.builtin", "reprozoo_registry"}
