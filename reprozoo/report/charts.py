"""The report's figures as inline SVG: recorded numbers in, a string out.

Colours are CSS classes, so the page's light and dark schemes apply; every figure carries a description for those who do
not see it. Words come from this module alone, except labels and the names of measures, which are escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

from reprozoo.engine.result import Curve, Distribution, Score

SHARE_AXES = (0.04, 0.08, 0.12, 0.2, 0.4, 0.6, 0.8, 1.0)  # tops whose quarters are round numbers


@dataclass(frozen=True)
class Plot:
    """The drawing area of a figure and its scales; x has ticks every ``step``, y runs from 0 to ``top``."""

    low: float
    high: float = 1.0
    step: float = 0.2
    top: float = 1.0
    width: int = 460
    height: int = 210
    left: int = 40
    right: int = 12
    above: int = 22
    below: int = 36

    def x(self, value: float) -> float:
        return self.left + (value - self.low) / (self.high - self.low) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        return self.height - self.below - value / self.top * (self.height - self.above - self.below)


def histogram(
    same: Distribution, baseline: Distribution | None, *, name: str, threshold: float | None, sign: str, label: str
) -> Markup:
    """How values are spread, as bars, against their baseline, as an outline.

    Args:
        same: of the pair on the same noise.
        baseline: the same on shuffled noise, where there is one.
        name: of the measure, with its unit.
        threshold: drawn as a line, with its ``sign``; None for none.
        label: what the pair is called.
    """
    shown = [d for d in (same, baseline) if d is not None]
    shares = [_shares(d) for d in shown]
    largest = max(share for series in shares for _, _, share in series)
    low, high, step = axis(shown, threshold)
    plot = Plot(low, high, step, top=next((top for top in SHARE_AXES if largest <= top), 1.0))
    bars = [
        f'<rect class="same" x="{plot.x(max(a, low)) + 0.5:.1f}" y="{plot.y(share):.1f}" '
        f'width="{max(plot.x(min(b, high)) - plot.x(max(a, low)) - 1, 0.5):.1f}" '
        f'height="{plot.y(0) - plot.y(share):.1f}"/>'
        for a, b, share in shares[0]
        if share > 0 and b > low and a < high
    ]
    parts = [_axes(plot, "share", name), *bars]
    description = f"Histogram of {name}, median {same.median:.4g}"
    if baseline is not None:
        parts.append(f'<path class="shuffled" d="{_outline(plot, shares[1])}"/>')
        description += f"; its baseline has median {baseline.median:.4g}"
    if threshold is not None:
        parts.append(_threshold(plot, threshold, sign))
        description += f". Threshold {threshold:.3g}"
    return _figure(plot, f"{label}. {description}.", parts)


def threshold_curve(
    same: Curve, baseline: Curve | None, *, score: Score, sign: str, name: str, label: str
) -> Markup:  # fmt: skip
    """A share as a function of the threshold that defines it.

    Args:
        same: of the pair on the same noise.
        baseline: the same on shuffled noise, where there is one.
        score: the point that tables quote.
        sign: of what the share counts.
        name: of the measure, with its unit.
        label: what the pair is called.
    """
    low, high = same.thresholds[0], same.thresholds[-1]
    plot = Plot(low, high, nice_step((high - low) / 5))
    parts = [_axes(plot, f"share {'below' if sign == '<' else 'above'}", f"threshold of {name}")]
    description = f"{label}. Share at each threshold of {name}"
    if baseline is not None:
        parts.append(f'<path class="shuffled line" d="{_line(plot, baseline)}"/>')
    parts.append(f'<path class="same line" d="{_line(plot, same)}"/>')
    if score.threshold is not None:
        share = 1 - score.value if sign == "≤" else score.value
        parts.insert(1, _threshold(plot, score.threshold, sign))
        point = plot.x(score.threshold), plot.y(share)
        parts.append(f'<circle class="same point" cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="3.5"/>')
        description += f"; {share:.3f} at {score.threshold:.3g}"
    return _figure(plot, f"{description}.", parts)


def strip(score: Score, marks: Sequence[tuple[str, float]], *, label: str) -> Markup:
    """A share with its interval as a dot and a whisker, and baselines as ticks: (CSS class, value)."""
    plot = Plot(low=0.0, width=240, height=30, left=6, right=6, above=0, below=0)
    middle = plot.height / 2
    spans = {"noise-floor": (3, middle), "baseline": (middle, plot.height - 3)}  # above and below: they often coincide
    parts = [f'<line class="axis" x1="{plot.x(0):.1f}" x2="{plot.x(1):.1f}" y1="{middle}" y2="{middle}"/>']
    parts += [
        f'<line class="tick {escape(kind)}" x1="{plot.x(v):.1f}" x2="{plot.x(v):.1f}" y1="{top}" y2="{bottom}"/>'
        for kind, v in marks
        for top, bottom in [spans.get(kind, (5, plot.height - 5))]
    ]
    low, high = (score.value if end is None else end for end in (score.low, score.high))
    parts += [
        f'<line class="whisker" x1="{plot.x(low):.1f}" x2="{plot.x(high):.1f}" y1="{middle}" y2="{middle}"/>',
        f'<circle class="same point" cx="{plot.x(score.value):.1f}" cy="{middle}" r="5"/>',
    ]
    described = "".join(f", {kind.replace('-', ' ')} {v:.3f}" for kind, v in marks)
    return _figure(plot, f"{label}: {score.value:.3f}, {low:.3f} to {high:.3f}{described}", parts, kind="strip")


def axis(shown: Iterable[Distribution], threshold: float | None) -> tuple[float, float, float]:
    """Where an axis of values begins and ends, and the step of its ticks; all values, 0 and the threshold are on it."""
    shown = list(shown)
    edges = shown[0].edges
    marks = [*([0.0] if edges[0] <= 0 <= edges[-1] else []), *([threshold] if threshold is not None else [])]
    low = max(edges[0], min([*(d.quantiles["0"] for d in shown), *marks]))
    high = min(edges[-1], max([*(d.quantiles["1"] for d in shown), *marks]))
    if high <= low:
        low, high = edges[0], edges[-1]
    step = nice_step((high - low) / 5)
    return max(edges[0], floor(low / step + 1e-9) * step), min(edges[-1], ceil(high / step - 1e-9) * step), step


def nice_step(width: float) -> float:
    """1, 2 or 5 times a power of ten, at least ``width`` but for rounding."""
    power: float = 10.0 ** floor(log10(width))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width * 0.999)


def _figure(plot: Plot, description: str, parts: Sequence[str], *, kind: str = "chart") -> Markup:
    head = (
        f'<svg class="{kind}" viewBox="0 0 {plot.width} {plot.height}" role="img" aria-label="{escape(description)}">'
    )
    return Markup(head + "".join(parts) + "</svg>")  # every label above is escaped, every number formatted


def _axes(plot: Plot, y_label: str, x_label: str) -> str:
    parts = []
    for quarter in range(5):
        value = plot.top * quarter / 4
        y = plot.y(value)
        parts.append(f'<line class="grid" x1="{plot.left}" x2="{plot.width - plot.right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="y" x="{plot.left - 6}" y="{y + 3.5:.1f}">{value:.0%}</text>')
    for tick in range(ceil(plot.low / plot.step - 1e-9), floor(plot.high / plot.step + 1e-9) + 1):
        value = tick * plot.step
        parts.append(f'<text class="x" x="{plot.x(value):.1f}" y="{plot.height - plot.below + 15}">{value:.6g}</text>')
    middle = (plot.left + plot.width - plot.right) / 2
    parts.append(f'<text class="x name" x="{middle:.1f}" y="{plot.height - 4}">{escape(x_label)}</text>')
    parts.append(f'<text class="name" x="2" y="10">{escape(y_label)}</text>')
    return "".join(parts)


def _threshold(plot: Plot, threshold: float, sign: str) -> str:
    x = plot.x(threshold)
    before = x > plot.width / 3  # room for its name on the left
    return (
        f'<line class="threshold" x1="{x:.1f}" x2="{x:.1f}" y1="{plot.above - 8}" y2="{plot.y(0):.1f}"/>'
        f'<text class="threshold-name{"" if before else " after"}" x="{x + (-5 if before else 5):.1f}" '
        f'y="{plot.above - 9}">{escape(sign.replace("≤", ">"))} {threshold:.3g}</text>'
    )


def _shares(distribution: Distribution) -> list[tuple[float, float, float]]:
    """(left edge, right edge, share of all) of each bin."""
    total = max(sum(distribution.histogram), 1)
    edges = distribution.edges
    return [(a, b, n / total) for a, b, n in zip(edges, edges[1:], distribution.histogram, strict=False)]


def _outline(plot: Plot, shares: Sequence[tuple[float, float, float]]) -> str:
    inside = [(max(a, plot.low), min(b, plot.high), share) for a, b, share in shares if a < plot.high and b > plot.low]
    points = [f"M{plot.x(inside[0][0]):.1f},{plot.y(0):.1f}"]
    points += [f"V{plot.y(share):.1f}H{plot.x(b):.1f}" for _, b, share in inside]
    return "".join(points) + f"V{plot.y(0):.1f}Z"


def _line(plot: Plot, curve: Curve) -> str:
    inside = [(t, s) for t, s in zip(curve.thresholds, curve.shares, strict=True) if plot.low <= t <= plot.high]
    return "M" + "L".join(f"{plot.x(t):.1f},{plot.y(s):.1f}" for t, s in inside)
