"""``Subject``: a map under test, however it was given, with the noise and the conditions that it is tried on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias, TypeVar, cast

from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.engine.executors import Recipe
from reprozoo.engine.executors.sampling import exact_numerics
from reprozoo.maps.condition import CONDITION_KINDS, EMPTY, Condition
from reprozoo.maps.contract import NoiseToImageMap
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.testing.fresh_process import Report, run_in_fresh_process
from reprozoo.testing.results import CheckFailed, CheckSkipped

T = TypeVar("T")

BATCH = 3
PROMPTS = (
    "a photograph of an astronaut riding a horse",
    "an oil painting of a lighthouse in a storm",
    "a bowl of green apples on a wooden table",
)

Target: TypeAlias = NoiseToImageMap | Recipe | str | Callable[[], NoiseToImageMap]


class Subject:
    """One map under test; what its checks have in common is made once and kept here.

    Args:
        target: a map; or what makes one, and then nothing is loaded before a check needs it: a map spec, a recipe as
            ``reprozoo.resolve`` returns, or a function without arguments.
        conditions: ``BATCH`` conditions for its samples; ``default_conditions`` by default.

    Raises:
        UsageError: ``target`` is none of these, or there are more or fewer conditions.
    """

    def __init__(self, target: Target, conditions: Sequence[Condition] | None = None) -> None:
        if conditions is not None and len(conditions) != BATCH:
            raise UsageError(f"expected {BATCH} conditions, one for each sample of a check, got {len(conditions)}")
        if not (isinstance(target, (NoiseToImageMap, str)) or hasattr(target, "load") or callable(target)):
            raise UsageError(
                f"expected a map, a map spec, a recipe or a function that returns a map, got {type(target).__name__}"
            )
        self.target = target
        self._conditions = None if conditions is None else tuple(conditions)
        self._map: NoiseToImageMap | None = None
        self._images: Tensor | None = None
        self._singles: dict[tuple[int, Condition], Tensor] = {}
        self._answer: Report | CheckFailed | None = None
        self._failures: list[str] = []

    @property
    def name(self) -> str:
        """What to call it, without loading anything."""
        if isinstance(self.target, str):
            return self.target
        if isinstance(self.target, NoiseToImageMap):
            return self.target.display_name
        named = getattr(self.target, "display_id", None) or getattr(self.target, "__qualname__", None)
        return str(named or type(self.target).__name__)

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe of a spec or a recipe; None of a map or a function.

        Raises:
            CheckSkipped: an earlier check found that the spec names nothing that could be loaded.
        """
        if isinstance(self.target, str):
            from reprozoo.zoo.resolving import resolve

            spec = self.target
            return self._once("cannot be found", lambda: resolve(spec))
        given = isinstance(self.target, NoiseToImageMap) or not hasattr(self.target, "load")
        return None if given else self.target  # type: ignore[return-value]  # what has load is taken for a recipe

    @property
    def map(self) -> NoiseToImageMap:
        """The map, loaded when it is first asked for.

        Raises:
            CheckSkipped: an earlier check found that it cannot be loaded, or gives no images.
        """
        for failure in self._failures:
            raise CheckSkipped(failure)
        if self._map is None:
            self._map = self._once("cannot be loaded", self.fresh)
        return self._map

    def load(self) -> None:
        """Load the map now, so that what is wrong with it is raised here and not by a check.

        Raises:
            ReprozooError: as the recipe says.
        """
        self.map  # noqa: B018  # loading is what the property does

    def fresh(self) -> NoiseToImageMap:
        """The map that was given, or another one just loaded."""
        if isinstance(self.target, NoiseToImageMap):
            return self.target
        if self.recipe is not None:
            return self.recipe.load()
        made = self.target() if callable(self.target) else None
        if not isinstance(made, NoiseToImageMap):
            raise UsageError(f"{self.name} returned {type(made).__name__} where a NoiseToImageMap was expected")
        return made

    def release(self) -> None:
        """Let go of the map; the images that were made stay, and the map is loaded again if a check needs it."""
        self._map = None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """One for each row of ``noise``."""
        if self._conditions is None:
            self._conditions = default_conditions(self.map)
        return self._conditions

    def noise(self) -> Tensor:
        """(BATCH, *noise_shape): a copy of its own for each caller."""
        return NoiseBank(seed=0).noise(range(BATCH), self.map.noise_shape)

    def run(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """The images of ``noise``, with the numerics of a comparison (no TensorFloat-32)."""
        with exact_numerics():
            return self.map(noise, conditions)

    @property
    def images(self) -> Tensor:
        """(BATCH, *image_shape): the images of ``noise`` and ``conditions``, made once.

        Raises:
            CheckSkipped: an earlier check found that the map gives none.
        """
        if self._images is None:
            noise, conditions = self.noise(), self.conditions
            self._images = self._once("gives no images", lambda: self.run(noise, conditions))
        return self._images

    def single(self, row: int, condition: Condition) -> Tensor:
        """The image of one row of ``noise``, made by itself, once for each condition."""
        key = (row, condition)
        if key not in self._singles:
            self._singles[key] = self.run(self.noise()[row : row + 1], [condition])[0]
        return self._singles[key]

    def fresh_process(self) -> Report:
        """What became of the recipe in a fresh process, run once; this process lets go of its own map first.

        Raises:
            CheckFailed: the recipe does not get there, or the process died.
        """
        if self._answer is None:
            noise, conditions, _ = self.noise(), self.conditions, self.images
            self.release()
            try:
                self._answer = run_in_fresh_process(cast(Recipe, self.recipe), noise, conditions)
            except CheckFailed as error:
                self._answer = error
        if isinstance(self._answer, CheckFailed):
            raise self._answer
        return self._answer

    def _once(self, what: str, make: Callable[[], T]) -> T:
        """What ``make`` makes; it raises for one check alone, and the others are skipped."""
        for failure in self._failures:
            raise CheckSkipped(failure)
        try:
            return make()
        except CheckSkipped:
            raise
        except BaseException:
            self._failures.append(f"the map {what}: the first check that failed says why")
            raise


def default_conditions(target: NoiseToImageMap) -> tuple[Condition, ...]:
    """What the samples of a map need to be made at all: each another of the ``examples`` of every kind it requires."""
    made = [EMPTY] * BATCH
    for kind in sorted(target.requires):
        values = examples(target, kind)
        made = [replace(condition, **{kind: values[i % len(values)]}) for i, condition in enumerate(made)]
    return tuple(made)


def examples(target: NoiseToImageMap, kind: str) -> tuple[Any, ...]:
    """Values that a map which accepts this kind of condition may be given: prompts, labels, half-hidden ramps of grey.

    Raises:
        UsageError: there is no such kind.
    """
    if kind == "prompt":
        return PROMPTS
    if kind == "class_label":
        return tuple(range(min(BATCH, target.num_classes or BATCH)))
    if kind == "observation":
        from reprozoo.testing.observed import example_observations

        return example_observations(target.image_shape)
    raise UsageError(f"{target.display_name} takes a condition {kind!r}; the kinds are {', '.join(CONDITION_KINDS)}")


def largest_gap(a: Tensor, b: Tensor) -> float:
    """The largest difference of two tensors."""
    return float((a - b).abs().max()) if a.numel() else 0.0
