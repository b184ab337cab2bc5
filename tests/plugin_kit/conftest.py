"""Wheels are built once; environments are made for each test that changes its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import cli, home  # noqa: F401  # fixtures
from tests.plugin_kit.environments import Environment, build, copy_of_tree


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """reprozoo's own wheel, built from a copy of the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    return build(copy_of_tree(folder / "tree"), "wheel", folder / "dist")


@pytest.fixture
def fresh(tmp_path: Path, wheel: Path) -> Environment:
    """A fresh environment with reprozoo's wheel."""
    made = Environment.make(tmp_path / "fresh")
    made.shell(f"pip install {wheel}")
    return made
