"""The grids of images as the template needs them: a column is a noise, a row a side."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reprozoo.base.errors import UsageError
from reprozoo.measures.base import MeasureFacts
from reprozoo.report import tiles
from reprozoo.report.findings import Findings
from reprozoo.report.grids import Grid, models_grid, neighbours_grid
from reprozoo.report.tiles import Pixels

BLOCK_WIDTH = 10


@dataclass(frozen=True)
class Cell:
    """One picture of the grid.

    Attributes:
        position: CSS background-position of its tile in the row's sheet; None where it is not on the page.
        value: text of the first measure between it and the picture of the reference row; empty in that row itself.
        close: whether the value is on the closer side of the threshold; None where there is no threshold.
        alt: what the picture is, in words.
    """

    position: str | None
    value: str
    close: bool | None
    alt: str


@dataclass(frozen=True)
class GridColumn:
    """One noise: its index and a cell a row."""

    index: int
    cells: list[Cell]


@dataclass(frozen=True)
class Gallery:
    """A grid as the template needs it, columns from least to most alike.

    Attributes:
        rows: names of the rows; the first ``references`` may be what the others are compared with.
        measures: (id, title) of those that columns can be sorted by.
        blocks: columns in runs of ``BLOCK_WIDTH``.
        sheets: per row, a base64 PNG, and how many columns and rows of tiles it has.
        data: what the page's script sorts by.
        choose_reference: whether there is a choice of it.
    """

    title: str
    rows: list[str]
    measures: list[tuple[str, str]]
    blocks: list[list[GridColumn]]
    sheets: list[tuple[str, int, int]]
    aspect: float
    pixelated: bool
    note: str
    data: dict[str, Any]
    choose_reference: bool
    references: int


def galleries(found: Findings) -> list[Gallery]:
    """Every grid of a result; none where images or the values of single noises are not at hand."""
    return [assemble(grid) for make in (models_grid, neighbours_grid) if (grid := _at_best(make, found)) is not None]


def _at_best(make: Callable[[Findings], Grid | None], found: Findings) -> Grid | None:
    """A grid; None where the store has lost some of its images."""
    try:
        return make(found)
    except UsageError:
        return None


def assemble(grid: Grid) -> Gallery:
    """The gallery of a grid."""
    first = grid.measures[0]
    threshold = grid.thresholds.get(first.id)
    positions = [_positions(shown, len(grid.indices)) for shown in grid.shown]

    def cell(row: int, k: int) -> Cell:
        other = grid.partners.get(row, 0)
        pair = (min(row, other), max(row, other))
        shown = row >= other if grid.partners else row != other
        values = grid.pairs[first.id].get(pair) if shown else None
        value = None if values is None else float(values[k])
        text = "" if value is None else f"{value:.{first.decimals}f}"
        return Cell(positions[row][k], text, _is_close(value, first, threshold), grid.alts[row][k])

    cells = [GridColumn(index, [cell(row, k) for row in range(len(grid.rows))]) for k, index in enumerate(grid.indices)]
    height, width = grid.images[0].shape[2:]
    size = tiles.tile_size(sum(map(len, grid.images)), grid.images[0].shape[1:])
    note = f" They are reduced to {size} pixels." if size < min(tiles.MAX_TILE, max(height, width)) else ""
    return Gallery(
        title=grid.title,
        rows=grid.rows,
        measures=[(facts.id, _measure_title(facts, grid.measures)) for facts in grid.measures],
        blocks=[cells[start : start + BLOCK_WIDTH] for start in range(0, len(cells), BLOCK_WIDTH)],
        sheets=[_sheet(images, size) for images in grid.images],
        aspect=width / height,
        pixelated=not note and max(height, width) <= tiles.NATIVE_TILE,
        note=grid.note + note,
        data=_data(grid),
        choose_reference=not grid.partners and grid.references > 2,
        references=grid.references,
    )


def _data(grid: Grid) -> dict[str, Any]:
    """What the script sorts by and writes under images."""
    return {
        "noises": grid.indices,
        "width": BLOCK_WIDTH,
        "sortable": grid.sortable,
        "partners": {str(row): other for row, other in grid.partners.items()},
        "measures": [
            {
                "id": facts.id,
                "decimals": facts.decimals,
                "higher": facts.closer == "higher",
                "threshold": grid.thresholds.get(facts.id, (None, ""))[0],
                "pairs": {
                    f"{a},{b}": [float(f"{value:.6g}") for value in values.tolist()]
                    for (a, b), values in grid.pairs[facts.id].items()
                },
            }
            for facts in grid.measures
        ],
    }


def _sheet(images: Pixels, size: int) -> tuple[str, int, int]:
    columns = min(tiles.SHEET_COLUMNS, len(images))
    return base64.b64encode(tiles.sprite_sheet(images, columns, size)).decode(), columns, -(-len(images) // columns)


def _positions(shown: Sequence[int], count: int) -> list[str | None]:
    """CSS positions in a row's sheet, by column; None for columns without a picture."""
    columns = min(tiles.SHEET_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    place = {column: i for i, column in enumerate(shown)}
    return [tiles.position(place[k], columns, rows) if k in place else None for k in range(count)]


def _is_close(value: float | None, facts: MeasureFacts, threshold: tuple[float, str] | None) -> bool | None:
    if value is None or threshold is None:
        return None
    return value > threshold[0] if facts.closer == "higher" else value < threshold[0]


def _measure_title(facts: MeasureFacts, among: Sequence[MeasureFacts]) -> str:
    titles = [other.title for other in among]
    return f"{facts.title}, {facts.descriptor or facts.name}" if titles.count(facts.title) > 1 else facts.title
