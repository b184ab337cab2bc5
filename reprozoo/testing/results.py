"""What a check says: a result, and the two ways in which it can end without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "failed", "skipped"]


class CheckFailed(AssertionError):
    """A map or a measure breaks the promise that the check is named after; the message is a sentence."""


class CheckSkipped(Exception):
    """The check does not apply to what it was given; the message is the reason."""


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check.

    Attributes:
        name: as in ``CHECKS`` or ``MEASURE_CHECKS``.
        status: "ok", "failed" or "skipped".
        detail: what was measured, how the promise is broken, or why the check does not apply.
        seconds: what it took; the first check that needs a map pays for loading it.
    """

    name: str
    status: Status
    detail: str
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Not failed: a check that does not apply breaks nothing."""
        return self.status != "failed"


def expect(kept: bool, sentence: str) -> None:
    """Fail the check with ``sentence`` unless ``kept``.

    No ``assert``: pytest rewrites those of a distribution that brings a pytest plugin, and then the sentence would not
    stay the one that was written.

    Raises:
        CheckFailed: not ``kept``.
    """
    if not kept:
        raise CheckFailed(sentence)
