"""The pictures of the README, made anew: the head of a report, and its first rows of images.

    python docs/pictures.py

Needs Chromium and Playwright (`pip install -e '.[dev]'`), as the browser tests do.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import reprozoo

HERE = Path(__file__).parent
WIDTH, GAP, MARGIN, SCALE = 1120, 16, 24, 2


def main() -> None:
    """Compare, take the picture, save it beside this file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reprozoo.compare("tiny-edm", "tiny-uvit", num_samples=256, baselines=[]).save(folder)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=SCALE)
            page.goto((folder / "report.html").as_uri())
            parts = [head(page, folder), grid(page, folder)]
            browser.close()
        stacked(parts).save(HERE / "report.png", optimize=True)


def chromium() -> str:
    """The installed browser."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("Chromium is needed to take a picture of a report")
    return found


def head(page: Page, folder: Path) -> Path:
    """Title and verdict."""
    bottom = page.locator(".verdict").last.bounding_box()
    assert bottom is not None
    path = folder / "head.png"
    page.screenshot(path=path, clip={"x": 0, "y": 0, "width": WIDTH, "height": bottom["y"] + bottom["height"] + GAP})
    return path


def grid(page: Page, folder: Path) -> Path:
    """The first noises, in their order."""
    page.get_by_label("Sort by").select_option("index")
    path = folder / "grid.png"
    page.locator(".block").first.screenshot(path=path)
    return path


def stacked(paths: list[Path]) -> Image.Image:
    """The head, and the grid under it at the same margin."""
    head_image, grid_image = (Image.open(path).convert("RGB") for path in paths)
    size = head_image.width, head_image.height + grid_image.height + SCALE * GAP
    canvas = Image.new("RGB", size, head_image.getpixel((0, 0)))
    canvas.paste(head_image, (0, 0))
    canvas.paste(grid_image, (SCALE * MARGIN, head_image.height))
    return canvas


if __name__ == "__main__":
    main()
