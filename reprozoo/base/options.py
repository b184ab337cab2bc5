"""``Option``: one setting of something that is chosen by name, as ``NAME+option=value``.

Families, samplers, operators and solvers describe their options with the same record: from it come the check of what
was typed, the defaults and the lines of ``reprozoo show``. Imports no framework.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from reprozoo.base.errors import UsageError

SWITCH = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)


@dataclass(frozen=True)
class Option:
    """One option, settable in a spec as ``+name=value``.

    Args:
        kind: int, float, bool or str; or "file" / "dataset", whose content's digest becomes part of the map's identity
            (a data set's split is the option called "split", where there is one); or "weights": a file or folder that
            is handed to ``load`` among the files and counts as weights, unless the family's ``adjust`` has made it a
            source of the card.
        help: one line for ``reprozoo show``.
        default: used where neither the spec nor the card sets it; None means that it is found when the rest is known:
            by the family from the card, by the sampler from the kernel. ``help`` says how.
        choices: the values allowed, if limited.
        least, above: a number is at least ``least`` and more than ``above``.
    """

    kind: type | str
    help: str
    default: Any = None
    choices: tuple[Any, ...] = ()
    least: float = -math.inf
    above: float = -math.inf

    def parse(self, name: str, text: str) -> Any:
        """``text`` of a spec as a value of this option.

        Raises:
            UsageError: it is not of the option's kind, not among its choices, or out of range.
        """
        value = _parsed(name, text, self.kind)
        if self.choices and value not in self.choices:
            raise UsageError(f"option {name}={text}: expected one of {', '.join(map(str, self.choices))}")
        if self._out_of_range(value):
            raise UsageError(f"option {name}={text}: expected {name} to be {self._range()}")
        return value

    def checked(self, what: str, name: str, value: Any) -> Any:
        """A value from Python or a card as one of this option: 1 and 1.0 become one value where a float is meant.

        Args:
            what: whose option it is, for the sentence, e.g. "sampler heun".
            name: of the option.

        Raises:
            UsageError: as ``parse``.
        """
        if value is None and self.default is None:
            return None
        kind = self.kind if isinstance(self.kind, type) else str
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UsageError(f"{what}: expected {kind.__name__} for {name}, got {value!r}")
        if self.choices and value not in self.choices:
            among = ", ".join(map(str, self.choices))
            raise UsageError(f"{what}: expected {name} to be one of {among}, got {value!r}")
        if self._out_of_range(value):
            raise UsageError(f"{what}: expected {name} to be {self._range()}, got {value}")
        return value

    def _out_of_range(self, value: Any) -> bool:
        return self.kind in (int, float) and not (self.least <= value < math.inf and value > self.above)

    def _range(self) -> str:
        if self.above > -math.inf:
            return f"more than {self.above:g} and finite"
        return f"at least {self.least:g} and finite" if self.least > -math.inf else "finite"


def _parsed(name: str, text: str, kind: type | str) -> Any:
    if kind is bool:
        if text.lower() not in SWITCH:
            raise UsageError(f"option {name}={text}: expected true or false")
        return SWITCH[text.lower()]
    if kind in (int, float):
        try:
            number = int(text) if kind is int else float(text)
            if not math.isfinite(number):
                raise ValueError
            return number
        except (ValueError, OverflowError):
            article = "a whole number" if kind is int else "a number"
            raise UsageError(f"option {name}={text}: expected {article}") from None
    return text
