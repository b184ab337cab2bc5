"""Reports know scores, not measures: one that they have never heard of is everywhere, and none is named."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

import reprozoo.report
from reprozoo.measures.library import classes
from reprozoo.report.files import scores_csv, to_json
from reprozoo.report.html import notebook_html, report_html
from reprozoo.report.terminal import print_result
from tests.report.runs import Runs

FOLDER = Path(reprozoo.report.__file__).parent
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".py", ".html", ".js", ".css"))
# The first version's documents name its two scores, and only the module that reads them may.
FREE = [path for path in FILES if path.name != "schema1.py"]
NAMES = {kind.name for kind in classes()} | {s.name for kind in classes() for s in kind.scores} | {"misfit"}
TITLES = {s.title for kind in classes() for s in kind.scores if s.title} | {kind.title for kind in classes()}


def named(text: str) -> set[str]:
    """The measures and scores that a text names, by name or by title."""
    words = {*NAMES, *TITLES}
    return {word for word in words if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text, re.IGNORECASE)}


@pytest.mark.parametrize("path", FREE, ids=lambda path: path.name)
def test_no_measure_is_named(path: Path) -> None:
    assert named(path.read_text()) == set()


def test_the_check_sees_names_and_titles() -> None:
    assert named("if score.name == 'rp':") == {"rp", "RP"}
    assert "PSNR" in named("the PSNR of both")
    assert {"rp", "gl", "mae", "pfd", "psnr", "mean_abs", "similarity"} <= NAMES


def test_a_measure_of_a_stranger_is_on_the_terminal(runs: Runs) -> None:
    console = Console(width=160, file=io.StringIO(), highlight=False)
    print_result(runs.pearson, console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "correlated[>0.9r]" in text
    for column, values in (("correlation", 2), ("floor", 1)):
        assert text.count(column) >= values
    (same,) = runs.pearson.select(measure="pearson", pairing="same", a="a", b="b")
    for m in runs.pearson.select(measure="pearson"):
        assert f"{m.score('pearson').value:.4f}" in text
    for condition in same.conditions:
        assert f"{next(s for s in condition.scores if s.name == 'pearson').value:.4f}" in text


def test_a_measure_of_a_stranger_is_in_the_files(runs: Runs) -> None:
    table = scores_csv(runs.pearson)
    document = json.loads(to_json(runs.pearson))
    own = [m for m in document["measurements"] if m["measure"] == "pearson"]
    assert {m["pairing"] for m in own} == {"same", "shuffled", "repeat"}
    assert {(m["a"], m["b"]) for m in own} >= {("a", "b"), ("a", "a"), ("theory-gaussian", "a")}
    for pairing in ("same", "shuffled", "repeat"):
        assert f"pearson,{pairing}," in table
    (same,) = (m for m in own if (m["pairing"], m["a"], m["b"]) == ("same", "a", "b"))
    assert [c["name"] for c in same["conditions"]] == ["class 0", "class 1"]
    assert [s["name"] for s in same["scores"]] == ["correlated", "pearson"]


def test_a_measure_of_a_stranger_is_on_the_page(runs: Runs) -> None:
    page = report_html(runs.pearson)
    assert "Mean correlation of two images." in page  # what it means, in the table and the glossary
    assert '<option value="pearson">correlation</option>' in page  # its histogram
    assert re.search(r'data-measure="pearson">\s*<figure><svg', page)
    assert re.search(r'<option value="\d+">correlation</option>', page)  # the grid sorts by it
    row = page[page.index("CORRELATED</abbr>") :]
    row = row[: row.index("</tr>")]
    assert row.count("<td>") == 5  # same noise, strip, shuffled, floor, baseline
    assert "a: </span>1.000" in row
    conditions = page[page.index('aria-label="Scores of each condition"') :]
    assert "mean correlation, r" in conditions[: conditions.index("</table>")]
    assert "mean correlation, r" in notebook_html(runs.pearson)


def test_a_measure_of_a_stranger_has_a_matrix(runs: Runs) -> None:
    page = report_html(runs.three)
    assert page.count('class="heat"') == len({s.name for m in runs.three.select(a="a", b="b") for s in m.scores}) - 1
