"""What a notebook shows of a result: the verdict, the scores, and a small row of images."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from reprozoo.engine.result import Comparison
from reprozoo.report import words
from reprozoo.report.findings import NEAREST, SAME, SHUFFLED, Column, Findings
from reprozoo.report.grids import models_grid, neighbours_grid
from reprozoo.report.terminal import ranked_pairs
from reprozoo.report.tiles import MAX_TILE, Pixels, tile
from reprozoo.report.verdict import verdicts

PAIRS_SHOWN = 8
IMAGES_SHOWN = 8
ROWS_SHOWN = 4


@dataclass(frozen=True)
class Notebook:
    """Plain data for the template: ``rows`` are (name, texts of the scores), ``pictures`` (name, base64 PNG)."""

    verdicts: list[str]
    warnings: list[str]
    heads: list[str]
    rows: list[tuple[str, list[str]]]
    pictures: list[tuple[str, str]]
    caption: str


def notebook_of(comparison: Comparison) -> Notebook:
    """The short form of a report."""
    found = Findings(comparison)
    columns = found.columns or found.nearest_columns
    pairs = ranked_pairs(found, columns[0]) if found.pairs else []
    rows = [(" × ".join(pair), _texts(found, columns, SAME, *pair)) for pair in pairs[:PAIRS_SHOWN]]
    if len(pairs) == 1:
        rows.append(("shuffled noise", _texts(found, columns, SHUFFLED, *pairs[0])))
    if not found.columns:
        rows += [(f"{a} in {b}", _texts(found, columns, NEAREST, a, b)) for a, b in found.searched]
    pictures, caption = _pictures(found)
    heads = [f"{column.heading}, {column.unit}" if column.unit else column.heading for column in columns]
    return Notebook(verdicts(comparison), comparison.warnings, heads, rows, pictures, caption)


def _texts(found: Findings, columns: Sequence[Column], pairing: str, a: str, b: str) -> list[str]:
    scores = [(column, found.score(column, pairing, a, b)) for column in columns]
    return [
        "–" if score is None else f"{column.text(score.value)} {_ends(column, words.interval(column, score))}".rstrip()
        for column, score in scores
    ]


def _ends(column: Column, text: str) -> str:
    return f"({text})" if text and column.is_share else ""


def _pictures(found: Findings) -> tuple[list[tuple[str, str]], str]:
    """Noises evenly from the least to the most alike, a picture strip for each of the first rows."""
    grid = models_grid(found) or neighbours_grid(found)
    if grid is None:
        return [], ""
    whole = sorted(set.intersection(*map(set, grid.shown)))
    chosen = [whole[k] for k in np.linspace(0, len(whole) - 1, min(IMAGES_SHOWN, len(whole))).round().astype(int)]
    strips = [
        (name, _strip(images[[shown.index(k) for k in chosen]]))
        for name, images, shown in list(zip(grid.rows, grid.images, grid.shown, strict=True))[:ROWS_SHOWN]
    ]
    return strips, f"noises {', '.join(str(grid.indices[k]) for k in chosen)}, from the least to the most alike"


def _strip(images_u8: Pixels) -> str:
    """Images side by side, as a base64 PNG."""
    pixels = np.concatenate([np.asarray(tile(image, MAX_TILE)) for image in images_u8], axis=1)
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
