"""Progress on stderr: a bar with an ETA on a terminal, a terse line now and then elsewhere, nothing when quiet.

What does the work calls ``update`` with a name, how far it is and how far it has to go; it knows nothing of printing.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from reprozoo.base.terminal import clean

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from reprozoo.engine.progress import ProgressEvent

LINE_EVERY_S = 10.0
LONGEST_DETAIL = 20
SPEED_OVER_S = 3600.0  # one batch may take minutes, and an ETA needs several
BYTES, IMAGES = "bytes", "images"
STAGES = {
    "sampling": ("sampling", IMAGES),
    "describing": ("describing", IMAGES),
    "scoring": ("scoring", "noises"),
    "repeats": ("describing the noise floor", IMAGES),
    "searching": ("searching", IMAGES),
}


class ProgressDisplay:
    """Progress of several named tasks; a context manager.

    Args:
        quiet: show nothing.
        interactive: bars rather than lines; by default whether stderr is a terminal.
    """

    def __init__(self, *, quiet: bool = False, interactive: bool | None = None) -> None:
        terminal = sys.stderr.isatty() if interactive is None else interactive
        self._display: _Bars | _Lines | None = None if quiet else _Bars() if terminal else _Lines()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.close()

    def update(self, name: str, done: int, total: int | None, *, unit: str = IMAGES, detail: str = "") -> None:
        """Task ``name`` is at ``done`` of ``total``, where that is known; ``detail`` is what it works on just now."""
        if self._display is not None:
            self._display.update(name, done, total, unit, clean(detail))

    def stage(self, event: ProgressEvent) -> None:
        """``update`` for the engine's stages."""
        name, unit = STAGES[event.stage]
        self.update(name, event.done, event.total, unit=unit, detail=event.label)

    def note(self, text: str) -> None:
        """A remark beside the tasks; nothing when quiet."""
        if self._display is not None:
            click.echo(clean(text, lines=True), err=True)

    def fetched(self, name: str, done: int, total: int | None) -> None:
        """``update`` for downloads, as ``weights.fetch`` calls it."""
        self.update(name, done, total, unit=BYTES)


class _Bars:
    """rich's bars, one a task; those that are done stay on the screen."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def update(self, name: str, done: int, total: int | None, unit: str, detail: str) -> None:
        bars = self._bars or self._start()
        if name not in self._tasks:
            self._tasks[name] = bars.add_task(name, total=total, amount="", detail="")
        finished = total is not None and done >= total
        shown = "" if finished else detail if len(detail) <= LONGEST_DETAIL else f"{detail[: LONGEST_DETAIL - 1]}…"
        amount = _amount(done, total, unit)
        bars.update(self._tasks[name], completed=done, total=total, amount=amount, detail=shown)

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()

    def _start(self) -> Progress:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        from reprozoo.base.terminal import console

        columns: tuple[Any, ...] = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[amount]}", markup=False),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[detail]}", markup=False),
        )
        self._bars = Progress(*columns, console=console(stderr=True), speed_estimate_period=SPEED_OVER_S)
        self._bars.start()
        return self._bars


class _Lines:
    """One line when a task begins to take long, then every ``LINE_EVERY_S`` seconds, and one when it is done."""

    def __init__(self) -> None:
        self._started: dict[str, tuple[float, int]] = {}
        self._said: dict[str, float] = {}

    def update(self, name: str, done: int, total: int | None, unit: str, detail: str) -> None:
        now = time.monotonic()
        started, first = self._started.setdefault(name, (now, done))
        finished = total is not None and done >= total
        if finished or now - self._said.setdefault(name, now) >= LINE_EVERY_S:
            self._said[name] = now
            left = _remaining(now - started, done - first, done, total)
            about = f" ({detail})" if detail and not finished else ""
            click.echo(f"{name}: {_amount(done, total, unit)}{left}{about}", err=True)

    def close(self) -> None:
        pass


def _amount(done: int, total: int | None, unit: str) -> str:
    if unit == BYTES:
        return f"{size(done)} of {size(total)}" if total else size(done)
    return f"{done:,} of {total:,} {unit}" if total is not None else f"{done:,} {unit}"


def _remaining(elapsed_s: float, made: int, done: int, total: int | None) -> str:
    if total is None or done >= total or made <= 0:
        return f" in {elapsed_s:.0f} s" if total is not None and done >= total else ""
    return f", about {duration(elapsed_s / made * (total - done))} left"


def duration(seconds: float) -> str:
    """``90`` is "1 min 30 s"; two units at most."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: int | float | None) -> str:
    """Bytes for a reader: 4.2 MB; "–" where it is not known."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
