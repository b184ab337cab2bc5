"""The page as text: complete, self-contained, and deaf to hostile names. What it does is tested in a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from reprozoo.engine.result import Comparison
from reprozoo.report import figures
from reprozoo.report.html import notebook_html, report_html
from reprozoo.report.provenance import command_of
from tests.fakes import FakeRecipe
from tests.report.runs import Runs
from tests.report.test_terminal import renamed

HOSTILE = "<script>alert('id')</script>\"'&{{ 7 * 7 }}"
NAMES = ("two", "three", "hostile", "classes", "variant", "pearson", "folders", "copying", "elsewhere")
VOID = {"meta", "link", "br", "option", "line", "rect", "path", "circle", "img"}


class Outline(HTMLParser):
    """Tags, texts and links of a page; complains about tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_everything_is_on_the_page(runs: Runs) -> None:
    page = outline(report_html(replace(runs.two, warnings=["read this first"])))
    for text in (
        "From the same noise, a and b make images that count as the same", "read this first", "rp[pixels@32, >0.9]",
        "Shuffled", "Noise floor", "Against theory-gaussian", "MAE", "PSNR", "mean |Δ|", "PFD", "Noise by noise",
        "The same noises through every model", "Configuration and provenance",
        "reprozoo compare a b -n 37 --descriptor pixels --baseline theory-gaussian --noise-floor 8 --device cpu",
        runs.two.models[0].images_sha256, runs.two.noise["sha256"], "bit-equal",
    ):  # fmt: skip
        assert text in page.text, text
    for score in {score.title for m in runs.two.select(a="a", b="b") for score in m.scores}:
        assert score in page.text


@pytest.mark.parametrize("name", NAMES)
def test_nothing_comes_from_elsewhere(runs: Runs, name: str) -> None:
    page = report_html(getattr(runs, name))
    for tag, attributes in outline(page).tags:
        assert tag not in ("img", "iframe", "object", "embed", "audio", "video", "base", "form"), tag
        for attribute in ("src", "href", "action", "data"):
            assert (attributes.get(attribute) or "data:").startswith("data:")
        assert not [attribute for attribute in attributes if attribute.startswith("on")]
    assert re.findall(r"url\((?!data:image/png;base64,)", page) == []
    assert "@import" not in page
    assert "default-src 'none'" in page


def hostile(runs: Runs) -> Comparison:
    result = renamed(runs.classes, {"a": HOSTILE})
    sides = [replace(side, facts={"card": {"licence": HOSTILE}, HOSTILE: HOSTILE}) for side in result.sides]
    measures = [replace(facts, title=HOSTILE, unit=HOSTILE, meaning=HOSTILE) for facts in result.measures]
    named = [replace(m, conditions=[replace(c, name=HOSTILE) for c in m.conditions]) for m in result.measurements]
    return replace(
        result, sides=sides, measures=measures, measurements=named, warnings=[HOSTILE],
        conditions={"in_turn": [{"prompt": HOSTILE}]}, question=result.question | {"prompts": [HOSTILE]},
    )  # fmt: skip


def test_hostile_names_are_text(runs: Runs) -> None:
    page = report_html(hostile(runs))
    parsed = outline(page)
    assert [attributes.get("class") for tag, attributes in parsed.tags if tag == "script"] == ["grid-data", None]
    assert HOSTILE in parsed.text
    assert "{{ 7 * 7 }}" in parsed.text
    assert "alert('id')</script>" not in page
    assert "alert('id')</script>" not in notebook_html(hostile(runs))


def test_names_lose_what_turns_or_moves_text(runs: Runs) -> None:
    bad = "x\x1b[2Jy\x00z\u202eq\u2066"
    result = replace(renamed(runs.two, {"a": bad}), warnings=[bad])
    for page in (report_html(result), notebook_html(result)):
        assert "x\ufffd[2Jy\ufffdz\ufffdq\ufffd" in page
        assert {c for c in page if c in "\x00\x1b\u202e\u2066"} == set()


def test_the_check_sees_a_missing_escape(runs: Runs) -> None:
    page = report_html(runs.two).replace("<h1>", "<h1><script>alert(1)</script>")
    scripts = [attributes.get("class") for tag, attributes in outline(page).tags if tag == "script"]
    assert scripts != ["grid-data", None]


def test_several_models_fold_most_figures_away(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    result = runs.compare(*(FakeRecipe(f"model-{k}", weights=k) for k in range(5)), num_samples=8, baselines=[])
    page = outline(report_html(result))
    assert "5 models on the same noise" in page.text
    assert "The other 4 pairs" in page.text
    assert "Against" not in page.text.split("What the words mean")[0]
    cells = [attributes for tag, attributes in page.tags if tag == "td" and "--v" in (attributes.get("style") or "")]
    assert len(cells) == 20 * len(matrix_columns(result))
    monkeypatch.setattr(figures, "MOST_FIGURES", 3)
    assert "7 pairs that are closer have no figures here" in outline(report_html(result)).text


def matrix_columns(result: Comparison) -> list[Any]:
    from reprozoo.report.findings import Findings
    from reprozoo.report.matrices import MOST_MATRICES

    return Findings(result).columns[:MOST_MATRICES]


def test_twenty_models_and_many_noises_make_a_page_of_a_reasonable_size(runs: Runs) -> None:
    result = runs.compare(
        *(FakeRecipe(f"m{k}", weights=k, same=0.5 + 0.02 * k) for k in range(20)), num_samples=150, baselines=[],
        noise_floor=0,
    )  # fmt: skip
    page = report_html(result)
    assert len(page) < 8_000_000
    assert page.count("<h3>") == figures.MOST_FIGURES


def test_conditions_are_listed_up_to_a_limit(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "3 conditions, those that differ most first" in outline(report_html(runs.classes)).text
    monkeypatch.setattr(figures, "MOST_CONDITIONS", 2)
    assert "2 conditions, those that differ most first" in outline(report_html(runs.classes)).text


def test_a_result_read_from_a_file_has_a_page_without_images(runs: Runs) -> None:
    page = outline(report_html(replace(runs.two, image_loader=None)))
    assert "The same noises through every model" not in page.text
    assert "Configuration and provenance" in page.text


@pytest.mark.parametrize("name", ["two", "copying"])
def test_the_same_result_gives_the_same_page(runs: Runs, name: str) -> None:
    assert report_html(getattr(runs, name)) == report_html(getattr(runs, name))


def test_page_of_a_search(runs: Runs) -> None:
    page = outline(report_html(runs.copying))
    for text in (
        "a against its training images", "GL", "Among themselves", "memorization", "Nearest images",
        "Generated images and the nearest images", "nearest of the 35 training images",
    ):  # fmt: skip
        assert text in page.text, text
    other = outline(report_html(runs.elsewhere)).text
    assert "a against 15 images" in other
    assert "training images themselves" not in other


def test_a_page_without_a_command_says_so(runs: Runs) -> None:
    objects = replace(runs.two, question=runs.two.question | {"objects": ["sides"]})
    page = outline(report_html(objects))
    assert "it was asked from Python, about objects" in page.text
    assert "This command makes" not in page.text
    merged = replace(runs.two, question=runs.two.question | {"merged": []})
    assert "it was merged from several runs" in outline(report_html(merged)).text


def test_the_command_is_that_of_the_question(runs: Runs) -> None:
    assert command_of(runs.classes)[0].endswith(
        "--class 0-2 --descriptor pixels --baseline theory-gaussian --noise-floor 8 --device cpu"
    )
    assert command_of(replace(runs.two, question={"objects": ["noise"], **runs.two.question})) == ("", True)
    assert command_of(replace(runs.two, question={"task": "of another version"})) == ("", False)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_verdict_scores_and_images(runs: Runs, name: str) -> None:
    result = getattr(runs, name)
    text = notebook_html(result)
    assert outline(text).text.strip()
    assert text.count("data:image/png;base64,") >= 2
    assert "<script" not in text
    assert result._repr_html_() == text
    assert len(text) < 400_000
