"""Figures of a result with matplotlib, for notebooks and papers: values, a matrix of models, or the images.

Colours are safe for the colour-blind and differ in grey; nothing is drawn that the result does not hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.report.findings import Column, Findings, headline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reprozoo.engine.result import Comparison

FIGURES = ("histogram", "matrix", "grid")
SAME_COLOUR, SHUFFLED_COLOUR = "#22619e", "#8d8d88"
MOST_IMAGES = 16
REMEDY = "a figure needs matplotlib: pip install 'reprozoo[plot]'; report.html has figures without it"


def plot(comparison: Comparison, figure: str = "histogram", *, score: str | None = None, count: int = 10) -> Figure:
    """A figure of a result.

    Args:
        figure: "histogram": values of every pair of models beside those of mismatched noise; "matrix": a score of all
            pairs; "grid": the first noises through every model.
        score: whose values are shown, or which fills the matrix; the headline by default.
        count: columns of a grid, at most 16.

    Raises:
        UsageError: matplotlib is not installed, or nothing of these names is in the result.
    """
    if figure not in FIGURES:
        close = did_you_mean(figure, FIGURES)
        raise UsageError(f"no figure is called {figure!r}{close}; there is: {', '.join(FIGURES)}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(REMEDY) from error
    drawn = Figure(layout="constrained")
    if figure == "grid":
        _grid(drawn, comparison, min(count, MOST_IMAGES))
    elif figure == "matrix":
        _matrix(drawn, comparison, _column(comparison, score))
    else:
        _histograms(drawn, comparison, _column(comparison, score))
    return drawn


def _column(comparison: Comparison, score: str | None) -> Column:
    findings = Findings(comparison)
    columns = findings.columns_of(_direct(comparison), comparison.pairs())
    found = headline(columns) if score is None else next((c for c in columns if score in (c.name, c.label)), None)
    if found is None:
        raise UsageError(f"no score {score!r} in this result; it has: {', '.join(c.name for c in columns)}")
    return found


def _direct(comparison: Comparison) -> str:
    return "nearest" if comparison.of_role("data") else "same"


def _histograms(drawn: Figure, comparison: Comparison, column: Column) -> None:
    """One panel a pair."""
    direct = _direct(comparison)
    pairs = comparison.pairs() if direct == "nearest" else comparison.model_pairs()
    panels: Any = drawn.subplots(len(pairs), 1, squeeze=False, sharex=True)
    drawn.set_size_inches(5, 2.2 * len(pairs))
    for (a, b), axes in zip(pairs, panels[:, 0], strict=True):
        for pairing, colour, filled in ((direct, SAME_COLOUR, True), ("shuffled", SHUFFLED_COLOUR, False)):
            for m in comparison.select(measure=column.measure.id, pairing=pairing, a=a, b=b):
                shares = np.array(m.distribution.histogram) / max(sum(m.distribution.histogram), 1)
                axes.stairs(shares, m.distribution.edges, color=colour, fill=filled, label=pairing)
        if column.is_share and column.spec.at is not None:
            axes.axvline(column.spec.at, color="black", linestyle="--", linewidth=1)
        axes.set(title=f"{a} × {b}", ylabel="share")
        axes.legend(frameon=False)
    panels[-1, 0].set_xlabel(f"{column.measure.title} {column.measure.unit}".strip())


def _matrix(drawn: Figure, comparison: Comparison, column: Column) -> None:
    labels = [side.label for side in comparison.models]
    values = comparison.matrix(column.name, measure=column.measure.id)
    axes: Axes = drawn.subplots()
    shown = np.array([[np.nan if value is None else value for value in row] for row in values])
    low, high = (0.0, 1.0) if column.is_share else (None, None)
    image = axes.imshow(shown, cmap="cividis", vmin=low, vmax=high)
    for row, cells in enumerate(values):
        for place, value in enumerate(cells):
            if value is not None:
                axes.text(place, row, column.text(value), ha="center", va="center", backgroundcolor="#ffffffb0")
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_title(column.label)
    drawn.colorbar(image, ax=axes, shrink=0.7)


def _grid(drawn: Figure, comparison: Comparison, count: int) -> None:
    sides = comparison.of_role("model", "baseline")
    indices = comparison.noise_indices[:count]
    panels: Any = drawn.subplots(len(sides), len(indices), squeeze=False)
    drawn.set_size_inches(0.9 * len(indices) + 1.5, 0.95 * len(sides) + 0.4)
    for number, (side, row) in enumerate(zip(sides, panels, strict=True)):
        for index, image, axes in zip(indices, comparison.images(side.label, indices), row, strict=True):
            pixels = image.transpose(1, 2, 0)
            axes.imshow(pixels if pixels.shape[2] == 3 else pixels[:, :, 0], cmap="gray", vmin=0, vmax=255)
            axes.set_xticks([])
            axes.set_yticks([])
            if not number:
                axes.set_title(f"#{index}", fontsize=8)
        row[0].set_ylabel(side.label, rotation=0, ha="right", va="center", fontsize=8)
