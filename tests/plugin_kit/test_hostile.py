"""Plugins that do their worst: none stops the host, each is one line, and what does not need them works."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reprozoo.zoo.plugins import installed_plugins, installed_registry
from reprozoo.zoo.resolving import default_zoo
from tests.cli.conftest import Cli

HOOKS = """
from pathlib import Path
from reprozoo import Family, hookimpl

@hookimpl
def {hook}(register):
    register(Family("{family}", "a family", load="{name}_map:load"))
    {then}

@hookimpl
def reprozoo_register_cards(register):
    register(Path(__file__).parent / "{name}_cards")
"""
MAP = """
import sys
import torch
from reprozoo import NoiseToImageMap

class Map(NoiseToImageMap):
    noise_shape = image_shape = (3, 32, 32)

    def generate(self, noise, conditions):
        {generate}

def load(context):
    {load}
    return Map()
"""
CARD = """
kind = "model"
id = "{id}"
title = "hostile"
family = "{family}"
licence = "MIT"
paper = "unknown"
noise_shape = [3, 32, 32]
image_shape = [3, 32, 32]
training = {{}}
weights = []
"""
FINE = "return torch.tanh(noise)"
# Name of the plugin -> what is changed of a good one, and the one line that tells of it.
WHEN_LISTED = {
    "at-import": ({"first": "raise RuntimeError('no\\nluck')"}, "RuntimeError: no luck"),
    "exits-at-import": ({"first": "import sys; sys.exit('goodbye')"}, "SystemExit: goodbye"),
    "at-registration": ({"then": "1 / 0"}, "ZeroDivisionError: division by zero"),
    "misspelt": ({"hook": "reprozoo_register_familys"}, "unknown hook reprozoo_register_familys"),
    "takes-a-family": ({"family": "edm"}, "family 'edm', which plugin edm (reprozoo) has already"),
    "takes-a-card": ({"id": "tiny-edm"}, 'the name "tiny-edm" belongs to two model cards'),
    "from-the-future": ({"first": "REPROZOO_API = '>=9'"}, "it wants plugin API >=9, and this reprozoo has 2"),
}
WHEN_USED = {
    "at-load": ({"load": "raise OSError('no disk')"}, "could not load at-load: OSError: no disk"),
    "exits-at-load": ({"load": "sys.exit(7)"}, "could not load exits-at-load: SystemExit: 7"),
    "in-generate": ({"generate": "raise ValueError('no image')"}, "in-generate failed on noises 0 to 3: ValueError"),
    "exits-in-generate": ({"generate": "sys.exit(7)"}, "exits-in-generate called sys.exit(7)"),
    "wrong-shape": ({"generate": "return torch.tanh(noise)[:, :1]"}, "wrong-shape returned (4, 1, 32, 32) where"),
}
WHEN_LOOKED_AT = {
    "own-noise": ({"generate": "return torch.randn_like(noise).tanh()"}, "global-generators"),
    "mixes": ({"generate": "return torch.tanh(2 * (noise - noise.mean(0)))"}, "batch-size"),
}
ALL = WHEN_LISTED | WHEN_USED | WHEN_LOOKED_AT


def install(folder: Path, name: str, first: str = "", **changes: str) -> None:
    """A distribution with one plugin, as it lies on the path once it is installed."""
    module = name.replace("-", "_")
    words = {"hook": "reprozoo_register_families", "family": name, "name": module, "then": ""} | changes
    (folder / f"{module}.py").write_text(f"{first}\n{HOOKS.format(**words)}")
    (folder / f"{module}_map.py").write_text(MAP.format(**{"load": "pass", "generate": FINE} | changes))
    (folder / f"{module}_cards").mkdir()
    (folder / f"{module}_cards" / "card.toml").write_text(CARD.format(**{"id": name, "family": name} | changes))
    info = folder / f"hostile_{module}-6.6.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: hostile-{name}\nVersion: 6.6\n")
    (info / "entry_points.txt").write_text(f"[reprozoo]\n{name} = {module}\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hostile")
    for name, (changes, _) in ALL.items():
        install(made, name, **changes)
    return made


@pytest.fixture(autouse=True)
def _installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def forget() -> None:
        for cached in (installed_plugins, installed_registry, default_zoo):
            cached.cache_clear()

    monkeypatch.syspath_prepend(str(folder))
    forget()
    yield
    forget()


def records(cli: Cli) -> dict[str, dict]:
    return {record["name"]: record for record in json.loads(cli("plugins", "--json").out)["plugins"]}


def test_each_is_one_line_of_the_list(cli: Cli) -> None:
    listed = records(cli)
    for name, (_, sentence) in WHEN_LISTED.items():
        record = listed[name]
        assert record["status"] == ("incompatible" if name == "from-the-future" else "broken")
        assert sentence in record["error"]
        assert (record["distribution"], record["version"], record["provides"]) == (f"hostile-{name}", "6.6", {})
        line = next(line for line in cli("plugins").out.splitlines() if line.startswith(f"{name} "))
        assert sentence[:40] in line
    ok = {name for name, record in listed.items() if record["status"] == "ok"}
    assert ok == {*WHEN_USED, *WHEN_LOOKED_AT, *(n for n, r in listed.items() if r["distribution"] == "reprozoo")}
    strict = cli("plugins", "--strict")
    assert strict.code == 3
    assert all(f"plugin {name} is " in strict.err for name in WHEN_LISTED)


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("models",), ("show", "tiny-edm"), ("noise", "export", "-n", 2, "noise.npy"), ("doctor",)],
)
def test_unrelated_commands_work(cli: Cli, arguments: tuple[object, ...]) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 0
    assert "Traceback" not in outcome.err


def test_other_models_are_compared(cli: Cli) -> None:
    words = ("theory-gaussian", "theory-gaussian+flow=sampler", "-n", 4, "--descriptor", "pixels", "--noise-floor", 0)
    result = json.loads(cli("compare", *words, "--json").out)
    assert {plugin["distribution"] for plugin in result["plugins"]} == {"reprozoo"}


def test_a_process_of_its_own_answers_too(folder: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from reprozoo.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "show", "theory-mog"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", WHEN_LISTED)
def test_a_model_that_is_not_there_says_which_plugin_may_have_it(cli: Cli, name: str) -> None:
    outcome = cli("show", name)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"plugin {name} is " in outcome.err
    assert WHEN_LISTED[name][1] in outcome.err


@pytest.mark.parametrize("name", WHEN_USED)
def test_using_it_is_one_sentence(cli: Cli, name: str) -> None:
    outcome = cli("sample", name, "-n", 4, "-o", "images.npz", "-q")
    assert (outcome.code, outcome.out) == (3, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith("error: ")
    assert WHEN_USED[name][1] in line


@pytest.mark.parametrize("name", WHEN_LOOKED_AT)
def test_what_no_error_tells_is_seen_by_check_and_by_the_noise_floor(cli: Cli, name: str) -> None:
    broken = WHEN_LOOKED_AT[name][1]
    outcome = cli("check", name, "--only", broken, "--only", "images", "-q")
    assert outcome.code == 3
    assert outcome.err == f"error: {name} breaks the contract of maps: {broken}\n"
    words = (name, "theory-gaussian", "-n", 4, "--batch-size", 4, "--descriptor", "pixels", "--no-baseline", "--json")
    result = json.loads(cli("compare", *words).out)
    floor = {m["measure"]: m for m in result["measurements"] if m["pairing"] == "repeat" and m["a"] == name}
    assert floor["mean_abs"]["equal"] == 0
    assert floor["similarity[pixels@32]"]["scores"][0]["value"] < 0.5
    (said,) = (warning for warning in result["warnings"] if warning.startswith(name))
    assert "no rounding" in said
    assert f"`reprozoo check {name}`" in said


def test_a_plugin_that_kills_what_imports_it_can_be_switched_off(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what ends the process there is no catching; names are read without importing."""
    install(tmp_path, "kills", first="import os; os._exit(66)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "reprozoo", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run("show", "theory-mog").returncode == 66
    assert run("plugins", "disable", "kills").returncode == 0
    listed = run("plugins")
    assert listed.returncode == 0
    assert "switched off; `reprozoo plugins enable kills` switches it on" in listed.stdout
    assert run("show", "theory-mog").returncode == 0
    assert run("plugins", "enable", "kills").returncode == 0
    assert run("plugins").returncode == 66


def test_a_good_one_is_good(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    """What the hostile ones are made from works, so that each fails for its own reason."""
    (tmp_path / "site").mkdir()
    install(tmp_path / "site", "good")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    installed_plugins.cache_clear()
    assert records(cli)["good"]["status"] == "ok"
    assert cli("sample", "good", "-n", 2, "-o", "images.npz", "-q").code == 0
    assert cli("check", "good", "--only", "batch-size", "--only", "global-generators", "-q").code == 0
