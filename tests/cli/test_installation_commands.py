"""``models``, ``show``, ``pull``, ``data``, ``noise``, ``plugins``, ``cache`` and ``doctor``."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np
import pytest

from reprozoo.cli import doctor
from reprozoo.engine.store import Store
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.zoo import plugins as plugins_module
from reprozoo.zoo import resolving as zoo_module
from tests.cli.conftest import Cli


@pytest.fixture
def broken_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the real plugins, one that raises at import and one with a misspelt hook."""
    (tmp_path / "raises_at_import.py").write_text("raise RuntimeError('no luck\\nat all')\n")
    (tmp_path / "misspelt_hook.py").write_text(
        "from reprozoo import hookimpl\n@hookimpl\ndef reprozoo_register_familys(register): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [EntryPoint(name, name, "reprozoo") for name in ("raises_at_import", "misspelt_hook")]
    loaded = plugins_module.Plugins([*entry_points(group="reprozoo"), *points])
    monkeypatch.setattr(plugins_module, "installed_plugins", lambda: loaded)
    made = zoo_module.Zoo(loaded)
    monkeypatch.setattr(zoo_module, "default_zoo", lambda: made)


def test_models_by_family(cli: Cli) -> None:
    lines = cli("models").out.splitlines()
    assert lines[0].split() == ["id", "status", "size", "licence", "data", "title"]
    assert any(line.strip() == "theory-gaussian" for line in lines)
    row = next(line for line in lines if line.startswith("  theory-gaussian "))
    assert row.split()[:5] == ["theory-gaussian", "bundled", "4.0", "MB", "Apache-2.0"]


def test_models_as_json_and_filtered(cli: Cli) -> None:
    models = json.loads(cli("models", "--json").out)["models"]
    gaussian = next(model for model in models if model["id"] == "theory-gaussian")
    assert gaussian["noise_shape"] == [3, 32, 32]
    assert gaussian["plugin"] == "theory"
    by_family = json.loads(cli("models", "--family", "theory-mog", "--json").out)["models"]
    assert {model["family"] for model in by_family} == {"theory-mog"}
    by_data = json.loads(cli("models", "--dataset", "cifar10", "--status", "bundled", "--json").out)["models"]
    assert "theory-gaussian" in [model["id"] for model in by_data]
    assert {(model["dataset"], model["status"]) for model in by_data} == {("cifar10", "bundled")}


def test_no_model_fits(cli: Cli) -> None:
    outcome = cli("models", "--dataset", "nothing")
    assert (outcome.code, outcome.out) == (0, "")
    assert "no model fits" in outcome.err


def test_show(cli: Cli) -> None:
    shown = cli("show", "theory-gaussian").out
    for text in ("Apache-2.0", "3×32×32", "+flow=", "sampler", "bundled: ships with the registry"):
        assert text in shown
    document = json.loads(cli("show", "theory-gaussian", "--json").out)
    assert document["card"]["id"] == "theory-gaussian"
    assert "closed-form" in document["options"]["flow"]["choices"]


def test_pull_verifies_what_is_bundled(cli: Cli) -> None:
    outcome = cli("pull", "theory-gaussian", "theory-mog", "--offline")
    assert "theory-gaussian  statistics  bundled  sha256 " in outcome.out
    assert "theory-mog  is a formula: nothing to fetch" in outcome.out
    (file,) = json.loads(cli("pull", "theory-gaussian", "--json").out)["files"]
    assert Path(file["path"]).is_file()


def test_data_sets(cli: Cli) -> None:
    assert "train 50,000, test 10,000" in cli("data", "ls").out
    assert json.loads(cli("data", "ls", "--json").out)["datasets"][0]["id"] == "cifar10"


def test_noise_export(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("noise", "export", "-n", 3, "--shape", "3x4x4", "--seed", 5, "noise.npy", "--json")
    facts = json.loads(outcome.out)
    assert facts["sha256"] == NoiseBank(5).digest(range(3), (3, 4, 4))
    np.testing.assert_array_equal(np.load(tmp_path / "noise.npy"), NoiseBank(5).noise(range(3), (3, 4, 4)).numpy())
    assert cli("noise", "export", "-n", 2, "--start", 7, "later.safetensors").code == 0


def test_plugins(cli: Cli) -> None:
    records = json.loads(cli("plugins", "--json").out)["plugins"]
    assert {"registry", "theory"} <= {record["name"] for record in records}
    assert "families: theory-gaussian" in cli("plugins").out


@pytest.mark.usefixtures("broken_plugins")
def test_broken_plugins_are_listed_and_hurt_only_themselves(cli: Cli) -> None:
    outcome = cli("plugins")
    assert outcome.code == 0
    assert "RuntimeError: no luck at all" in outcome.out
    assert "unknown hook reprozoo_register_familys" in outcome.out
    strict = cli("plugins", "--strict", "--json")
    assert strict.code == 3
    assert "raises_at_import" in strict.err
    statuses = {record["name"]: record["status"] for record in json.loads(strict.out)["plugins"]}
    assert (statuses["theory"], statuses["misspelt_hook"]) == ("ok", "broken")
    assert cli("show", "theory-gaussian").code == 0


@pytest.fixture
def filled(home: Path) -> Path:
    """A store with one entry of images; its data file."""
    entry = Store(home / "store").entry("images", {"map": {"family": "toy", "sampler": {"name": "heun", "steps": 3}}})
    entry.put(0, np.zeros((4, 3, 2, 2), np.uint8))
    return next(path for path in (home / "store").rglob("*.safetensors"))


def test_cache_ls(cli: Cli, filled: Path) -> None:
    outcome = cli("cache", "ls")
    assert "toy, heun 3" in outcome.out
    assert "1 entry, " in outcome.err
    (entry,) = json.loads(cli("cache", "ls", "--json").out)["entries"]
    assert (entry["kind"], entry["rows"]) == ("images", 4)


def test_cache_verify_finds_a_flipped_bit(cli: Cli, filled: Path) -> None:
    assert cli("cache", "verify").code == 0
    content = bytearray(filled.read_bytes())
    content[-1] ^= 1
    filled.write_bytes(content)
    outcome = cli("cache", "verify", "--json")
    assert outcome.code == 5
    assert len(json.loads(outcome.out)["problems"]) == 1
    assert "1 file is damaged" in outcome.err
    assert cli("cache", "prune", "--broken").code == 0
    assert cli("cache", "verify").code == 0


def test_cache_prune(cli: Cli, filled: Path) -> None:
    assert json.loads(cli("cache", "prune", "--unused-for", "1d", "--json").out)["removed"] == []
    assert filled.exists()
    assert cli("cache", "prune", "--key", "nope").code == 2
    assert "removed 1 item" in cli("cache", "prune", "--all").out
    assert not filled.exists()


def test_doctor(cli: Cli) -> None:
    findings = json.loads(cli("doctor", "--json").out)["findings"]
    assert {finding["area"] for finding in findings} == set(doctor.AREAS)
    by_name = {(finding["area"], finding["name"]): finding for finding in findings}
    assert by_name["devices", "cpu"]["status"] == "ok"
    assert by_name["descriptors", "pixels"]["detail"] == "ready"
    assert by_name["descriptors", "sscd"]["status"] == "note"
    assert "`reprozoo pull sscd` fetches it" in by_name["descriptors", "sscd"]["detail"]
    assert "places" in cli("doctor").out


@pytest.mark.usefixtures("broken_plugins")
def test_doctor_says_what_would_fail(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setitem(doctor.AREAS, "devices", lambda: 1 / 0)
    outcome = cli("doctor", "--strict")
    assert outcome.code == 2
    assert "ZeroDivisionError" in outcome.out
    assert "cannot be written; set REPROZOO_HOME" in outcome.out
    for name in ("store", "weights", "raises_at_import", "misspelt_hook"):
        assert name in outcome.err


def test_doctor_creates_nothing(cli: Cli, home: Path) -> None:
    cli("doctor")
    assert not home.exists()
