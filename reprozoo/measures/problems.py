"""What an inverse problem, or another plugin that poses one, makes of a run.

A problem takes the models and conditions that were asked for and gives others: models with a solver over them, an
observation for every noise, and images that have no model, such as the truth, to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from reprozoo.maps.conditions import Conditions
from reprozoo.measures.base import Measure

ByIndex = Callable[[Sequence[int]], NDArray[Any]]


@dataclass(frozen=True)
class Reference:
    """Something without a model that every model's images are compared with, by the index of the noise.

    Args:
        label: as results name it, e.g. "truth".
        key: equal only for equal content.
        rows: what measures get as their second side: uint8 images, or measurements.
        pictures: the same as uint8 images for a reader.
        measures: what is measured against it: names of installed measures, or measures that the problem makes.
    """

    label: str
    key: str
    rows: ByIndex
    pictures: ByIndex
    measures: Sequence[str | Measure]


@dataclass(frozen=True)
class Posed:
    """A run under a problem.

    Args:
        zoo: resolves the specs of models, with the problem's solver over each.
        conditions: of the noises, observations included.
        references: what results are compared with, besides each other.
        title: the problem in a few words, as reports head it.
        plugins: those that gave a part of it, as results record them.
    """

    zoo: Any
    conditions: Conditions
    references: Sequence[Reference] = ()
    title: str = ""
    plugins: Sequence[Mapping[str, str]] = ()


class Problem(Protocol):
    """What ``ProblemSpec.load`` names: a function that poses it.

    Args:
        question: with the attributes ``inverse``, ``observation``, ``observation_noise`` and ``solver``.
        zoo: where the specs of models are resolved.
        specs: of the models and baselines.
        conditions: what the noises are given besides.
        offline: fetch nothing.

    Raises:
        UsageError: only a part of a problem, a model that cannot be asked it, or one that does not fit the models.
    """

    def __call__(
        self, question: Any, zoo: Any, specs: Sequence[str], conditions: Conditions, *, offline: bool
    ) -> Posed: ...
