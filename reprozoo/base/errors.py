"""The errors a user can meet: each is a sentence saying what was expected, what came and what to do.

Every error carries the exit code of the command line (README, "Exit codes"). Code that is not reprozoo's may raise
anything; the place that calls it turns that into one of these and keeps the original as ``__cause__``.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ReprozooError(Exception):
    """Base of everything reprozoo raises on purpose."""

    exit_code = 2


class UsageError(ReprozooError):
    """The request cannot be carried out as it was made: an unknown id, an option out of range, a missing file."""

    exit_code = 2


class ContractError(ReprozooError):
    """An object broke the promise of its interface: a map returned the wrong shape, features are not unit vectors."""

    exit_code = 3


class PluginError(ReprozooError):
    """A plugin is missing, broken, disabled or incompatible, and this request needs it."""

    exit_code = 3


class UnavailableError(ReprozooError):
    """Something that has to be fetched cannot be had: offline, gated, gone, no route to the host."""

    exit_code = 4


class IntegrityError(ReprozooError):
    """What is there is not what it should be: a wrong hash, NaN images, one model's images under another's name."""

    exit_code = 5


class PartialError(ReprozooError):
    """The work stopped half way; what was finished is kept and the same command continues it."""

    exit_code = 6


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Part of a sentence about an unknown ``word``: ``" (did you mean 'heun'?)"``, or "" when nothing is close."""
    close = get_close_matches(word.lower(), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
