"""Pictures of the grid: which noises are shown, and one sprite sheet a row.

Small images are embedded as they are and enlarged without smoothing; large ones are reduced, because the page is one
file.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_NOISES = 100
MAX_PIXEL_BYTES = 24_000_000
MAX_TILE = 128  # pixels; a tile is shown at 82, or twice that on a dense screen
SMALLEST_TILE = 24
NATIVE_TILE = 64  # up to here pixels are shown as squares
LOWEST = 5  # noises of every pair that are always shown
SHEET_COLUMNS = 10

Pixels = NDArray[np.uint8]


def full_columns(shapes: Sequence[Sequence[int]]) -> int:
    """How many noises fit with a picture in every row: their tiles stay within ``MAX_PIXEL_BYTES``."""
    each = sum(shape[0] * min(shape[1], MAX_TILE) * min(shape[2], MAX_TILE) for shape in shapes)
    return max(1, min(MAX_NOISES, MAX_PIXEL_BYTES // each))


def tile_size(count: int, shape: Sequence[int]) -> int:
    """Width and height that a tile has at most, so that so many of them stay within ``MAX_PIXEL_BYTES``."""
    whole = shape[0] * min(shape[1], MAX_TILE) * min(shape[2], MAX_TILE) * count
    largest = min(MAX_TILE, max(shape[1:]))
    return MAX_TILE if whole <= MAX_PIXEL_BYTES else max(SMALLEST_TILE, int(largest * (MAX_PIXEL_BYTES / whole) ** 0.5))


def lowest_rows(closeness: NDArray[Any]) -> list[int]:
    """The rows of the ``LOWEST`` values, lowest first."""
    return [int(row) for row in np.argsort(closeness, kind="stable")[:LOWEST]]


def chosen_rows(closeness: NDArray[Any], always: Iterable[int], *, limit: int) -> list[int]:
    """Rows to show: those of ``always``, and others up to ``limit`` evenly over the ranks, least close first.

    Args:
        closeness: (n,) larger where images are closer.
        always: shown even where they are more than ``limit``.
        limit: rows in all, where ``always`` leaves room.
    """
    ranked = np.argsort(closeness, kind="stable")
    wanted = set(always)
    rest = [int(row) for row in ranked if int(row) not in wanted]
    room = min(max(0, limit - len(wanted)), len(rest))
    picks = np.linspace(0, len(rest) - 1, room).round().astype(int).tolist() if room else []
    chosen = wanted | {rest[pick] for pick in picks}
    return [int(row) for row in ranked if int(row) in chosen]


def sprite_sheet(images_u8: Pixels, columns: int, size: int) -> bytes:
    """A PNG of all images in reading order, edge to edge, each at most ``size`` pixels wide and high."""
    tiles = np.stack([np.asarray(tile(image, size)) for image in images_u8])
    count, height, width, channels = tiles.shape
    rows = -(-count // columns)
    canvas = np.zeros((rows * columns, height, width, channels), dtype=np.uint8)
    canvas[:count] = tiles
    sheet = canvas.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    buffer = io.BytesIO()
    pixels = sheet.reshape(rows * height, columns * width, channels)
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def tile(image_u8: Pixels, size: int) -> Pixels:
    """One (channels, height, width) image as (height, width, 1 or 3), reduced to ``size`` where it is larger."""
    pixels = np.ascontiguousarray(image_u8.transpose(1, 2, 0))
    if pixels.shape[2] not in (1, 3):
        pixels = pixels[:, :, :1]  # no colours to show: the first channel
    height, width = pixels.shape[:2]
    scale = size / max(height, width)
    if scale >= 1:
        return pixels
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = np.asarray(picture.resize(shape, Image.Resampling.LANCZOS), dtype=np.uint8)
    return reduced.reshape(shape[1], shape[0], -1)


def position(place: int, columns: int, rows: int) -> str:
    """CSS background-position of a tile in a sheet of so many columns and rows."""
    across, down = place % columns / max(columns - 1, 1), place // columns / max(rows - 1, 1)
    return f"{across:.4%} {down:.4%}"
