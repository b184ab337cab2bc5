"""Inverse problems in reports: how well each model did, and what the page and the terminal say of the problem."""

from __future__ import annotations

import io
import json
import shlex

from rich.console import Console

from reprozoo.engine.results import Comparison
from reprozoo.report import words
from reprozoo.report.gallery import comparison_gallery
from reprozoo.report.html import comparison_html
from reprozoo.report.provenance import command_of
from reprozoo.report.terminal import print_comparison
from tests.report import made_results as made


def result() -> Comparison:
    images = made.pictures(12, size=8)
    other = made.blended(images, made.pictures(12, seed=3, size=8))
    return made.observed(made.comparison({"tiny-edm": images, "tiny-uvit": other}, baseline=other))


def test_terminal_and_page_have_the_same_numbers() -> None:
    out = io.StringIO()
    print_comparison(result(), Console(file=out, width=160))
    page = comparison_html(result())
    for text in ("inpaint-4 of photo[1].png, by dps", "20.0 (11.0 – 29.0)", "2.0 (1.1 – 2.9)"):
        assert text in out.getvalue()
        assert text in page
    assert words.INVERSE_GLOSSARY["Misfit"].split("²")[0] in page.replace("&#39;", "'")
    assert "reconstruction" in page  # in the details of each model


def test_rows_of_the_gallery() -> None:
    gallery = comparison_gallery(result())
    assert gallery is not None
    assert gallery.rows == ["tiny-edm", "tiny-uvit", "theory-gaussian", "observation", "truth"]
    assert gallery.references == 3
    assert len(gallery.sheets) == 5
    assert all(column.cells[4].similarity is None for block in gallery.blocks for column in block)


def test_json_keeps_it_and_the_command_asks_for_it() -> None:
    again = Comparison.from_json(json.loads(json.dumps(result().to_json())))
    assert again.models[0].reconstruction == result().models[0].reconstruction
    assert "--inverse inpaint-4 --observation 'photo[1].png' --solver dps" in command_of(result())
    assert shlex.split(command_of(result()))


def test_without_a_problem_nothing_of_it_is_said() -> None:
    images = made.pictures(12, size=8)
    plain = made.comparison({"a": images, "b": images})
    assert words.problem(plain) == ""
    assert words.glossary(plain) == words.GLOSSARY
    assert "PSNR" not in comparison_html(plain)
