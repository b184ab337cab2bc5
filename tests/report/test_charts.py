"""Figures: well-formed SVG whose marks stand where the numbers say."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import Markup

from reprozoo.engine.result import Curve, Distribution, Score
from reprozoo.measures.summaries import histogram, quantiles, share_curve
from reprozoo.report import charts

EDGES = tuple(-1 + i / 20 for i in range(41))
AXIS: dict[str, Any] = {"name": "depth, m", "sign": ">"}


def spread(*values: float, edges: tuple[float, ...] = EDGES) -> Distribution:
    """The summary of values as the engine records it."""
    array = np.array(values)
    return Distribution(float(array.mean()), float(array.std()), quantiles(array), list(edges), histogram(array, edges))


def share(value: float, low: float, high: float, threshold: float = 0.6) -> Score:
    return Score("s", "s[>0.6]", "S", value, low, high, 100, round(value * 100), "share_above", threshold)


def parsed(figure: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(str(figure))


def by_class(figure: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in figure.iter() if name in element.get("class", "").split()]


def test_histogram_draws_every_share_and_the_threshold() -> None:
    same, other = spread(0.9, 0.9, 0.9, 0.1), spread(0.0, 0.02, 0.1, 0.1)
    figure = parsed(charts.histogram(same, other, threshold=0.6, label="a and b", **AXIS))
    bars = sorted(by_class(figure, "same"), key=lambda bar: float(bar.get("x", "")))
    heights = [float(bar.get("height", "")) for bar in bars]
    assert heights[1] / heights[0] == pytest.approx(3, rel=0.01)  # drawn to a tenth of a pixel
    (line,) = by_class(figure, "threshold")
    assert float(bars[0].get("x", "")) < float(line.get("x1", "")) < float(bars[1].get("x", ""))
    assert len(by_class(figure, "shuffled")) == 1
    label = figure.get("aria-label", "")
    assert label == "a and b. Histogram of depth, m, median 0.9; its baseline has median 0.06. Threshold 0.6."


def test_histogram_without_baseline_or_threshold() -> None:
    figure = parsed(charts.histogram(spread(0.5), None, threshold=None, label="a", **AXIS))
    assert by_class(figure, "shuffled") == by_class(figure, "threshold") == []


@pytest.mark.parametrize("edges", [EDGES, (0.0, 2.0, 4.0, 100.0), (-5.0, -4.0, -1.0)])
@pytest.mark.parametrize("values", [[-1.0, 1.0], [1.0], [-1.0], [0.6, 0.6], [0.0], [1e-9, 2e-9], [-300.0, 300.0]])
def test_nothing_is_drawn_outside(values: list[float], edges: tuple[float, ...]) -> None:
    distribution = spread(*values, edges=edges)
    figure = parsed(charts.histogram(distribution, distribution, threshold=None, label="edge", **AXIS))
    _, _, width, height = map(float, figure.get("viewBox", "").split())
    for bar in by_class(figure, "same"):
        assert 0 <= float(bar.get("x", "")) <= width - float(bar.get("width", ""))
        assert 0 <= float(bar.get("y", "")) <= height - float(bar.get("height", ""))
    numbers = [float(n) for path in by_class(figure, "shuffled") for n in re.findall(r"[\d.]+", path.get("d", ""))]
    assert max(numbers) <= width
    assert 1 < len([text for text in by_class(figure, "x") if text.text]) <= 13


@pytest.mark.parametrize(
    ("values", "threshold", "ends"),
    [
        ((0.2, 0.85), 0.6, (0.0, 1.0, 0.2)),
        ((-0.3, 0.5), 0.6, (-0.4, 0.6, 0.2)),
        ((0.0, 0.01), None, (0.0, 0.01, 0.002)),
    ],
)
def test_an_axis_has_all_values_zero_and_the_threshold(
    values: tuple[float, ...], threshold: float | None, ends: tuple[float, ...]
) -> None:
    assert charts.axis([spread(*values)], threshold) == pytest.approx(ends)


@pytest.mark.parametrize(("width", "step"), [(0.2, 0.2), (0.21, 0.5), (3, 5), (51, 100), (1e-7, 1e-7)])
def test_steps_are_round(width: float, step: float) -> None:
    assert charts.nice_step(width) == pytest.approx(step)


def test_curve_marks_the_score() -> None:
    at = [i / 100 for i in range(101)]
    curve = Curve(at, share_curve(np.array([0.2, 0.7, 0.8, 0.9]), at, above=True))
    figure = parsed(charts.threshold_curve(curve, curve, score=share(0.75, 0.3, 0.95), label="a and b", **AXIS))
    (point,) = by_class(figure, "point")
    (line,) = by_class(figure, "threshold")
    assert point.get("cx") == line.get("x1")
    plot = charts.Plot(low=0.0)
    assert float(point.get("cy", "")) == pytest.approx(plot.y(0.75), abs=0.06)  # drawn to a tenth of a pixel
    assert "0.750 at 0.6" in figure.get("aria-label", "")


def test_strip_orders_its_marks() -> None:
    score = share(0.8, 0.711, 0.867)
    figure = parsed(charts.strip(score, [("shuffled", 0.0), ("noise-floor", 1.0)], label="S"))
    (point,), (whisker,) = by_class(figure, "point"), by_class(figure, "whisker")
    shuffled, floor = by_class(figure, "tick")
    places = [shuffled.get("x1"), whisker.get("x1"), point.get("cx"), whisker.get("x2"), floor.get("x1")]
    assert places == sorted(places, key=lambda place: float(place or "nan"))
    assert figure.get("aria-label") == "S: 0.800, 0.711 to 0.867, shuffled 0.000, noise floor 1.000"


def test_labels_and_names_are_escaped() -> None:
    hostile = '"><script>alert(1)</script>'
    figure = charts.histogram(spread(0.5), None, threshold=0.6, label=hostile, name=hostile, sign=hostile)
    assert "<script" not in figure
    assert hostile in parsed(figure).get("aria-label", "")
