"""What one sample is asked to show, beside its noise; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from reprozoo.base.errors import UsageError

CONDITION_KINDS = ("prompt", "class_label", "observation")


@dataclass(frozen=True)
class Condition:
    """What one sample is asked to show, beside its noise. Empty for an unconditional sample.

    Args:
        prompt: text, for text-to-image maps.
        class_label: integer in [0, num_classes), for class-conditional maps.
        observation: what was measured of the image, for inverse problems; any object with a ``digest`` attribute.
    """

    prompt: str | None = None
    class_label: int | None = None
    observation: Any = None

    def given(self) -> frozenset[str]:
        """Names of the parts that are set."""
        return frozenset(f.name for f in fields(self) if getattr(self, f.name) is not None)

    def to_json(self) -> dict[str, Any]:
        """Canonical form for keys and results: only the parts that are set, an observation by its digest."""
        parts = {name: getattr(self, name) for name in sorted(self.given())}
        if "observation" in parts:
            parts["observation"] = parts["observation"].digest
        return parts


EMPTY = Condition()


def check_condition(
    condition: Condition,
    accepts: frozenset[str],
    requires: frozenset[str],
    num_classes: int | None,
    *,
    name: str,
) -> None:
    """Refuse a condition that the map ``name`` would ignore, that lacks what it needs, or that is out of range.

    Raises:
        UsageError: with what was given and what the map takes.
    """
    given = condition.given()
    if ignored := given - accepts:
        takes = ", ".join(sorted(accepts)) or "none"
        raise UsageError(
            f"{name} would ignore the {_words(ignored)} given to it (it accepts: {takes}); leave it out, or choose a "
            "conditional model"
        )
    if missing := requires - given:
        words = _words(missing)
        article = "an" if words[0] in "aeiou" else "a"
        raise UsageError(f"{name} needs {article} {words} for every sample, and none was given")
    label = condition.class_label
    if label is not None and num_classes is not None and not 0 <= label < num_classes:
        raise UsageError(f"class label {label} is out of range: {name} has classes 0 to {num_classes - 1}")


def _words(kinds: frozenset[str]) -> str:
    return " and ".join(kind.replace("_", " ") for kind in sorted(kinds))
