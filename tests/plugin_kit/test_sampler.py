"""The sampler of docs/write-a-plugin.md: one file, registered by a stranger, named in a spec like one of reprozoo's."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import reprozoo
from reprozoo import NoiseBank
from reprozoo.base.errors import ContractError, UsageError
from reprozoo.zoo.plugins import Plugins, installed_plugins, installed_registry
from reprozoo.zoo.resolving import Zoo, default_zoo
from tests.cli.conftest import Cli
from tests.plugin_kit.tutorial import steps

MODEL = "tiny-edm"


def install(folder: Path, name: str, source: str, version: str = "0.1.0") -> None:
    """A distribution of one module, as it lies on the path once it is installed."""
    (folder / f"{name}.py").write_text(source)
    info = folder / f"reprozoo_{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: reprozoo-{name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[reprozoo]\n{name} = {name}\n")


def source_of_the_page() -> str:
    (found,) = (step.text for step in steps() if step.path == "reprozoo-midpoint/midpoint.py")
    return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path; what is installed in it is found by the zoos made after ``forget``."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    forget()


def forget() -> None:
    for cached in (installed_plugins, installed_registry, default_zoo):
        cached.cache_clear()
    for name in ("midpoint", "other"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


@pytest.fixture
def midpoint(site: Path) -> Path:
    install(site, "midpoint", source_of_the_page())
    forget()
    return site


@pytest.mark.usefixtures("midpoint")
def test_a_strangers_sampler_makes_the_images() -> None:
    """With its second slope at the end of a step it is Heun's method; elsewhere it is another one of second order."""
    noise = NoiseBank(0).noise(range(2), (3, 32, 32))
    same = reprozoo.load(f"{MODEL}+sampler=midpoint+steps=4+at=1")(noise)
    other = reprozoo.load(f"{MODEL}+sampler=midpoint+steps=4")(noise)
    heun = reprozoo.load(f"{MODEL}+sampler=heun+steps=4")(noise)
    torch.testing.assert_close(same, heun, rtol=0, atol=1e-5)  # the same sum in another order
    assert not torch.equal(other, heun)


@pytest.mark.usefixtures("midpoint")
def test_its_options_are_checked_and_part_of_the_identity() -> None:
    zoo = Zoo()
    plain, chosen = (zoo.resolve(f"{MODEL}+sampler=midpoint{more}") for more in ("", "+at=0.6"))
    assert (plain.sampler["at"], chosen.sampler["at"], plain.sampler["rho"]) == (0.5, 0.6, 7.0)
    assert plain.identity() != chosen.identity()
    assert {
        "name": "midpoint",
        "distribution": "reprozoo-midpoint",
        "version": "0.1.0",
        "gave": "sampler midpoint",
    } in plain.other_plugins
    for bad, sentence in {
        "at=0": "option at=0: expected at to be more than 0",
        "att=1": r"has no option 'att' \(did you mean 'at'\?\)",
        "t_end=1": "t_end has no effect with spacing=karras",
    }.items():
        with pytest.raises(UsageError, match=sentence):
            zoo.check(f"{MODEL}+sampler=midpoint+{bad}")
    with pytest.raises(UsageError, match=r"unknown sampler 'midpiont' \(did you mean 'midpoint'\?\); there are: euler"):
        zoo.check(f"{MODEL}+sampler=midpiont")


@pytest.mark.usefixtures("midpoint")
def test_show_shows_it(cli: Cli) -> None:
    spec = f"{MODEL}+sampler=midpoint+at=0.6"
    assert json.loads(cli("show", spec, "--json").out)["card"]["sampler"] == {
        "name": "midpoint", "steps": 18, "spacing": "karras", "at": 0.6,
    }  # fmt: skip
    shown = cli("show", spec).out.splitlines()
    (samplers,) = (line.split() for line in shown if line.startswith("+sampler="))
    assert {"heun,", "midpoint"} <= set(samplers)
    (option,) = (" ".join(line.split()) for line in shown if line.startswith("+at="))
    assert option == "+at= where in the step the second slope is taken (0.6)"
    assert json.loads(cli("show", spec, "--json").out)["sampler_options"]["at"]["default"] == 0.5
    provides = {record["name"]: record["provides"] for record in json.loads(cli("plugins", "--json").out)["plugins"]}
    assert provides["midpoint"] == {"samplers": ["midpoint"]}


def test_the_file_imports_no_framework(midpoint: Path) -> None:
    code = "import sys, midpoint; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=midpoint, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_raised_version_is_another_map(site: Path) -> None:
    raised = source_of_the_page().replace('load="midpoint:Midpoint",', 'load="midpoint:Midpoint", output_version=2,')
    identities = []
    for source in (source_of_the_page(), raised):
        install(site, "midpoint", source, version=f"0.{len(identities)}")
        forget()
        identities.append(Zoo().resolve(f"{MODEL}+sampler=midpoint").identity())
        (site / f"reprozoo_midpoint-0.{len(identities) - 1}.dist-info" / "entry_points.txt").unlink()
    first, second = identities
    assert "sampler_version" not in first
    assert second == {**first, "sampler_version": 2}


def test_a_name_of_reprozoos_own_cannot_be_taken(site: Path) -> None:
    install(site, "other", source_of_the_page().replace('"midpoint"', '"heun"', 1))
    forget()
    plugins = Plugins()
    (record,) = (record for record in plugins.records if record.name == "other")
    assert record.status == "broken"
    assert "it registers sampler 'heun', which plugin builtin (reprozoo) has already" in str(record.error)
    assert plugins.sampler("heun").plugin.name == "builtin"


@pytest.mark.parametrize(
    ("load", "sentence"),
    [
        ("other:missing", "cannot load other:missing"),
        ("builtins:dict", "builtins:dict returned dict, expected a Sampler"),
        ("builtins:int", "the sampler 'midpoint' cannot be built: TypeError"),
    ],
)
def test_a_sampler_that_is_none_is_a_sentence(site: Path, load: str, sentence: str) -> None:
    install(site, "other", source_of_the_page().replace('load="midpoint:Midpoint"', f'load="{load}"'))
    forget()
    zoo = Zoo()
    zoo.check(f"{MODEL}+sampler=midpoint")
    with pytest.raises((ContractError, reprozoo.PluginError), match=sentence):
        zoo.resolve(f"{MODEL}+sampler=midpoint")
