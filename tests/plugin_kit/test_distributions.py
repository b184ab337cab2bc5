"""Wheel and sdist: everything is in them, and they work away from the repository."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from reprozoo import __version__
from tests.plugin_kit.environments import ROOT, Environment, build, copy_of_tree

pytestmark = pytest.mark.slow


def names_in(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_every_file_of_the_three_packages(wheel: Path) -> None:
    rooms = {"reprozoo": "reprozoo", "plugins": "reprozoo_plugins", "registry": "reprozoo_registry"}
    expected = {
        "/".join([package, *path.relative_to(ROOT / folder).parts])
        for folder, package in rooms.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names_in(wheel) if ".dist-info/" not in name} == expected


def test_the_sdist_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    archive = build(copy_of_tree(tmp_path / "tree"), "sdist", tmp_path / "dist")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    again = build(tmp_path / "unpacked" / f"reprozoo-{__version__}", "wheel", tmp_path / "again")
    assert names_in(again) == names_in(wheel)


def test_an_installed_wheel_works_away_from_the_repository(fresh: Environment) -> None:
    where = fresh.shell("python -c 'import reprozoo, reprozoo_registry as r; print(reprozoo.__file__, r.__file__)'")
    assert all(path.startswith(str(fresh.folder)) for path in where.split())
    statuses = {model["id"]: model["status"] for model in fresh.json("reprozoo models --json")["models"]}
    assert (statuses["tiny-edm"], statuses["theory-gaussian"]) == ("bundled", "bundled")
    assert "missing" not in statuses.values()
    assert "A small DDPM++ U-Net" in fresh.shell("reprozoo show tiny-edm")
    fresh.shell("reprozoo compare tiny-edm theory-gaussian -n 4 --descriptor pixels -q -o report")
    assert {path.name for path in (fresh.work / "report").iterdir()} >= {"report.html", "result.json", "scores.csv"}
