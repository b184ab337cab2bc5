"""The measure of docs/write-a-plugin.md: one file, and it is everywhere that a measure of reprozoo is."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.testing import MEASURE_CHECKS, run_measure_checks
from reprozoo.zoo.plugins import Plugins, installed_plugins, installed_registry
from reprozoo.zoo.resolving import default_zoo
from tests.cli.conftest import Cli, Outcome
from tests.plugin_kit.environments import ROOT
from tests.plugin_kit.tutorial import steps

MODULE, MEASURE = "reprozoo_pearson", "pearson"
MODELS = ("tiny-edm-cond+steps=4", "tiny-edm-cond+steps=5")
PLAIN, THEORY = ("tiny-edm+steps=4", "tiny-uvit+steps=4"), "theory-gaussian"
COUNT, REPEATED = 6, 4
WORDS = ("compare", *MODELS, "-n", COUNT, "--class", "0,1", "--descriptor", "pixels", "--noise-floor", REPEATED)


def source_of_the_page() -> str:
    (found,) = (step.text for step in steps() if step.path == f"reprozoo-pearson/{MODULE}.py")
    return found


def install(folder: Path, source: str, name: str = MEASURE) -> None:
    """A distribution of one module, as it lies on the path once it is installed."""
    (folder / f"{MODULE}.py").write_text(source)
    info = folder / "reprozoo_pearson-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: reprozoo-pearson\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[reprozoo]\n{name} = {MODULE}\n")


def forget() -> None:
    for cached in (installed_plugins, installed_registry, default_zoo):
        cached.cache_clear()
    sys.modules.pop(MODULE, None)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests here: what one has sampled, the others read."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    forget()


@pytest.fixture
def pearson(site: Path) -> Path:
    """The measure of the page, installed."""
    install(site, source_of_the_page())
    forget()
    return site


@pytest.fixture
def compared(cli: Cli, pearson: Path) -> Outcome:
    return cli(*WORDS, "--measure", MEASURE, "-o", "out")


def result(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "out" / "result.json").read_text())
    return document


def correlation(x: NDArray, y: NDArray) -> float:
    return float(np.corrcoef(x.ravel(), y.ravel())[0, 1])


# --- found in every place -------------------------------------------------------------------------------------------


def test_it_is_listed(cli: Cli, pearson: Path) -> None:
    provides = {record["name"]: record["provides"] for record in json.loads(cli("plugins", "--json").out)["plugins"]}
    assert provides[MEASURE] == {"measures": [MEASURE]}
    listed = json.loads(cli("measures", "--json").out)[MEASURE]
    assert (listed["plugin"], listed["usual"], list(listed["scores"])) == (MEASURE, False, [MEASURE, "correlated"])
    assert "Correlation of the two images' pixels" in cli("measures").out


def test_every_pairing_has_its_scores(compared: Outcome, tmp_path: Path) -> None:
    """Same noise, mismatched noise and noise floor, with intervals, and each class by itself."""
    assert compared.code == 0, compared.err
    document = result(tmp_path)
    (facts,) = (facts for facts in document["measures"] if facts["name"] == MEASURE)
    assert [score["label"] for score in facts["scores"]] == [MEASURE, "correlated[>0.9]"]
    found = {(m["pairing"], m["a"], m["b"]): m for m in document["measurements"] if m["measure"] == MEASURE}
    assert set(found) == {
        ("same", *MODELS),
        ("shuffled", *MODELS),
        *(("repeat", model, model) for model in MODELS),
    }
    for (pairing, _, _), measurement in found.items():
        assert [score["name"] for score in measurement["scores"]] == [MEASURE, "correlated"]
        assert measurement["count"] == (REPEATED if pairing == "repeat" else COUNT)
        assert len(measurement["distribution"]["histogram"]) == 40
    same = found["same", *MODELS]
    assert same["scores"][0]["low"] <= same["scores"][0]["value"] <= same["scores"][0]["high"]
    assert same["scores"][1]["threshold"] == 0.9
    assert [condition["name"] for condition in same["conditions"]] == ["class 0", "class 1"]
    assert [score["name"] for score in same["conditions"][0]["scores"]] == [MEASURE, "correlated"]
    assert [condition["count"] for condition in same["conditions"]] == [3, 3]
    floor = found["repeat", MODELS[0], MODELS[0]]["scores"][0]["value"]
    assert floor > 0.999  # another batch size moves float32 rounding alone


def test_theory_is_a_baseline_of_it(cli: Cli, pearson: Path) -> None:
    words = ("compare", *PLAIN, "-n", 2, "--descriptor", "pixels", "--noise-floor", 0, "--measure", MEASURE)
    document = json.loads(cli(*words, "-o", "out", "--json", "-q").out)
    found = {(m["pairing"], m["a"], m["b"]) for m in document["measurements"] if m["measure"] == MEASURE}
    assert found == {("same", *PLAIN), ("shuffled", *PLAIN), *(("same", THEORY, model) for model in PLAIN)}


def test_the_table_has_its_values(cli: Cli, compared: Outcome, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "scores.csv").read_text())))
    own = [row for row in rows if row["measure"] == MEASURE]
    assert {row["pairing"] for row in own} == {"same", "shuffled", "repeat"}
    images = [made(cli, model, tmp_path / f"{i}.npz") for i, model in enumerate(MODELS)]
    for pairing in ("same", "shuffled"):
        pairs = [row for row in own if row["pairing"] == pairing and (row["a"], row["b"]) == MODELS]
        assert len(pairs) == COUNT
        for row in pairs:
            expected = correlation(images[0][int(row["index"])], images[1][int(row["partner"])])
            assert float(row["value"]) == pytest.approx(expected, abs=1e-6)
            assert (row["index"] == row["partner"]) == (pairing == "same")
            assert row["condition"] == f"class {int(row['index']) % 2}"
    values = [float(row["value"]) for row in own if row["pairing"] == "same" and (row["a"], row["b"]) == MODELS]
    (same,) = (
        m for m in result(tmp_path)["measurements"]
        if (m["measure"], m["pairing"], m["a"], m["b"]) == (MEASURE, "same", *MODELS)
    )  # fmt: skip
    assert same["scores"][0]["value"] == pytest.approx(float(np.median(values)))


def made(cli: Cli, model: str, path: Path) -> NDArray:
    """The images of a model, from the store."""
    assert cli("sample", model, "-n", COUNT, "--class", "0,1", "-o", path, "-q").code == 0
    images: NDArray = np.load(path)["images"].astype(np.float64)
    return images


def test_terminal_and_page_show_it(compared: Outcome, tmp_path: Path) -> None:
    assert "median r" in compared.out
    assert "correlated[>0.9]" in compared.out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "median r" in page
    assert "Median correlation of the two images." in page
    assert "--measure pearson" in page


def test_it_is_on_stdout_too(cli: Cli, pearson: Path) -> None:
    document = json.loads(cli(*WORDS, "--measure", MEASURE, "-o", "out", "--json", "-q").out)
    assert MEASURE in {m["measure"] for m in document["measurements"]}
    rows = list(csv.DictReader(io.StringIO(cli(*WORDS, "--measure", MEASURE, "-o", "out", "--csv", "-q").out)))
    assert MEASURE in {row["measure"] for row in rows}


@pytest.mark.parametrize(
    ("bound", "code", "sentence"),
    [
        (("--fail-under", "pearson=-1"), 0, ""),
        (("--fail-over", "pearson=1"), 0, ""),
        (("--fail-under", "pearson=0.9999"), 1, "below 0.9999"),
        (("--fail-over", "pearson=-0.9,correlated=1"), 1, "above -0.9"),
    ],
)
def test_a_gate_may_ask_for_it(cli: Cli, pearson: Path, bound: tuple[str, str], code: int, sentence: str) -> None:
    outcome = cli(*WORDS, "--measure", MEASURE, "-o", "out", *bound)
    assert outcome.code == code, outcome.err
    assert sentence in outcome.err
    assert ("failed: pearson of" in outcome.err) == bool(code)


def test_its_threshold_may_be_another(cli: Cli, pearson: Path) -> None:
    words = (*WORDS, "--measure", MEASURE, "-o", "out", "--json", "-q")
    document = json.loads(cli(*words, "--threshold", "correlated=-1").out)
    scores = {s["name"]: s for m in document["measurements"] if m["measure"] == MEASURE for s in m["scores"]}
    assert (scores["correlated"]["threshold"], scores["correlated"]["value"]) == (-1, 1)
    refused = cli(*words, "--threshold", "correlated=1.5")
    assert (refused.code, refused.out) == (2, "")
    assert "a threshold of correlated is from -1 to below 1, got 1.5" in refused.err


def test_it_is_not_taken_unless_it_is_asked_for(cli: Cli, pearson: Path) -> None:
    document = json.loads(cli(*WORDS, "-o", "out", "--json", "-q").out)
    assert MEASURE not in {m["measure"] for m in document["measurements"]}
    assert MEASURE not in {plugin["name"] for plugin in document["plugins"]}
    asked = json.loads(cli(*WORDS, "--measure", MEASURE, "-o", "out", "--json", "-q").out)
    (plugin,) = (plugin for plugin in asked["plugins"] if plugin["name"] == MEASURE)
    assert (plugin["distribution"], plugin["version"]) == ("reprozoo-pearson", "0.1.0")
    assert plugin["gave"] == ["measure pearson"]


def test_a_usual_one_is_always_taken(cli: Cli, site: Path) -> None:
    install(site, source_of_the_page().replace(':Pearson")', ':Pearson", usual=True)'))
    forget()
    document = json.loads(cli(*WORDS, "-o", "out", "--json", "-q").out)
    assert MEASURE in {m["measure"] for m in document["measurements"]}


# --- and named by nothing -------------------------------------------------------------------------------------------


def test_nothing_of_the_core_names_it() -> None:
    texts = {path: path.read_bytes().lower() for path in (ROOT / "reprozoo").rglob("*") if path.suffix != ".pyc"
             and path.is_file()}  # fmt: skip
    assert [path for path, text in texts.items() if MEASURE.encode() in text] == []
    assert any(b"mean_abs" in text for text in texts.values())


def test_it_keeps_the_contract(pearson: Path) -> None:
    page = {step.path: step.text for step in steps()}
    tests: dict[str, Any] = {}
    exec(page["reprozoo-pearson/test_pearson.py"], tests)
    results = run_measure_checks(MEASURE, reference=tests["by_numpy"])
    assert [each.name for each in results] == list(MEASURE_CHECKS)
    assert {each.name for each in results if each.status == "skipped"} == {"search", "own-rows"}
    assert {each.name: each.detail for each in results if each.status == "failed"} == {}


def test_the_file_imports_no_framework(pearson: Path) -> None:
    code = f"import sys, {MODULE}; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=pearson, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_name_of_reprozoos_own_cannot_be_taken(site: Path) -> None:
    install(site, source_of_the_page().replace('MeasureSpec("pearson"', 'MeasureSpec("psnr"'))
    forget()
    (record,) = (record for record in Plugins().records if record.name == MEASURE)
    assert record.status == "broken"
    assert "'psnr'" in str(record.error)


def test_a_misspelt_one_is_a_sentence(cli: Cli, pearson: Path) -> None:
    outcome = cli(*WORDS, "--measure", "pearsn", "-o", "out")
    assert (outcome.code, outcome.out) == (2, "")
    assert "no measure is called 'pearsn' (did you mean 'pearson'?)" in outcome.err
    with pytest.raises(UsageError, match="no measure is called 'pearsn'"):
        run_measure_checks("pearsn")
