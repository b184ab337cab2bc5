"""A shard of work as plain data, and what an executor promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from reprozoo.engine.store import Entry, Store
from reprozoo.maps.conditions import Conditions
from reprozoo.maps.contract import NoiseToImageMap
from reprozoo.maps.noise.bank import NoiseSource

OnImages = Callable[[int], None]


class Recipe(Protocol):
    """A map that is not loaded yet; picklable. ``maprecipes.MapRecipe`` is one."""

    @property
    def display_id(self) -> str: ...

    @property
    def noise_shape(self) -> tuple[int, ...]: ...

    @property
    def image_shape(self) -> tuple[int, int, int]: ...

    @property
    def num_classes(self) -> int | None:
        """Of class labels; None for a map that takes none."""

    @property
    def weights_digest(self) -> str | None:
        """Equal for two recipes that run the same weights; None for a map that has none."""

    def identity(self) -> dict[str, Any]:
        """JSON of everything that can change an image."""

    def facts(self) -> dict[str, Any]:
        """What a report shows."""

    def load(self) -> NoiseToImageMap: ...


@dataclass(frozen=True)
class ShardTask:
    """Images [start, stop) of one map, to be put into one entry of the store.

    Attributes:
        conditions: which of them each noise gets.
        document: of the entry.
        batch_size: images at a time, counted from ``start``.
    """

    recipe: Recipe
    noise: NoiseSource
    conditions: Conditions
    store_root: Path
    document: Mapping[str, Any]
    start: int
    stop: int
    batch_size: int

    @property
    def entry(self) -> Entry:
        """Where the images go."""
        return Store(self.store_root).entry("images", self.document)

    def part(self, start: int, stop: int) -> ShardTask:
        """The same for other rows."""
        return replace(self, start=start, stop=stop)


@dataclass(frozen=True)
class ShardDone:
    """A shard that is in the store now.

    Attributes:
        made: images made for it here; 0 where another process had made them.
        seconds: spent on making the images.
    """

    task: ShardTask
    made: int
    seconds: float


class Executor(Protocol):
    """Makes shards; every shard it reports is in the store, with the fact "batch_size": the smallest that was needed,
    less than the task's where memory ran out.
    """

    def run(self, tasks: Sequence[ShardTask], *, on_images: OnImages | None = None) -> Iterator[ShardDone]:
        """Make the images of all tasks, those of one recipe after each other.

        Args:
            tasks: sorted by recipe.
            on_images: called with the number of images just made.

        Raises:
            ReprozooError: a map failed, or the store could not be written; what was finished stays.
        """
        ...
