"""A page in the installed Chromium, driven by Playwright, that notes every complaint and every request."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")


def find_chromium() -> str | None:
    """Path of the browser: REPROZOO_CHROMIUM, or the first of the usual names on PATH."""
    chosen = os.environ.get("REPROZOO_CHROMIUM")
    return chosen or next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Browser:
    """One page of a fresh, throw-away profile.

    Attributes:
        console: console messages of level warning and error, and uncaught exceptions.
        requests: URLs that the page asked for, the page itself included.
    """

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda m: self.console.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, url: str) -> None:
        """Load a page afresh and wait for its load event."""
        self.console.clear()
        self.requests.clear()
        self.page.goto(url)

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page."""
        return self.page.evaluate(expression)


@contextmanager
def browser(executable: str, *, width: int = 1280, height: int = 900) -> Iterator[Browser]:
    """A page of the browser, closed with everything that it started when the block ends."""
    with sync_playwright() as playwright:
        process = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        try:
            yield Browser(process.new_page(viewport={"width": width, "height": height}))
        finally:
            process.close()
