"""docs/write-a-plugin.md is followed to the letter, and what comes of it is used elsewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from reprozoo.testing import CHECKS, MEASURE_CHECKS
from reprozoo.zoo.plugins.specs import Hooks
from tests.plugin_kit.environments import Environment
from tests.plugin_kit.tutorial import PAGE, steps

PLUGIN = "reprozoo-spot-flow"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    """An environment in which everything on the page was done."""
    environment = Environment.make(tmp_path_factory.mktemp("tutorial"))
    environment.shell(f"pip install {wheel}")
    listed: set[str] = set()
    for step in steps():
        step.follow(environment)
        if step.language == "text":
            listed = set(step.text.split())
            folder = environment.work / PLUGIN
            written = {str(path.relative_to(environment.work)) for path in folder.rglob("*") if path.is_file()}
            assert listed == {name for name in written if "egg-info" not in name and "cache" not in name}
    assert listed
    return environment


def test_every_block_is_understood() -> None:
    found = list(steps())
    assert {step.language for step in found} == {"python", "toml", "sh", "text"}
    assert [step.text for step in found if step.language in ("python", "toml") and not step.path] == []
    assert PAGE.read_text(encoding="utf-8").count("```") == 2 * len(found)


def test_the_page_shows_every_hook_and_every_check() -> None:
    page = PAGE.read_text(encoding="utf-8")
    hooks = {name for name in vars(Hooks) if name.startswith("reprozoo_")}
    shown = set(re.findall(r"^def (reprozoo_\w+)", page, flags=re.MULTILINE))
    assert shown <= hooks
    assert hooks - shown == {"reprozoo_register_problems"}  # one plugin has it, and is the example
    assert set(re.findall(r"^\| `(reprozoo_\w+)` \|", page, flags=re.MULTILINE)) == hooks
    for title, checks in (("Reference: checks", CHECKS), ("Reference: checks of measures", MEASURE_CHECKS)):
        assert set(re.findall(r"^\| `([a-z-]+)` \|", _section(page, title), flags=re.MULTILINE)) == set(checks)


def _section(page: str, title: str) -> str:
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.slow
def test_the_plugins_of_the_page_are_found_with_all_they_give(followed: Environment) -> None:
    records = {record["name"]: record for record in followed.json("reprozoo plugins --json")["plugins"]}
    assert {record["status"] for record in records.values()} == {"ok"}
    assert records["midpoint"]["provides"] == {"samplers": ["midpoint"]}
    assert records["pearson"]["provides"] == {"measures": ["pearson"]}
    assert records["ripples"]["provides"]["families"] == ["ripples"]
    made = records["spot-flow"]
    assert (made["distribution"], made["version"]) == (PLUGIN, "0.1.0")
    assert {kind: names for kind, names in made["provides"].items() if kind != "cards"} == {
        "families": ["spot-flow"],
        "datasets": ["spots"],
        "descriptors": ["layout"],
        "operators": ["top-half"],
        "solvers": ["paste"],
        "commands": ["train-spots"],
    }


@pytest.mark.slow
def test_the_flow_learned_its_data_and_another_seed_learned_the_same(followed: Environment) -> None:
    """Against chance on shuffled noise; what a model of other data agrees on is far below what another seed does."""
    result = followed.json("cat seeds/result.json")
    mean = {
        (m["pairing"], m["a"], m["b"]): m["distribution"]["mean"]
        for m in result["measurements"]
        if m["measure"].startswith("similarity[")
    }
    seeds = mean["same", "spot-flow-0", "spot-flow-1"]
    assert seeds > 0.8
    assert seeds > mean["shuffled", "spot-flow-0", "spot-flow-1"] + 0.5
    assert seeds > mean["same", "spot-flow-0", "theory-gaussian"] + 0.2
    card = tomllib.loads((followed.work / PLUGIN / "src/reprozoo_spot_flow/cards/spot-flow-0.toml").read_text())
    assert card["training"]["final_loss"] < 0.15


@pytest.mark.slow
def test_results_name_every_plugin_that_took_part(followed: Environment) -> None:
    def used(report: str) -> dict[str, list[str]]:
        plugins = followed.json(f"cat {report}/result.json")["plugins"]
        assert {plugin["version"] for plugin in plugins} == {"0.1.0"}
        return {plugin["name"]: plugin["gave"] for plugin in plugins}

    flow = ["card spot-flow-0", "card spot-flow-1", "family spot-flow"]
    gaussian = {"theory": ["family theory-gaussian"], "registry": ["card theory-gaussian"]}
    assert used("seeds") == {"spot-flow": flow, **gaussian}
    assert used("seeds-by-layout") == {"spot-flow": [*flow[:2], "descriptor layout", flow[2]]}
    assert used("halves") == {"spot-flow": [*flow[:2], "data set spots", flow[2], "operator top-half", "solver paste"]}
    theory = used("theory")
    assert theory["spot-flow"] == ["card spot-flow-0", "data set spots", "family spot-flow"]
    assert "family theory-empirical" in theory["theory"]
    assert "card theory-empirical" in theory["registry"]


@pytest.mark.slow
def test_the_wheel_of_the_page_works_in_a_fresh_environment_and_leaves_a_sentence(
    followed: Environment, fresh: Environment
) -> None:
    (made,) = (followed.work / "dist").glob("*.whl")
    fresh.shell(f"pip install {made}")
    (record,) = (r for r in fresh.json("reprozoo plugins --json")["plugins"] if r["name"] == "spot-flow")
    assert (record["distribution"], record["status"]) == (PLUGIN, "ok")
    checks = {check["name"]: check["status"] for check in fresh.json("reprozoo check spot-flow-0 --json")["checks"]}
    assert set(checks) == set(CHECKS)
    assert "failed" not in checks.values()
    fresh.shell("reprozoo compare spot-flow-0 tiny-edm -n 4 --descriptor pixels -q -o report")
    cards = fresh.folder / "xdg_config_home" / "reprozoo" / "registry"
    cards.mkdir(parents=True)
    left = (followed.work / PLUGIN / "src/reprozoo_spot_flow/cards/spot-flow-0.toml").read_text()
    (cards / "left-over.toml").write_text(left.replace('id = "spot-flow-0"', 'id = "left-over"'))
    fresh.shell("pip uninstall --yes reprozoo-spot-flow")
    sentence = (
        "no plugin provides the family 'spot-flow': it comes with the package reprozoo-spot-flow, "
        "which is not installed; install it"
    )
    statuses = {model["id"]: model["status"] for model in fresh.json("reprozoo models --json")["models"]}
    assert statuses["left-over"] == "no-plugin"
    assert "spot-flow-0" not in statuses
    assert f"no-plugin: {sentence}" in " ".join(fresh.shell("COLUMNS=400 reprozoo show left-over").split())
    used = fresh.run("reprozoo", "compare", "left-over", "tiny-edm", "-n", "4", "--descriptor", "pixels")
    assert (used.returncode, used.stdout) == (3, "")
    assert sentence in used.stderr
