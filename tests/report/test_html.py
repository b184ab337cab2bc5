"""The page as text: complete, self-contained, and deaf to hostile names. What it does is tested in a browser."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from reprozoo.report.html import comparison_html, generalization_html
from reprozoo.report.provenance import command_of
from tests.report import made_results as made

HOSTILE = "<script>alert('id')</script>\"'&{{ 7 * 7 }}"
VOID = {"meta", "link", "br", "option", "line", "rect", "path", "circle"}


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


def two(**changes: object) -> made.Comparison:
    images = made.pictures(24, size=8)
    other = made.blended(images, made.pictures(24, seed=3, size=8))
    return made.comparison({"tiny-edm": images, "tiny-uvit": other}, baseline=made.blended(images, other), **changes)


def test_everything_is_on_the_page() -> None:
    page = outline(comparison_html(two(warnings=["read this first"])))
    for text in (
        "From the same noise, tiny-edm and tiny-uvit make the same image", "read this first", "rp[pixels, >0.6]",
        "Shuffled", "Noise floor", "Against theory-gaussian", "MAE score", "Every model against every other",
        "Similarity, noise by noise", "The same noises through every model", "theory-gaussian",
        "Configuration and provenance", "reprozoo compare tiny-edm tiny-uvit -n 24 --seed 0", "ef" * 32, "abab",
        "heun", "Apache-2.0",
    ):  # fmt: skip
        assert text in page.text, text


def test_nothing_comes_from_elsewhere() -> None:
    page = comparison_html(two())
    for tag, attributes in outline(page).tags:
        assert tag not in ("img", "iframe", "object", "embed", "audio", "video", "base", "form"), tag
        for name in ("src", "href", "action", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")
        assert not [name for name in attributes if name.startswith("on")]
    assert re.findall(r"url\((?!data:image/png;base64,)", page) == []
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_hostile_names_are_text() -> None:
    images = made.pictures(4, size=8)
    result = made.comparison({HOSTILE: images, "b": images}, warnings=[HOSTILE], settings={
        "threshold": 0.6, "specs": [HOSTILE, "b"], "prompt": HOSTILE,
    }, conditions={"in_turn": [{"prompt": HOSTILE}]})  # fmt: skip
    run = replace(result.models[0], description={"card": {"licence": HOSTILE}, HOSTILE: HOSTILE})
    page = comparison_html(replace(result, models=[run, result.models[1]]))
    parsed = outline(page)
    assert [attributes.get("id") for tag, attributes in parsed.tags if tag == "script"] == ["grid-data", None]
    assert HOSTILE in parsed.text
    assert "{{ 7 * 7 }}" in parsed.text
    assert "alert('id')</script>" not in page


def test_the_check_sees_a_missing_escape() -> None:
    page = comparison_html(two()).replace("<h1>", "<h1><script>alert(1)</script>")
    scripts = [attributes.get("id") for tag, attributes in outline(page).tags if tag == "script"]
    assert scripts != ["grid-data", None]


def test_several_models_fold_most_figures_away() -> None:
    images = made.pictures(8, size=8)
    names = {f"model-{k}": made.blended(images, made.pictures(8, seed=k, size=8), seed=k) for k in range(5)}
    page = outline(comparison_html(made.comparison(names)))
    assert "5 models on the same noise" in page.text
    assert "The other 4 pairs" in page.text
    assert "Against theory-gaussian" not in page.text.split("What the words mean")[0]
    cells = [attributes for tag, attributes in page.tags if tag == "td" and "--v" in (attributes.get("style") or "")]
    assert len(cells) == 3 * 20  # RP, MAE and similarity, without the diagonals


def test_a_result_read_from_a_file_has_a_page_without_images() -> None:
    page = outline(comparison_html(replace(two(), image_loader=None)))
    assert "The same noises through every model" not in page.text
    assert "Configuration and provenance" in page.text


def test_the_same_result_gives_the_same_page() -> None:
    assert comparison_html(two()) == comparison_html(two())


def test_page_of_a_generalization() -> None:
    train = made.pictures(30, size=8)
    page = outline(generalization_html(made.generalization(train[:10], train)))
    for text in (
        "tiny-edm against its training set",
        "GL score",
        "GL of training images",
        "Memorization",
        "nearest training image",
        "cifar10",
    ):
        assert text in page.text
    assert "reprozoo generalize tiny-edm --data cifar10 -n 10 --seed 0 --threshold 0.6" in page.text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"specs": ["a b", "c"], "num_samples": 5, "seed": 2}, "reprozoo compare 'a b' c -n 5 --seed 2"),
        ({"specs": ["a", "b"], "noise_file": "n.npy", "batch_size": None}, "reprozoo compare a b --noise n.npy"),
        ({"specs": ["a", "b"], "seed": 0, "threshold": 0.4}, "reprozoo compare a b --seed 0 --threshold 0.4"),
        ({"specs": ["a", "b"], "seed": 0, "threshold": 1 / 3}, f"reprozoo compare a b --seed 0 --threshold {1 / 3!r}"),
        ({"specs": ["a", "b"], "seed": None}, ""),  # noise of one's own
    ],
)
def test_command_of_a_comparison(changes: dict[str, object], expected: str) -> None:
    assert command_of(two(settings=changes)) == expected


def test_a_page_without_a_command_says_so() -> None:
    page = outline(comparison_html(two(settings={"specs": ["a", "b"], "seed": None, "threshold": 0.6})))
    assert "No command makes the report again" in page.text
    assert "This command makes" not in page.text


def test_command_names_class_labels_and_baselines() -> None:
    result = two(
        settings={"specs": ["a", "b"], "seed": 0, "automatic_baselines": False},
        conditions={"in_turn": [{"class_label": 3}, {"class_label": 5}]},
    )
    assert command_of(result) == "reprozoo compare a b --seed 0 --class 3,5 --baseline theory-gaussian"
    assert command_of(replace(result, baselines=[])).endswith("--no-baseline")
    by_itself = replace(result, settings=result.settings | {"automatic_baselines": True})
    assert command_of(by_itself) == "reprozoo compare a b --seed 0 --class 3,5"
    drawn = two(settings={"specs": ["a", "b"], "seed": 0}, conditions={"random_class": {"seed": 0, "num_classes": 10}})
    assert command_of(drawn) == "reprozoo compare a b --seed 0 --class random"
    assert command_of(replace(drawn, conditions={"random_class": {"seed": 7, "num_classes": 10}})) == ""
    assert shlex.split(command_of(two(noise={}, settings={"specs": ["x y", "z"], "seed": 1}))) == [
        "reprozoo", "score", "x y", "z",
    ]  # fmt: skip
