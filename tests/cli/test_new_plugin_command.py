"""``new-plugin``; that the package installs and passes its tests is in plugin_kit/test_tutorial."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reprozoo.cli.new_plugin import FILES, TEMPLATES, filled, words_of
from reprozoo.zoo.cards import Registry
from tests.cli.conftest import Cli


def test_the_package_is_written_with_its_name_in_every_place(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("new-plugin", "my-flow")
    assert (outcome.code, outcome.out) == (0, "reprozoo-my-flow\n")
    assert "next: cd reprozoo-my-flow && pip install -e . && pytest" in outcome.err
    folder = tmp_path / "reprozoo-my-flow"
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert set(files) == {filled(place, words_of("my-flow")) for place in FILES.values()}
    for name, path in files.items():
        if not name.endswith(".safetensors"):
            assert not any(f"@{word}@" in path.read_text() for word in words_of("my-flow"))
        if name.endswith(".py"):
            ast.parse(path.read_text())
    project = tomllib.loads(files["pyproject.toml"].read_text())["project"]
    assert project["entry-points"]["reprozoo"] == {"my-flow": "reprozoo_my_flow"}
    (card,) = Registry([folder / "src/reprozoo_my_flow/cards"]).models.values()
    assert (card.id, card.family, card.package) == ("my-flow-untrained", "my-flow", "reprozoo-my-flow")


def test_every_template_is_used() -> None:
    assert {path.name for path in TEMPLATES.iterdir()} == set(FILES)


def test_the_weights_are_those_that_its_own_script_makes(cli: Cli, tmp_path: Path) -> None:
    cli("new-plugin", "my-flow")
    folder = tmp_path / "reprozoo-my-flow"
    (weights,) = folder.rglob("*.safetensors")
    shipped = weights.read_bytes()
    weights.unlink()
    script, path = [sys.executable, "make_weights.py"], os.pathsep.join(["src", *sys.path])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(script, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert weights.read_bytes() == shipped
    (source,) = Registry([weights.parents[1]]).model("my-flow-untrained").weights
    assert done.stdout.split()[0] == source.sha256


def test_the_prefix_may_be_given(cli: Cli, tmp_path: Path) -> None:
    assert cli("new-plugin", "reprozoo-waves", "-o", tmp_path / "a" / "b").code == 0
    assert (tmp_path / "a" / "b" / "src" / "reprozoo_waves" / "adapter.py").is_file()


@pytest.mark.parametrize("name", ["My-Flow", "my_flow", "3d", "-x", "a--b", "a-", "", "ä", "a.b", "a/b", "../x"])
def test_a_bad_name_is_a_sentence(cli: Cli, tmp_path: Path, name: str) -> None:
    outcome = cli("new-plugin", "--", name)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"{name!r} cannot name a plugin; expected lower-case letters, digits and dashes" in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("edm", "a plugin called 'edm' is installed already"),
        ("theory-mog", "the plugin theory has a family 'theory-mog' already"),
        ("plugins", "a module called reprozoo_plugins is installed already"),
    ],
)
def test_a_name_that_is_taken_is_a_sentence(cli: Cli, name: str, sentence: str) -> None:
    outcome = cli("new-plugin", name)
    assert (outcome.code, outcome.out) == (2, "")
    assert sentence in outcome.err


def test_a_folder_that_is_there_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "reprozoo-my-flow").mkdir()
    assert cli("new-plugin", "my-flow").code == 0
    before = sorted((tmp_path / "reprozoo-my-flow").rglob("*"))
    outcome = cli("new-plugin", "my-flow")
    assert (outcome.code, outcome.out) == (2, "")
    assert "reprozoo-my-flow is there already and is not empty; choose another folder with -o" in outcome.err
    assert sorted((tmp_path / "reprozoo-my-flow").rglob("*")) == before


def test_a_folder_that_cannot_be_written_is_a_sentence(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in ("file/package", "file"):
        outcome = cli("new-plugin", "my-flow", "-o", place)
        assert (outcome.code, outcome.out) == (2, "")
        assert "error: " in outcome.err
