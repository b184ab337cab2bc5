"""Wide tables of the page in headless Chromium: they fit where they can, and show that they scroll where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from reprozoo.report.html import report_html
from tests.browser.chromium import browser, find_chromium
from tests.fakes import FakeRecipe
from tests.report.runs import Runs

CHROMIUM = find_chromium()
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]
REGION = "document.querySelector('.pairs').parentElement"


def test_five_models_fit_a_common_window_and_scroll_visibly_in_a_small_one(runs: Runs, tmp_path: Path) -> None:
    recipes = [FakeRecipe(f"tiny-model-{k}", weights=k, same=0.9 - 0.03 * k) for k in range(5)]
    page = tmp_path / "report.html"
    result = runs.compare(*recipes, num_samples=12)
    page.write_text(report_html(result), encoding="utf-8")
    assert CHROMIUM is not None
    with browser(CHROMIUM, width=1300) as opened:
        opened.open(page.as_uri())
        assert opened.evaluate(f"{REGION}.scrollWidth - {REGION}.clientWidth") <= 0
        opened.page.set_viewport_size({"width": 700, "height": 800})
        assert opened.evaluate(f"{REGION}.scrollWidth - {REGION}.clientWidth") > 0
        assert "gradient" in opened.evaluate(f"getComputedStyle({REGION}).backgroundImage")
        assert opened.evaluate("document.documentElement.scrollWidth") <= 700
