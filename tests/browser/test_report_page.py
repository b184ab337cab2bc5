"""The report in headless Chromium: it opens from a file, sorts, prints, and asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reprozoo.engine.result import Comparison
from reprozoo.report.files import write_result
from tests.browser.chromium import Browser, browser, find_chromium
from tests.report.runs import HOSTILE, Runs
from tests.report.test_terminal import renamed

CHROMIUM = find_chromium()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install one, or name it in REPROZOO_CHROMIUM"),
]

EVERY = ["two", "three", "hostile", "observed", "classes", "pearson", "folders", "copying"]
CELLS = "Array.from(document.querySelectorAll('.grid table')[0].rows[{row}].cells).slice(1)"
TEXTS = f"{CELLS}.map(c => c.textContent.trim())"
ALL_INDICES = "Array.from(document.querySelectorAll('.grid thead th')).map(c => Number(c.textContent.slice(1)))"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    assert CHROMIUM is not None
    with browser(CHROMIUM) as page:
        yield page


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Comparison]:
    runs = Runs(tmp_path_factory.mktemp("runs"))
    return dict(runs) | {"hostile": hostile(runs), "observed": observed(runs.two)}


@pytest.fixture(scope="module")
def pages(results: dict[str, Comparison], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return {name: write_result(result, folder / name)[0] for name, result in results.items()}


@pytest.fixture
def opened(chromium: Browser, pages: dict[str, Path], request: pytest.FixtureRequest) -> Browser:
    """The page that the test's parameter names, freshly opened."""
    chromium.open(pages[request.param].as_uri())
    return chromium


def hostile(runs: Runs) -> Comparison:
    """Names, titles and prompts that would be code."""
    result = renamed(runs.hostile, {"b": HOSTILE})
    loader = runs.two.image_loader
    assert loader is not None
    return replace(
        result,
        measures=[replace(facts, title=HOSTILE, unit=HOSTILE) for facts in result.measures],
        image_loader=lambda label, indices: loader("b" if label == HOSTILE else label, indices),
    )


def observed(result: Comparison) -> Comparison:
    """The baseline as the truth of a problem."""
    sides = [replace(s, label="truth", role="reference") if s.role == "baseline" else s for s in result.sides]
    moved = [replace(m, a=m.b, b="truth") if m.a == "theory-gaussian" else m for m in result.measurements]
    loader = result.image_loader
    assert loader is not None
    return replace(
        result, sides=sides, measurements=moved, problem="inpaint-4 of a photo",
        image_loader=lambda label, indices: loader("theory-gaussian" if label == "truth" else label, indices),
    )  # fmt: skip


def values(result: Comparison, a: str, b: str, measure: str = "similarity") -> list[float]:
    (m,) = result.select(measure=measure, pairing="same", a=a, b=b)
    assert m.values is not None
    return [float(value) for value in m.values[0]]


def choose(page: Browser, control: str, value: str) -> None:
    page.page.locator(f"select.{control}").first.select_option(value)


@pytest.mark.parametrize("opened", EVERY, indirect=True)
def test_opens_without_errors_and_without_a_network(opened: Browser) -> None:
    assert opened.console == []
    elsewhere = [url for url in opened.requests if not url.startswith(("file:", "data:"))]
    assert elsewhere == []
    assert sum(url.startswith("file:") for url in opened.requests) == 1


def test_the_checks_see_errors_and_requests(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<script>console.error('seen'); fetch('http://127.0.0.1:9/').catch(() => 0); no.such</script>")
    chromium.open(page.as_uri())
    chromium.page.wait_for_timeout(200)  # the failed request is reported late
    assert any("seen" in message for message in chromium.console)
    assert any("no is not defined" in message for message in chromium.console)
    assert any(url.startswith("http:") for url in chromium.requests)


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_sorts_by_likeness_and_by_index(opened: Browser, results: dict[str, Comparison]) -> None:
    similarities = values(results["two"], "a", "b")
    least_first = sorted(range(37), key=lambda index: (float(f"{similarities[index]:.6g}"), index))
    assert opened.evaluate(ALL_INDICES) == least_first
    choose(opened, "order", "most")
    assert opened.evaluate(ALL_INDICES)[0] == least_first[-1]
    choose(opened, "order", "index")
    assert opened.evaluate(ALL_INDICES) == list(range(37))
    assert opened.evaluate(TEXTS.format(row=2)) == [f"{value:.3f}" for value in similarities[:10]]
    assert "index of the noise" in opened.evaluate("document.querySelector('.grid-status').textContent")
    assert opened.console == []


@pytest.mark.parametrize("opened", ["pearson"], indirect=True)
def test_sorts_by_any_measure(opened: Browser, results: dict[str, Comparison]) -> None:
    """Of those of which lower is closer, the highest come first; decimals and dots are the measure's."""
    measures = opened.evaluate("Array.from(document.querySelectorAll('select.measure option')).map(o => o.textContent)")
    for title, name, sign in (("mean |Δ|", "mean_abs", -1), ("correlation", "pearson", 1)):
        choose(opened, "measure", str(measures.index(title)))
        own = values(results["pearson"], "a", "b", name)
        order = sorted(range(24), key=lambda index: (sign * float(f"{own[index]:.6g}"), index))
        assert opened.evaluate(ALL_INDICES) == order
        decimals = results["pearson"].facts(name).decimals
        assert opened.evaluate(TEXTS.format(row=2)) == [f"{own[index]:.{decimals}f}" for index in order[:10]]
    close = "document.querySelectorAll('.grid tbody tr:nth-child(2) .value.close').length"
    assert opened.evaluate(close) == results["pearson"].score("correlated", "a", "b").successes


@pytest.mark.parametrize("opened", ["three"], indirect=True)
def test_compared_with_another_model(opened: Browser, results: dict[str, Comparison]) -> None:
    assert opened.evaluate("document.querySelector('select.reference').options.length") == 4
    choose(opened, "reference", "1")
    choose(opened, "order", "index")
    to_first = values(results["three"], "a", "b")[:10]
    to_gaussian = values(results["three"], "theory-gaussian", "b")[:10]
    assert opened.evaluate(TEXTS.format(row=1)) == [f"{value:.3f}" for value in to_first]
    assert opened.evaluate(TEXTS.format(row=2)) == [""] * 10
    assert opened.evaluate(TEXTS.format(row=4)) == [f"{value:.3f}" for value in to_gaussian]
    close = "document.querySelectorAll('.grid tbody tr:nth-child(1) .value.close').length"
    assert opened.evaluate(close) == results["three"].score("rp", "a", "b").successes


@pytest.mark.parametrize("opened", ["pearson"], indirect=True)
def test_figures_of_the_chosen_measure(opened: Browser) -> None:
    visible = "Array.from(document.querySelectorAll('.figures')).filter(f => !f.hidden).map(f => f.dataset.measure)"
    assert opened.evaluate(visible) == ["similarity[pixels@32]"]
    choose(opened, "figure-measure", "pearson")
    assert opened.evaluate(visible) == ["pearson"]
    label = "document.querySelector('.figures:not([hidden]) svg').getAttribute('aria-label')"
    assert opened.evaluate(label).startswith("a and b. Histogram of correlation, r, median")


@pytest.mark.parametrize("opened", ["observed"], indirect=True)
def test_a_truth_is_shown_and_is_no_reference(opened: Browser) -> None:
    heads = opened.evaluate(
        "Array.from(document.querySelector('.grid tbody').rows).map(row => row.cells[0].firstChild.textContent)"
    )
    assert heads == ["a", "b", "truth"]
    names = opened.evaluate("Array.from(document.querySelector('select.reference').options).map(o => o.textContent)")
    assert names == heads[:2]
    assert opened.evaluate(TEXTS.format(row=3)) == [""] * 10
    assert "inpaint-4 of a photo" in opened.evaluate("document.body.textContent")
    assert opened.console == []


@pytest.mark.parametrize("opened", ["copying"], indirect=True)
def test_generated_images_stand_over_the_nearest(opened: Browser, results: dict[str, Comparison]) -> None:
    (m,) = results["copying"].select(measure="similarity", pairing="nearest")
    assert m.values is not None
    own = m.values[0].tolist()
    least_first = sorted(range(20), key=lambda index: (float(f"{own[index]:.6g}"), index))
    assert opened.evaluate(ALL_INDICES) == least_first
    assert opened.evaluate(TEXTS.format(row=1)) == [""] * 10
    assert opened.evaluate(TEXTS.format(row=2)) == [f"{own[index]:.3f}" for index in least_first[:10]]
    assert opened.evaluate("document.querySelector('select.reference').closest('label').hidden") is True
    choose(opened, "measure", "1")
    assert opened.evaluate(TEXTS.format(row=2)) != [f"{own[index]:.3f}" for index in least_first[:10]]


@pytest.mark.parametrize("opened", ["hostile"], indirect=True)
def test_hostile_names_do_nothing(opened: Browser) -> None:
    assert opened.evaluate("document.title") == f"a × {HOSTILE} · reprozoo"
    assert HOSTILE in opened.evaluate("document.body.textContent")


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_the_policy_stops_scripts_that_are_not_the_page_s(opened: Browser) -> None:
    opened.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    opened.page.wait_for_timeout(50)
    assert opened.evaluate("document.title") == "a × b · reprozoo"


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_tiles_show_pixels_as_they_are(opened: Browser) -> None:
    style = "getComputedStyle(document.querySelector('.tile'))"
    assert opened.evaluate(f"{style}.imageRendering") == "pixelated"
    assert opened.evaluate(f"{style}.backgroundImage.startsWith('url(\"data:image/png')")
    size = opened.evaluate(
        "new Promise(done => { const i = new Image(); i.onload = () => done([i.naturalWidth, i.naturalHeight]);"
        f" i.src = {style}.backgroundImage.slice(5, -2); }})"
    )
    assert size == [80, 32]


@pytest.mark.parametrize("opened", EVERY, indirect=True)
def test_everything_has_a_name(opened: Browser) -> None:
    unnamed = opened.evaluate(
        "Array.from(document.querySelectorAll('[role=img], [role=region], select'))"
        ".filter(e => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.closest('label')))"
        ".length"
    )
    assert unnamed == 0
    assert opened.evaluate("document.documentElement.lang") == "en"
    assert opened.evaluate("document.querySelectorAll('h1').length") == 1
    ids = opened.evaluate("Array.from(document.querySelectorAll('[id]')).map(e => e.id)")
    assert len(ids) == len(set(ids))
    duds = "Array.from(document.querySelectorAll('[aria-labelledby]')).map(e => e.getAttribute('aria-labelledby'))"
    assert set(opened.evaluate(duds)) <= set(ids)


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_keyboard_alone_is_enough(opened: Browser) -> None:
    opened.evaluate("document.querySelector('select.order').focus()")
    opened.page.keyboard.press("ArrowDown")
    assert opened.evaluate("document.querySelector('select.order').value") == "most"
    summary = "document.querySelector('summary')"
    opened.evaluate(f"{summary}.focus()")
    opened.page.keyboard.press("Enter")
    assert opened.evaluate(f"{summary}.parentElement.open") is True


@pytest.mark.parametrize("opened", ["two", "three", "hostile", "classes", "copying"], indirect=True)
def test_narrow_screens_scroll_only_inside(opened: Browser) -> None:
    opened.page.set_viewport_size({"width": 390, "height": 800})
    try:
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        opened.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_dark_where_the_reader_prefers_it_and_never_in_print(opened: Browser) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = opened.evaluate(background)
    emulate: Any = opened.page.emulate_media
    try:
        emulate(color_scheme="dark")
        assert opened.evaluate(background) != light
        emulate(media="print", color_scheme="dark")
        assert opened.evaluate(background) == light
    finally:
        emulate(media="null", color_scheme="null")


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_prints(opened: Browser) -> None:
    assert opened.page.pdf().startswith(b"%PDF")
