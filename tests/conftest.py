"""No test sees the cards of the person who runs it, or those that another test put in place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reprozoo.zoo.plugins import REGISTRY_VARIABLE, installed_registry
from reprozoo.zoo.resolving import default_zoo


@pytest.fixture(scope="session")
def no_configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("no-configuration")


@pytest.fixture(autouse=True)
def _bundled_cards_alone(no_configuration: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(no_configuration))
    monkeypatch.delenv(REGISTRY_VARIABLE, raising=False)
    yield
    installed_registry.cache_clear()
    default_zoo.cache_clear()
