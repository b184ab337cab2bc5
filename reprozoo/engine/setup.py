"""What a run needs to know before it starts, checked: noises, conditions, device, batch size, room on the disk."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from reprozoo.base.devices import resolve_device
from reprozoo.base.errors import UsageError
from reprozoo.engine.checking import Materials, Workplace, check_shapes, conditions_of
from reprozoo.engine.executors import Executor, LocalExecutor, Recipe
from reprozoo.engine.progress import Progress
from reprozoo.engine.question import Question, default_of
from reprozoo.engine.store import SHARD_ROWS, Store
from reprozoo.maps.conditions import Conditions, InTurn
from reprozoo.maps.noise.arrays import ArrayNoise
from reprozoo.maps.noise.bank import NoiseBank, NoiseSource
from reprozoo.maps.noise.files import NoiseFile

# Values of a batch of images: 64 of 3×32×32 on a CPU, 64 of 3×128×128 on a GPU. Bits depend on the batch size, so it
# must not depend on how much memory a machine has.
BATCH_VALUES = {"cpu": 64 * 3 * 32 * 32}
BATCH_VALUES_OF_ACCELERATORS = 64 * 3 * 128 * 128
LARGEST_BATCH = SHARD_ROWS


@dataclass(frozen=True)
class Setup:
    """One run's choices.

    Attributes:
        noise: where noise comes from.
        indices: of the noises, increasing.
        conditions: which of them each noise gets.
        device: torch device string, never "auto".
        batch_size: None for the default of each model.
    """

    noise: NoiseSource
    indices: Sequence[int]
    conditions: Conditions = field(default_factory=InTurn)
    device: str = "cpu"
    batch_size: int | None = None
    store: Store = field(default_factory=Store)
    executor: Executor = field(default_factory=LocalExecutor)
    progress: Progress | None = None

    def batch_size_of(self, recipe: Recipe) -> int:
        """Images at a time for this model: fewer where each takes more memory than plain sampling (``memory``)."""
        usual = default_batch_size(recipe.image_shape, self.device)
        return self.batch_size or max(1, usual // getattr(recipe, "memory", 1))

    def store_of(self, recipe: Recipe) -> Store:
        """Where a model's images are kept: those of an object without a provable identity, not beyond the process."""
        own: Store | None = getattr(recipe, "store", None)
        return own or self.store


def make_setup(question: Question, materials: Materials, place: Workplace) -> Setup:
    """The choices that concern no particular model.

    Raises:
        UsageError: the device is not there, or the noise does not suffice.
    """
    source = noise_source(question, materials)
    return Setup(
        noise=source,
        indices=_indices(source, question),
        conditions=conditions_of(question, materials),
        device=resolve_device(question.device),
        batch_size=question.batch_size,
        store=place.store or Store(),
        executor=place.executor or LocalExecutor(),
        progress=place.progress,
    )


def noise_source(question: Question, materials: Materials) -> NoiseSource:
    """The object that was given, a file, or the bank of the seed."""
    if materials.noise is not None:
        return materials.noise if hasattr(materials.noise, "spec") else ArrayNoise(materials.noise)
    return NoiseFile(question.noise) if question.noise is not None else NoiseBank(question.seed)


def default_batch_size(image_shape: Sequence[int], device: str) -> int:
    """A power of two from 1 to 64: the same on every machine, since images may depend on it in their last bit.

    >>> default_batch_size((3, 32, 32), "cpu"), default_batch_size((3, 256, 256), "cuda")
    (64, 16)
    """
    budget = BATCH_VALUES.get(device.split(":")[0], BATCH_VALUES_OF_ACCELERATORS)
    fitting = max(1, budget // math.prod(image_shape))
    return min(LARGEST_BATCH, 1 << (fitting.bit_length() - 1))


def fitted_to(recipes: Sequence[Recipe], setup: Setup) -> Setup:
    """The setup for these models, its conditions bound to them.

    Raises:
        UsageError: as ``check_models``, or no condition suits all of them.
    """
    classes = [recipe.num_classes for recipe in recipes]
    setup = replace(setup, conditions=setup.conditions.bound(setup.noise, classes))
    check_models(recipes, setup)
    return setup


def check_models(recipes: Sequence[Recipe], setup: Setup) -> None:
    """Refuse models that cannot be compared on the same noises, and conditions that one of them does not take.

    Raises:
        UsageError: with the first two that differ, or what a model takes.
    """
    check_shapes({recipe.display_id: recipe for recipe in recipes})
    for recipe in recipes:
        check = getattr(recipe, "check_conditions", None)  # not every recipe knows before it is loaded
        if check is not None:
            check(setup.conditions.every())


def check_room(store: Store, needed_bytes: int) -> None:
    """Refuse work whose images would not fit on the disk.

    Raises:
        UsageError: with what is needed and what is free.
    """
    place = next((p for p in (store.root, *store.root.absolute().parents) if p.exists()), None)
    free = shutil.disk_usage(place).free if place else needed_bytes
    if needed_bytes > free:
        raise UsageError(
            f"the images need {needed_bytes / 1e9:,.1f} GB in {store.root}, and {free / 1e9:,.1f} GB are free "
            "there; ask for fewer samples, make room (`reprozoo cache prune --unused-for 30d`), or choose another "
            "place with REPROZOO_HOME"
        )


def _indices(source: NoiseSource, question: Question) -> Sequence[int]:
    """The noises asked for, from ``first`` on; of a file, all that it has where no number was asked for."""
    held = getattr(source, "indices", None)
    if held is None:
        return range(question.first, question.first + question.num_samples)
    wanted = [index for index in held if index >= question.first]
    if not wanted or (question.num_samples > len(wanted) and question.num_samples != default_of("num_samples")):
        raise UsageError(
            f"{getattr(source, 'path', 'the noise')} holds {len(wanted):,} noises, and {question.num_samples:,} are "
            "asked for; lower -n"
        )
    return sorted(wanted[: question.num_samples])
