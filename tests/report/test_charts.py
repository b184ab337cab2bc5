"""Figures: well-formed SVG whose marks stand where the numbers say."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup

from reprozoo.report import charts
from tests.report import made_results as made


def parsed(figure: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(str(figure))


def by_class(figure: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in figure.iter() if name in element.get("class", "").split()]


def test_histogram_draws_every_share_and_the_threshold() -> None:
    same, other = made.distribution(np.array([0.9, 0.9, 0.9, 0.1])), made.distribution(np.array([0.0, 0.02, 0.1, 0.1]))
    figure = parsed(charts.histogram(same, other, threshold=0.6, label="a and b"))
    bars = sorted(by_class(figure, "same"), key=lambda bar: float(bar.get("x", "")))
    heights = [float(bar.get("height", "")) for bar in bars]
    assert heights[1] / heights[0] == pytest.approx(3, rel=0.01)  # drawn to a tenth of a pixel
    (line,) = by_class(figure, "threshold")
    assert float(bars[0].get("x", "")) < float(line.get("x1", "")) < float(bars[1].get("x", ""))
    assert len(by_class(figure, "shuffled")) == 1
    assert "median 0.900; its baseline has median 0.060" in figure.get("aria-label", "")


def test_histogram_without_baseline() -> None:
    figure = parsed(charts.histogram(made.distribution(np.array([0.5])), None, threshold=0.6, label="a"))
    assert by_class(figure, "shuffled") == []


@pytest.mark.parametrize("values", [[-1.0, 1.0], [1.0], [-1.0], [0.6, 0.6]])
def test_nothing_is_drawn_outside(values: list[float]) -> None:
    distribution = made.distribution(np.array(values))
    figure = parsed(charts.histogram(distribution, distribution, threshold=0.6, label="edge"))
    _, _, width, height = map(float, figure.get("viewBox", "").split())
    for bar in by_class(figure, "same"):
        assert 0 <= float(bar.get("x", "")) <= width - float(bar.get("width", ""))
        assert 0 <= float(bar.get("y", "")) <= height - float(bar.get("height", ""))
    numbers = [float(n) for path in by_class(figure, "shuffled") for n in re.findall(r"[\d.]+", path.get("d", ""))]
    assert max(numbers) <= width


def test_curve_marks_the_score() -> None:
    curve = made.curve(np.array([0.2, 0.7, 0.8, 0.9]))
    figure = parsed(charts.threshold_curve(curve, curve, threshold=0.6, score=0.75, label="a and b"))
    (point,) = by_class(figure, "point")
    (line,) = by_class(figure, "threshold")
    assert point.get("cx") == line.get("x1")
    plot = charts.Plot(low=0.0)
    assert float(point.get("cy", "")) == pytest.approx(plot.y(0.75), abs=0.06)  # drawn to a tenth of a pixel
    assert "0.750 above 0.6" in figure.get("aria-label", "")


def test_strip_orders_its_marks() -> None:
    score = made.proportion(np.array([True] * 80 + [False] * 20))
    figure = parsed(charts.strip(score, [("shuffled", 0.0), ("noise-floor", 1.0)], label="RP score"))
    (point,), (whisker,) = by_class(figure, "point"), by_class(figure, "whisker")
    shuffled, floor = by_class(figure, "tick")
    places = [shuffled.get("x1"), whisker.get("x1"), point.get("cx"), whisker.get("x2"), floor.get("x1")]
    assert places == sorted(places, key=lambda place: float(place or "nan"))
    assert figure.get("aria-label") == "RP score: 0.800, 0.711 to 0.867, shuffled 0.000, noise floor 1.000"


def test_labels_are_escaped() -> None:
    hostile = '"><script>alert(1)</script>'
    figure = charts.histogram(made.distribution(np.array([0.5])), None, threshold=0.6, label=hostile)
    assert "<script" not in figure
    assert hostile in parsed(figure).get("aria-label", "")
