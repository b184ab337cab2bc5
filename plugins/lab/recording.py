"""What a run leaves behind for a person to look at: a table of losses, its curve, and sheets of samples."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from reprozoo.base.files import write_whole
from reprozoo.maps.images import grid, save_png, to_uint8

LOSSES = "loss.csv"
CURVE = "loss.svg"
REMEDY = "choose another folder with -o"
COLUMNS = ("images_seen", "loss", "lr", "images_per_s")
WIDTH, HEIGHT, MARGIN = 640, 320, 48


def add_row(folder: Path, images_seen: int, loss: float, lr: float, images_per_s: float) -> None:
    """Append one line to the table of losses."""
    path = folder / LOSSES
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(COLUMNS)
        writer.writerow([images_seen, f"{loss:.6f}", f"{lr:.3e}", f"{images_per_s:.1f}"])


def drop_rows_after(folder: Path, images_seen: int) -> None:
    """Forget the rows of steps that a run does again, because they came after its checkpoint."""
    path = folder / LOSSES
    if not path.exists():
        return
    head, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [row for row in rows if int(row.partition(",")[0]) <= images_seen]
    write_whole(path, "".join([head, *kept]).encode(), remedy=REMEDY)


def draw_curve(folder: Path, title: str) -> None:
    """The table of losses as an SVG picture; none as long as it has fewer than two rows."""
    with (folder / LOSSES).open(encoding="utf-8") as file:
        rows = [(float(row["images_seen"]), float(row["loss"])) for row in csv.DictReader(file)]
    rows = [row for row in rows if math.isfinite(row[1])]
    if len(rows) > 1:
        write_whole(folder / CURVE, curve_svg(rows, title).encode(), remedy=REMEDY)


def curve_svg(points: Sequence[tuple[float, float]], title: str) -> str:
    """A line through (images seen, loss), its ends written at the axes."""
    xs, ys = zip(*points, strict=True)
    low, high = min(ys), max(ys)
    spread, length = (high - low) or 1.0, (max(xs) - min(xs)) or 1.0
    places = [
        (
            MARGIN + (x - min(xs)) / length * (WIDTH - 2 * MARGIN),
            HEIGHT - MARGIN - (y - low) / spread * (HEIGHT - 2 * MARGIN),
        )
        for x, y in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    bottom = HEIGHT - MARGIN
    texts = [
        (MARGIN, 24, title),
        (4, bottom, f"{low:.3g}"),
        (4, MARGIN + 8, f"{high:.3g}"),
        (MARGIN, HEIGHT - 16, f"{min(xs):,.0f} images"),
        (WIDTH - MARGIN - 110, HEIGHT - 16, f"{max(xs):,.0f} images"),
    ]
    written = "".join(f'<text x="{x}" y="{y}">{text}</text>' for x, y, text in texts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13"><rect width="100%" height="100%" fill="white"/>'
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{WIDTH - MARGIN}" fill="none" stroke="#888"/>'
        f'<polyline points="{line}" fill="none" stroke="#1f5fa8" stroke-width="1.5"/>{written}</svg>\n'
    )


def save_sheet(folder: Path, images_seen: int, images: Tensor) -> Path:
    """Write images (n, channels, height, width) as one square of a PNG file."""
    path = folder / f"sheet-{images_seen:09d}.png"
    save_png(grid(to_uint8(images.cpu().float().clamp(-1, 1)), columns=math.isqrt(len(images))), path)
    return path
