"""``plugins disable`` and ``plugins enable``; what the list says is in test_installation_commands and plugin_kit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reprozoo.base import paths
from reprozoo.zoo.plugins import API_VERSION, DISABLE_VARIABLE, Registered, installed_plugins, installed_registry
from reprozoo.zoo.resolving import default_zoo
from tests.cli.conftest import Cli


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A configuration of its own; plugins are loaded anew for every command, as they are in a process of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    monkeypatch.delenv(DISABLE_VARIABLE, raising=False)
    yield paths.disabled_plugins()
    forget()


def forget() -> None:
    for cached in (installed_plugins, installed_registry, default_zoo):
        cached.cache_clear()


def statuses(cli: Cli) -> dict[str, str]:
    forget()
    return {record["name"]: record["status"] for record in json.loads(cli("plugins", "--json").out)["plugins"]}


def test_off_and_on(cli: Cli) -> None:
    outcome = cli("plugins", "disable", "edm", "theory")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "edm, theory: switched off\n")
    assert {name for name, status in statuses(cli).items() if status == "disabled"} == {"edm", "theory"}
    used = cli("show", "tiny-edm")
    assert used.code == 0
    assert "plugin edm is disabled (switched off; `reprozoo plugins enable edm` switches it on)" in used.out
    assert cli("plugins", "enable", "edm").code == 0
    assert {name for name, status in statuses(cli).items() if status == "disabled"} == {"theory"}


def test_a_model_whose_family_is_switched_off_says_how_to_switch_it_on(cli: Cli) -> None:
    cli("plugins", "disable", "edm")
    forget()
    outcome = cli("sample", "tiny-edm", "-n", 1, "-o", "x.png")
    assert (outcome.code, outcome.out) == (3, "")
    assert "`reprozoo plugins enable edm` switches it on" in outcome.err
    (model,) = (m for m in json.loads(cli("models", "--json").out)["models"] if m["id"] == "tiny-edm")
    assert model["status"] == "no-plugin"


@pytest.mark.parametrize("verb", ["disable", "enable"])
def test_a_name_that_is_none_changes_nothing(cli: Cli, configuration: Path, verb: str) -> None:
    outcome = cli("plugins", verb, "edm", "theroy")
    assert (outcome.code, outcome.out) == (2, "")
    assert "no plugin is called 'theroy' (did you mean 'theory'?); there is: adm, " in outcome.err
    assert not configuration.exists()


def test_what_is_no_longer_installed_can_be_switched_on(cli: Cli, configuration: Path) -> None:
    configuration.parent.mkdir(parents=True)
    configuration.write_text("gone\n")
    assert cli("plugins", "enable", "gone").code == 0
    assert configuration.read_text() == ""
    assert cli("plugins", "enable", "gone").code == 2


def test_the_environment_has_the_last_word(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLE_VARIABLE, "edm")
    assert f"edm: still switched off by {DISABLE_VARIABLE}; unset it" in cli("plugins", "enable", "edm").err
    assert statuses(cli)["edm"] == "disabled"


def test_the_list_as_json(cli: Cli) -> None:
    document = json.loads(cli("plugins", "--json").out)
    assert document["api"] == API_VERSION
    (record,) = (record for record in document["plugins"] if record["name"] == "theory")
    assert record["distribution"] == "reprozoo"
    assert record["hooks"] == [f"reprozoo_register_{kind}" for kind in ("families", "solvers")]
    assert set(record) == {
        "name", "target", "distribution", "version", "status", "provides", "hooks", "error", "warnings", "import_s"
    }  # fmt: skip


def test_what_takes_a_name_of_reprozoos_own_is_said(cli: Cli) -> None:
    forget()
    installed = installed_plugins()
    record = next(record for record in installed.records if record.name == "edm")
    installed.commands["models"] = Registered(("models", "nowhere:models", ""), record)
    (edm,) = (r for r in json.loads(cli("plugins", "--json").out)["plugins"] if r["name"] == "edm")
    assert [warning.split(" is not used")[0] for warning in edm["warnings"]] == ["its command 'models'"]
    assert cli("models").code == 0
