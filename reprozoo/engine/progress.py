"""How far the work is, for whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["sampling", "describing", "scoring", "repeats", "searching"]


@dataclass(frozen=True)
class ProgressEvent:
    """A step of one stage of the work.

    Attributes:
        stage: "sampling": images; "describing": features of images; "scoring": blocks of noises; "repeats": features
            of images that another batch size changed; "searching": images whose nearest is looked for.
        label: whose images these are; "" where it is everybody's.
        done, total: of the whole stage, over all models; the first event of a stage has done 0, the last one total.
    """

    stage: Stage
    label: str
    done: int
    total: int


Progress = Callable[[ProgressEvent], None]


class Meter:
    """Counts one stage; a stage without work reports nothing."""

    def __init__(self, progress: Progress | None, stage: Stage, total: int) -> None:
        self.label = ""
        self._progress, self._stage, self._total, self._done = progress, stage, total, 0
        self.add(0)

    def add(self, count: int) -> None:
        """Report that ``count`` more are done."""
        self._done += count
        if self._progress is not None and self._total:
            self._progress(ProgressEvent(self._stage, self.label, self._done, self._total))
