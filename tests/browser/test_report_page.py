"""The report in headless Chromium: it opens from a file, sorts, prints, and asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reprozoo.report.files import write_comparison, write_generalization
from tests.browser.devtools import Browser, find_chromium
from tests.report import made_results as made

CHROMIUM = find_chromium()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install one, or name it in REPROZOO_CHROMIUM"),
]

HOSTILE = "<script>document.title='owned'</script>"
FIRST_BLOCK = (
    "Array.from(document.querySelectorAll('#grid table')[0].rows[{row}].cells).slice(1).map(c => c.textContent.trim())"
)
ALL_INDICES = "Array.from(document.querySelectorAll('#grid thead th')).map(c => Number(c.textContent.slice(1)))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert CHROMIUM is not None
    with Browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    images = made.pictures(37, size=32)
    near = made.blended(images, made.pictures(37, seed=5, size=32))
    far = made.blended(images, made.pictures(37, seed=6, size=32), seed=4)
    return {
        "two": made.comparison({"tiny-edm": images, "tiny-uvit": near}, warnings=["one warning"]),
        "three": made.comparison(
            {"tiny-edm": images, "tiny-uvit": near, HOSTILE: far}, baseline=far, warnings=[HOSTILE]
        ),
        "observed": made.observed(made.comparison({"tiny-edm": images, "tiny-uvit": near}, baseline=far)),
        "generalize": made.generalization(images[:8], images),
    }


@pytest.fixture(scope="module")
def pages(results: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, result in results.items():
        write = write_generalization if name == "generalize" else write_comparison
        write(result, folder / name)
    return {name: folder / name / "report.html" for name in results}


@pytest.fixture
def opened(browser: Browser, pages: dict[str, Path], request: pytest.FixtureRequest) -> Browser:
    """The page that the test's parameter names, freshly opened."""
    browser.console.clear()
    browser.requests.clear()
    browser.open(pages[request.param].as_uri())
    return browser


def choose(browser: Browser, control: str, value: str) -> None:
    """Choose an option as a person would: with its event."""
    browser.evaluate(
        f"(() => {{ const s = document.getElementById('{control}'); s.value = '{value}';"
        " s.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


@pytest.mark.parametrize("opened", ["two", "three", "observed", "generalize"], indirect=True)
def test_opens_without_errors_and_without_a_network(opened: Browser, pages: dict[str, Path]) -> None:
    assert opened.console == []
    elsewhere = [url for url in opened.requests if not url.startswith(("file:", "data:"))]
    assert elsewhere == []
    assert sum(url.startswith("file:") for url in opened.requests) == 1


def test_the_checks_see_errors_and_requests(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<script>console.error('seen'); fetch('http://127.0.0.1:9/').catch(() => 0)</script>")
    browser.console.clear()
    browser.requests.clear()
    browser.open(page.as_uri())
    browser.evaluate("new Promise(done => setTimeout(done, 200))")  # the failed request is reported late
    assert any("seen" in message for message in browser.console)
    assert any(url.startswith("http:") for url in browser.requests)


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_sorts_by_similarity_and_by_index(opened: Browser, results: dict[str, Any]) -> None:
    similarities = results["two"].pairs[0].similarities.tolist()
    least_first = sorted(range(37), key=lambda index: similarities[index])
    assert opened.evaluate(ALL_INDICES) == least_first
    choose(opened, "order", "most")
    assert opened.evaluate(ALL_INDICES) == least_first[::-1]
    choose(opened, "order", "index")
    assert opened.evaluate(ALL_INDICES) == list(range(37))
    values = opened.evaluate(FIRST_BLOCK.format(row=2))
    assert values == [f"{value:.3f}" for value in similarities[:10]]
    assert "index of the noise" in opened.evaluate("document.getElementById('grid-status').textContent")
    assert opened.console == []


@pytest.mark.parametrize("opened", ["three"], indirect=True)
def test_similarity_to_another_model(opened: Browser, results: dict[str, Any]) -> None:
    assert opened.evaluate("document.getElementById('reference').options.length") == 4
    choose(opened, "reference", "1")
    choose(opened, "order", "index")
    to_first = results["three"].pair("tiny-edm", "tiny-uvit").similarities[:10]
    to_gaussian = results["three"].pair("theory-gaussian", "tiny-uvit").similarities[:10]
    assert opened.evaluate(FIRST_BLOCK.format(row=1)) == [f"{value:.3f}" for value in to_first]
    assert opened.evaluate(FIRST_BLOCK.format(row=2)) == [""] * 10
    assert opened.evaluate(FIRST_BLOCK.format(row=4)) == [f"{value:.3f}" for value in to_gaussian]
    above = "document.querySelectorAll('#grid tbody tr:nth-child(1) .value.above').length"
    assert opened.evaluate(above) == results["three"].pair("tiny-edm", "tiny-uvit").rp.successes


@pytest.mark.parametrize("opened", ["observed"], indirect=True)
def test_truth_and_observation_are_shown_and_are_no_reference(opened: Browser) -> None:
    heads = opened.evaluate(
        "Array.from(document.querySelector('#grid tbody').rows).map(row => row.cells[0].firstChild.textContent)"
    )
    assert heads == ["tiny-edm", "tiny-uvit", "theory-gaussian", "observation", "truth"]
    names = opened.evaluate("Array.from(document.getElementById('reference').options).map(o => o.textContent)")
    assert names == heads[:3]
    assert opened.evaluate(FIRST_BLOCK.format(row=5)) == [""] * 10
    choose(opened, "reference", "2")
    assert opened.evaluate(FIRST_BLOCK.format(row=4)) == [""] * 10
    assert opened.console == []


@pytest.mark.parametrize("opened", ["three"], indirect=True)
def test_hostile_names_do_nothing(opened: Browser) -> None:
    assert opened.evaluate("document.title") == "3 models on the same noise · reprozoo"
    assert HOSTILE in opened.evaluate("document.body.textContent")


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_the_policy_stops_scripts_that_are_not_the_page_s(opened: Browser) -> None:
    opened.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    opened.evaluate("new Promise(done => setTimeout(done, 50))")
    assert opened.evaluate("document.title") == "tiny-edm × tiny-uvit · reprozoo"


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_tiles_show_pixels_as_they_are(opened: Browser) -> None:
    style = "getComputedStyle(document.querySelector('.tile'))"
    assert opened.evaluate(f"{style}.imageRendering") == "pixelated"
    assert opened.evaluate(f"{style}.backgroundImage.startsWith('url(\"data:image/png')")
    size = opened.evaluate(
        "new Promise(done => { const i = new Image(); i.onload = () => done([i.naturalWidth, i.naturalHeight]);"
        f" i.src = {style}.backgroundImage.slice(5, -2); }})"
    )
    assert size == [320, 128]


@pytest.mark.parametrize("opened", ["two", "three", "observed", "generalize"], indirect=True)
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
    opened.evaluate("document.getElementById('order').focus()")
    opened.press("ArrowDown")
    assert opened.evaluate("document.getElementById('order').value") == "most"
    summary = "document.querySelector('summary')"
    opened.evaluate(f"{summary}.focus()")
    opened.press("Enter", text="\r")
    assert opened.evaluate(f"{summary}.parentElement.open") is True


@pytest.mark.parametrize("opened", ["three"], indirect=True)
def test_narrow_screens_scroll_only_inside(opened: Browser) -> None:
    opened.resize(390, 800)
    try:
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        opened.resize(1280, 900)


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_dark_where_the_reader_prefers_it_and_never_in_print(opened: Browser) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = opened.evaluate(background)
    try:
        opened.emulate(prefers_color_scheme="dark")
        assert opened.evaluate(background) != light
        opened.emulate(media="print", prefers_color_scheme="dark")
        assert opened.evaluate(background) == light
    finally:
        opened.emulate()


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_prints(opened: Browser, tmp_path: Path) -> None:
    opened.print_pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
