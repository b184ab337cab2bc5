"""The grid of images: which noises are shown, and the pictures themselves as one sprite sheet a row.

Small images are embedded as they are and enlarged without smoothing; large ones are reduced, because the page is one
file. A page holds at most ``MAX_NOISES`` noises and about ``MAX_PIXEL_BYTES`` of raw pixels.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reprozoo.engine.results import OBSERVATION, TRUTH, Comparison, Generalization
from reprozoo.report import words

MAX_NOISES = 100
MAX_PIXEL_BYTES = 24_000_000
MAX_TILE = 128  # pixels; a tile is shown at 82, or twice that on a dense screen
NATIVE_TILE = 64  # up to here pixels are shown as squares
BLOCK_WIDTH = 10
SHEET_COLUMNS = 10

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Cell:
    """One picture of the grid.

    Attributes:
        position: CSS background-position of its tile in the row's sheet.
        similarity: to the picture of the reference row; None in that row itself.
        alt: what the picture is, in words.
    """

    position: str
    similarity: float | None
    alt: str


@dataclass(frozen=True)
class Column:
    """One noise: its index and a cell a row."""

    index: int
    cells: list[Cell]


@dataclass(frozen=True)
class Gallery:
    """The grid as the template needs it, columns from least to most similar.

    Attributes:
        title: of the section.
        rows: names of the rows; the first ``references`` have similarities to each other.
        blocks: columns in runs of ``BLOCK_WIDTH``.
        sheets: per row, a base64 PNG.
        data: what the page's script sorts by.
    """

    title: str
    rows: list[str]
    blocks: list[list[Column]]
    sheets: list[str]
    sheet_columns: int
    sheet_rows: int
    aspect: float
    pixelated: bool
    threshold: float
    note: str
    data: dict[str, Any]
    choose_reference: bool
    references: int


def comparison_gallery(comparison: Comparison) -> Gallery | None:
    """The same noises through every model and baseline; None where images or per-noise values are not at hand."""
    if comparison.image_loader is None or any(pair.similarities is None for pair in comparison.pairs):
        return None
    runs = [*comparison.models, *(baseline.run for baseline in comparison.baselines)]
    labels = [run.label for run in runs]
    place = {label: i for i, label in enumerate(labels)}
    pairs: dict[tuple[int, int], NDArray[np.float32]] = {}
    for pair in [*comparison.pairs, *(pair for baseline in comparison.baselines for pair in baseline.pairs)]:
        if pair.similarities is not None:
            first, second = sorted((place[pair.model_a], place[pair.model_b]))
            pairs[first, second] = pair.similarities
    mean = np.mean([pair.similarities for pair in comparison.pairs if pair.similarities is not None], axis=0)
    observed = (OBSERVATION, TRUTH) if words.reconstructions(comparison) else ()
    shapes = [run.image_shape for run in runs]
    rows = chosen_rows(mean, limit=_limit([*shapes, *[shapes[0]] * len(observed)]))
    indices = [comparison.noise_indices[row] for row in rows]
    images = [comparison.images(label, indices) for label in (*labels, *observed)]
    values = {key: array[rows] for key, array in pairs.items()}
    note = _note(len(rows), comparison.num_samples, images[0], "the mean over all pairs of models")
    alts = [[f"{label}, noise {index}" for index in indices] for label in (*labels, *observed)]
    threshold = float(comparison.settings["threshold"])
    return assemble(
        [*labels, *observed], indices, images, values, alts, threshold, note,
        title="The same noises through every model", sortable=len(comparison.models), references=len(labels),
    )  # fmt: skip


def generalization_gallery(result: Generalization) -> Gallery | None:
    """Generated images over the training image nearest to each; None where images are not at hand."""
    if result.image_loader is None:
        return None
    similarity = np.array([neighbour.similarity for neighbour in result.neighbours], dtype=np.float32)
    rows = chosen_rows(similarity, limit=_limit([result.model.image_shape] * 2))
    chosen = [result.neighbours[row] for row in rows]
    images = [
        result.images(result.model.label, [neighbour.index for neighbour in chosen]),
        result.images("train", [neighbour.train_index for neighbour in chosen]),
    ]
    alts = [
        [f"{result.model.label}, noise {neighbour.index}" for neighbour in chosen],
        [f"nearest training image, number {neighbour.train_index}" for neighbour in chosen],
    ]
    note = _note(len(rows), len(similarity), images[0], "similarity to the nearest training image")
    labels, indices = [result.model.label, "nearest training image"], [neighbour.index for neighbour in chosen]
    threshold = float(result.settings["threshold"])
    title = "Generated images and the nearest training images"
    pairs = {(0, 1): similarity[rows]}
    return assemble(labels, indices, images, pairs, alts, threshold, note, title=title, sortable=2)


def chosen_rows(similarity: NDArray[Any], *, limit: int) -> list[int]:
    """At most ``limit`` rows, from least to most similar, evenly over the ranks and with both extremes."""
    ranked = np.argsort(similarity, kind="stable")
    picks = np.linspace(0, len(ranked) - 1, min(limit, len(ranked))).round().astype(int)
    return [int(ranked[pick]) for pick in dict.fromkeys(picks.tolist())]


def assemble(
    rows: Sequence[str],
    indices: Sequence[int],
    images: Sequence[Pixels],
    pairs: Mapping[tuple[int, int], NDArray[np.float32]],
    alts: Sequence[Sequence[str]],
    threshold: float,
    note: str,
    *,
    title: str,
    sortable: int,
    references: int | None = None,
) -> Gallery:
    """The gallery of already chosen noises.

    Args:
        rows: names; the first is the reference until the reader chooses another.
        indices: noise index of each column.
        images: per row, (n, channels, height, width) uint8.
        pairs: (row, row) in ascending order -> similarity of each column.
        alts: per row and column, what the picture is.
        threshold: similarities strictly above it are marked.
        note: what the reader is told about the choice.
        title: of the section.
        sortable: how many of the rows count when columns are sorted; the baselines after them do not.
        references: how many of the rows have similarities to others; all by default. What was observed has none.
    """
    columns = min(SHEET_COLUMNS, len(indices))
    sheet_rows = -(-len(indices) // columns)
    cells = [
        Column(
            index,
            [Cell(_position(k, columns, sheet_rows), _value(pairs, row, k), alts[row][k]) for row in range(len(rows))],
        )
        for k, index in enumerate(indices)
    ]
    height, width = images[0].shape[2:]
    numbers = {f"{a},{b}": [round(float(v), 6) for v in values] for (a, b), values in pairs.items()}
    return Gallery(
        title=title,
        rows=list(rows),
        blocks=[cells[start : start + BLOCK_WIDTH] for start in range(0, len(cells), BLOCK_WIDTH)],
        sheets=[base64.b64encode(sprite_sheet(row, columns)).decode() for row in images],
        sheet_columns=columns,
        sheet_rows=sheet_rows,
        aspect=width / height,
        pixelated=max(height, width) <= NATIVE_TILE,
        threshold=threshold,
        note=note,
        data={"noises": list(indices), "pairs": numbers, "sortable": sortable, "threshold": threshold,
              "width": BLOCK_WIDTH},
        choose_reference=(len(rows) if references is None else references) > 2,
        references=len(rows) if references is None else references,
    )  # fmt: skip


def sprite_sheet(images_u8: Pixels, columns: int) -> bytes:
    """A PNG of all images in reading order, edge to edge, each at most ``MAX_TILE`` pixels wide and high."""
    tiles = np.stack([np.asarray(tile(image)) for image in images_u8])
    count, height, width, channels = tiles.shape
    rows = -(-count // columns)
    canvas = np.zeros((rows * columns, height, width, channels), dtype=np.uint8)
    canvas[:count] = tiles
    sheet = canvas.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    buffer = io.BytesIO()
    pixels = sheet.reshape(rows * height, columns * width, channels)
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def tile(image_u8: Pixels) -> Pixels:
    """One (channels, height, width) image as (height, width, 1 or 3), reduced to ``MAX_TILE`` where it is larger."""
    pixels = np.ascontiguousarray(image_u8.transpose(1, 2, 0))
    if pixels.shape[2] not in (1, 3):
        pixels = pixels[:, :, :1]  # no colours to show: the first channel
    height, width = pixels.shape[:2]
    scale = MAX_TILE / max(height, width)
    if scale >= 1:
        return pixels
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = np.asarray(picture.resize(size, Image.Resampling.LANCZOS), dtype=np.uint8)
    return reduced.reshape(size[1], size[0], -1)


def _limit(shapes: Sequence[Sequence[int]]) -> int:
    """Noises that fit: their tiles over all rows stay within ``MAX_PIXEL_BYTES``."""
    each = sum(shape[0] * min(shape[1], MAX_TILE) * min(shape[2], MAX_TILE) for shape in shapes)
    return max(1, min(MAX_NOISES, MAX_PIXEL_BYTES // each))


def _position(k: int, columns: int, rows: int) -> str:
    across, down = k % columns / max(columns - 1, 1), k // columns / max(rows - 1, 1)
    return f"{across:.4%} {down:.4%}"


def _value(pairs: Mapping[tuple[int, int], NDArray[np.float32]], row: int, k: int) -> float | None:
    return float(pairs[0, row][k]) if (0, row) in pairs else None


def _note(shown: int, total: int, images: Pixels, order: str) -> str:
    height, width = images.shape[2:]
    text = f"All {total:,} noises are here." if shown == total else (
        f"{shown:,} of {total:,} noises are here, chosen evenly over the ranks of {order}, both extremes included."
    )  # fmt: skip
    if max(height, width) > MAX_TILE:
        text += f" The images are {width} × {height} pixels and reduced here."
    return text + " The number under an image is its similarity; a filled dot means above the threshold."
