"""A store and a log of one test."""

from __future__ import annotations

from pathlib import Path

import pytest

from reprozoo.engine.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where fake maps note every batch they make."""
    return tmp_path / "log"
