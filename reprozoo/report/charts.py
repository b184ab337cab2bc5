"""The report's figures as inline SVG: recorded numbers in, a string out.

Colours are CSS classes, so the page's light and dark schemes apply; every figure carries a description for those who do
not see it. Words come from this module alone, except labels, which are escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor

from markupsafe import Markup, escape

from reprozoo.engine.results import Curve, Distribution, Proportion

SHARE_AXES = (0.04, 0.08, 0.12, 0.2, 0.4, 0.6, 0.8, 1.0)  # tops whose quarters are round numbers


@dataclass(frozen=True)
class Plot:
    """The drawing area of a figure and its scales; y runs from 0 to ``top``."""

    low: float
    high: float = 1.0
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


def histogram(same: Distribution, baseline: Distribution | None, *, threshold: float, label: str) -> Markup:
    """How the similarities are spread, as bars, against their baseline, as an outline.

    Args:
        same: of the pair on the same noise.
        baseline: the same on shuffled noise, where there is one.
        threshold: drawn as a line.
        label: what the pair is called.
    """
    shown = [d for d in (same, baseline) if d is not None]
    shares = [_shares(d) for d in shown]
    largest = max(share for series in shares for _, _, share in series)
    plot = Plot(low=similarity_domain(shown), top=next((top for top in SHARE_AXES if largest <= top), 1.0))
    bars = [
        f'<rect class="same" x="{plot.x(a) + 0.5:.1f}" y="{plot.y(share):.1f}" '
        f'width="{max(plot.x(b) - plot.x(a) - 1, 0.5):.1f}" height="{plot.y(0) - plot.y(share):.1f}"/>'
        for a, b, share in shares[0]
        if share > 0 and b > plot.low
    ]
    parts = [_axes(plot, "share", "similarity"), *bars]
    if baseline is not None:
        parts.append(f'<path class="shuffled" d="{_outline(plot, shares[1])}"/>')
    description = f"Histogram of similarity, median {same.quantiles['0.5']:.3f}"
    if baseline is not None:
        description += f"; its baseline has median {baseline.quantiles['0.5']:.3f}"
    return _figure(plot, f"{label}. {description}. Threshold {threshold:g}.", [*parts, _threshold(plot, threshold)])


def threshold_curve(same: Curve, baseline: Curve | None, *, threshold: float, score: float, label: str) -> Markup:
    """The RP score as a function of the threshold that defines it.

    Args:
        same: of the pair on the same noise.
        baseline: the same on shuffled noise, where there is one.
        threshold, score: the point that the headline quotes.
        label: what the pair is called.
    """
    plot = Plot(low=min(same.thresholds))
    parts = [_axes(plot, "share above", "threshold"), _threshold(plot, threshold)]
    if baseline is not None:
        parts.append(f'<path class="shuffled line" d="{_line(plot, baseline)}"/>')
    parts.append(f'<path class="same line" d="{_line(plot, same)}"/>')
    parts.append(f'<circle class="same point" cx="{plot.x(threshold):.1f}" cy="{plot.y(score):.1f}" r="3.5"/>')
    return _figure(plot, f"{label}. Share of noises above each threshold; {score:.3f} above {threshold:g}.", parts)


def strip(score: Proportion, marks: Sequence[tuple[str, float]], *, label: str) -> Markup:
    """A score between 0 and 1 with its interval as a dot and a whisker, and baselines as ticks: (CSS class, value)."""
    plot = Plot(low=0.0, width=240, height=30, left=6, right=6, above=0, below=0)
    middle = plot.height / 2
    spans = {"noise-floor": (3, middle), "baseline": (middle, plot.height - 3)}  # above and below: they often coincide
    parts = [f'<line class="axis" x1="{plot.x(0):.1f}" x2="{plot.x(1):.1f}" y1="{middle}" y2="{middle}"/>']
    parts += [
        f'<line class="tick {escape(kind)}" x1="{plot.x(v):.1f}" x2="{plot.x(v):.1f}" y1="{top}" y2="{bottom}"/>'
        for kind, v in marks
        for top, bottom in [spans.get(kind, (5, plot.height - 5))]
    ]
    low, high = plot.x(score.low), plot.x(score.high)
    parts += [
        f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<circle class="same point" cx="{plot.x(score.value):.1f}" cy="{middle}" r="5"/>',
    ]
    described = "".join(f", {kind.replace('-', ' ')} {v:.3f}" for kind, v in marks)
    return _figure(
        plot, f"{label}: {score.value:.3f}, {score.low:.3f} to {score.high:.3f}{described}", parts, kind="strip"
    )


def similarity_domain(shown: Iterable[Distribution]) -> float:
    """Where the similarity axis starts: the lowest value rounded down to a fifth, at most 0."""
    lowest = min(d.quantiles["0"] for d in shown)
    return max(-1.0, min(0.0, floor(lowest * 5) / 5))


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
    for fifth in range(ceil(plot.low * 5), 6):
        parts.append(
            f'<text class="x" x="{plot.x(fifth / 5):.1f}" y="{plot.height - plot.below + 15}">{fifth / 5:g}</text>'
        )
    middle = (plot.left + plot.width - plot.right) / 2
    parts.append(f'<text class="x name" x="{middle:.1f}" y="{plot.height - 4}">{x_label}</text>')
    parts.append(f'<text class="name" x="2" y="10">{y_label}</text>')
    return "".join(parts)


def _threshold(plot: Plot, threshold: float) -> str:
    x = plot.x(threshold)
    return (
        f'<line class="threshold" x1="{x:.1f}" x2="{x:.1f}" y1="{plot.above - 8}" y2="{plot.y(0):.1f}"/>'
        f'<text class="threshold-name" x="{x - 5:.1f}" y="{plot.above - 9}">&gt; {threshold:g}</text>'
    )


def _shares(distribution: Distribution) -> list[tuple[float, float, float]]:
    """(left edge, right edge, share of all) of each bin."""
    total = max(sum(distribution.histogram), 1)
    edges = distribution.edges
    return [(a, b, n / total) for a, b, n in zip(edges, edges[1:], distribution.histogram, strict=False)]


def _outline(plot: Plot, shares: Sequence[tuple[float, float, float]]) -> str:
    inside = [(max(a, plot.low), b, share) for a, b, share in shares if b > plot.low]
    points = [f"M{plot.x(inside[0][0]):.1f},{plot.y(0):.1f}"]
    points += [f"V{plot.y(share):.1f}H{plot.x(b):.1f}" for _, b, share in inside]
    return "".join(points) + f"V{plot.y(0):.1f}Z"


def _line(plot: Plot, curve: Curve) -> str:
    inside = [(t, s) for t, s in zip(curve.thresholds, curve.shares, strict=True) if plot.low <= t <= plot.high]
    return "M" + "L".join(f"{plot.x(t):.1f},{plot.y(s):.1f}" for t, s in inside)
