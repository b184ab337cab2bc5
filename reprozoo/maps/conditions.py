"""Which condition each noise gets: a pure function of the noise's index, so that no split of the work can change it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

from reprozoo.base.errors import UsageError
from reprozoo.maps.condition import Condition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reprozoo.maps.noise.bank import NoiseSource

RANDOM = "random"
MOST_LABELS = 100_000
NAMES = {"prompt": "{}", "class_label": "class {}", "observation": "observation {:.8}"}


class Conditions(Protocol):
    """A source of conditions; picklable."""

    def at(self, index: int) -> Condition:
        """The condition of noise ``index``."""
        ...

    def every(self) -> Sequence[Condition]:
        """Each condition that can come up, or one that stands for all: what models are checked against."""
        ...

    def groups(self, indices: Sequence[int]) -> NDArray[np.int64]:
        """(len(indices),) numbers, equal for noises of equal condition: these are mismatched with each other."""
        ...

    def name(self, group: int) -> str:
        """How the condition of one of the numbers of ``groups`` is called."""
        ...

    def bound(self, noise: NoiseSource, num_classes: Sequence[int | None]) -> Self:
        """The same for these noises and for models of so many classes, None for those without any.

        Raises:
            UsageError: no condition suits all of the models.
        """
        ...

    def to_json(self) -> dict[str, Any]:
        """What identifies it; empty where there are no conditions."""
        ...

    def record(self) -> dict[str, Any]:
        """``to_json`` as results show it: with the names that a person gave."""
        ...


@dataclass(frozen=True)
class InTurn:
    """Noise i gets conditions[i mod their number]; with none, the empty condition.

    Args:
        conditions: any number of them.
        names: how each is called in results; by default its prompt, or "class 3".
    """

    conditions: tuple[Condition, ...] = ()
    names: tuple[str, ...] = ()

    def at(self, index: int) -> Condition:
        return self.conditions[index % len(self.conditions)] if self.conditions else Condition()

    def every(self) -> Sequence[Condition]:
        return self.conditions

    def groups(self, indices: Sequence[int]) -> NDArray[np.int64]:
        import numpy as np

        period = max(1, len(self.conditions))
        return np.array([index % period for index in indices], np.int64)

    def bound(self, noise: NoiseSource, num_classes: Sequence[int | None]) -> Self:
        return self

    def name(self, group: int) -> str:
        if self.names:
            return self.names[group]
        given = self.conditions[group].to_json() if self.conditions else {}
        return ", ".join(NAMES[kind].format(value) for kind, value in given.items())

    def to_json(self) -> dict[str, Any]:
        return {"in_turn": [condition.to_json() for condition in self.conditions]} if self.conditions else {}

    def record(self) -> dict[str, Any]:
        return self.to_json() | ({"names": list(self.names)} if self.names else {})


@dataclass(frozen=True)
class RandomClasses:
    """Every noise gets a class of its own, as ``noise.random_class`` draws it from seed and index.

    Args:
        seed: None for that of the noise: what a noise file records, otherwise 0.
        num_classes: None for that of the models.
    """

    seed: int | None = None
    num_classes: int | None = None

    def at(self, index: int) -> Condition:
        return Condition(class_label=self._label(index))

    def every(self) -> Sequence[Condition]:
        return (Condition(class_label=0),)

    def groups(self, indices: Sequence[int]) -> NDArray[np.int64]:
        import numpy as np

        return np.array([self._label(index) for index in indices], np.int64)

    def bound(self, noise: NoiseSource, num_classes: Sequence[int | None]) -> Self:
        known = sorted({count for count in num_classes if count is not None})
        if self.num_classes is None and len(known) > 1:
            raise UsageError(
                f"a random class must mean the same to every model, and these have {' and '.join(map(str, known))} "
                "classes; choose the labels with --class 0-9, or models of equal classes"
            )
        return replace(
            self,
            seed=noise.seed if self.seed is None else self.seed,
            # Without any class the check of the models refuses the label.
            num_classes=self.num_classes or (known[0] if known else 1),
        )

    def name(self, group: int) -> str:
        return NAMES["class_label"].format(group)

    def to_json(self) -> dict[str, Any]:
        return {"random_class": {"seed": self.seed, "num_classes": self.num_classes}}

    def record(self) -> dict[str, Any]:
        return self.to_json()

    def _label(self, index: int) -> int:
        if self.seed is None or self.num_classes is None:
            raise UsageError("random classes need a seed and a number of classes; give them, or call bound() first")
        from reprozoo.maps.noise.classes import random_class

        return random_class(self.seed, index, self.num_classes)


def as_conditions(given: Conditions | Condition | Sequence[Condition]) -> Conditions:
    """One condition for all noises, several in turn, or a source as it is."""
    if isinstance(given, Condition):
        return InTurn((given,))
    return InTurn(tuple(given)) if isinstance(given, Sequence) else given


def class_labels(text: str) -> list[int] | None:
    """The labels that a text names: "3", "1,5,7" or "0-9"; None for "random".

    Raises:
        UsageError: it names no label, or too many.
    """
    if text == RANDOM:
        return None
    labels: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(-?\d+)(?:-(\d+))?", part.strip())
        if match is None:
            raise UsageError(f"{text!r} is no class label; expected 3, 1,5,7, 0-9 or {RANDOM}")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 <= last - first < MOST_LABELS:
            raise UsageError(f"{part.strip()!r} is no range of class labels; expected e.g. 0-9")
        labels += range(first, last + 1)
    return labels


def conditions_of_classes(text: str) -> Conditions:
    """Each of the labels in turn, or a random one for each noise."""
    labels = class_labels(text)
    return RandomClasses() if labels is None else InTurn(tuple(Condition(class_label=label) for label in labels))
