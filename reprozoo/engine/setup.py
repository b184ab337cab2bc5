"""What a run needs to know before it starts, checked: noises, conditions, device, batch size, room on the disk."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reprozoo.base.devices import resolve_device
from reprozoo.base.errors import UsageError
from reprozoo.engine.executors import Executor, LocalExecutor, Recipe
from reprozoo.engine.progress import Progress
from reprozoo.engine.store import SHARD_ROWS, Store
from reprozoo.maps.condition import Condition
from reprozoo.maps.conditions import Conditions, InTurn, as_conditions
from reprozoo.maps.noise.bank import NoiseBank, NoiseSource
from reprozoo.maps.noise.files import NoiseFile
from reprozoo.measures.descriptors import Descriptor, load_descriptor

MAX_SAMPLES = 10_000_000
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


def make_setup(
    *,
    num_samples: int,
    seed: int,
    noise: NoiseSource | str | Path | None,
    conditions: Conditions | Condition | Sequence[Condition],
    device: str,
    batch_size: int | None,
    store: Store | None,
    executor: Executor | None,
    progress: Progress | None,
) -> Setup:
    """Check the choices that concern no particular model.

    Raises:
        UsageError: one of them is out of range, or the noise does not suffice.
    """
    if not 1 <= num_samples <= MAX_SAMPLES:
        raise UsageError(f"the number of samples is from 1 to {MAX_SAMPLES:,}, got {num_samples:,}")
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"a batch holds at least one sample, got a batch size of {batch_size}")
    source = NoiseFile(noise) if isinstance(noise, (str, Path)) else noise
    return Setup(
        noise=source or NoiseBank(seed),
        indices=_indices(source, num_samples),
        conditions=as_conditions(conditions),
        device=resolve_device(device),
        batch_size=batch_size,
        store=store or Store(),
        executor=executor or LocalExecutor(),
        progress=progress,
    )


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
    for what in ("noise_shape", "image_shape"):
        by_shape = {tuple(getattr(recipe, what)): recipe.display_id for recipe in recipes}
        if len(by_shape) > 1:
            (first, a), (second, b) = list(by_shape.items())[:2]
            raise UsageError(
                f"{a} and {b} cannot be compared: the {what.replace('_', ' ')} of one is {_size(first)}, of the other "
                f"{_size(second)}; models are compared on equal noise, image by image, and nothing is resized"
            )
    for recipe in recipes:
        check = getattr(recipe, "check_conditions", None)  # not every recipe knows before it is loaded
        if check is not None:
            check(setup.conditions.every())


def check_room(setup: Setup, needed_bytes: int) -> None:
    """Refuse work whose images would not fit on the disk.

    Raises:
        UsageError: with what is needed and what is free.
    """
    place = next((p for p in (setup.store.root, *setup.store.root.absolute().parents) if p.exists()), None)
    free = shutil.disk_usage(place).free if place else needed_bytes
    if needed_bytes > free:
        raise UsageError(
            f"the images need {needed_bytes / 1e9:,.1f} GB in {setup.store.root}, and {free / 1e9:,.1f} GB are free "
            "there; ask for fewer samples, make room (`reprozoo cache prune --unused-for 30d`), or choose another "
            "place with REPROZOO_HOME"
        )


def zoo_or_default(zoo: Any) -> Any:
    """The zoo given, or that of this environment."""
    if zoo is not None:
        return zoo
    from reprozoo.zoo.resolving import default_zoo

    return default_zoo()


def descriptor_of(descriptor: str | Descriptor, zoo: Any, offline: bool, threads: int | None) -> Descriptor:
    """The descriptor itself, or the one of this name among the cards and plugins of the zoo."""
    if isinstance(descriptor, Descriptor):
        return descriptor
    registry, plugins = getattr(zoo, "registry", None), getattr(zoo, "plugins", None)
    return load_descriptor(descriptor, registry=registry, plugins=plugins, offline=offline, threads=threads)


def _indices(source: NoiseSource | None, num_samples: int) -> Sequence[int]:
    """The first noises: from 0 on, or those that a file has."""
    if not isinstance(source, NoiseFile):
        return range(num_samples)
    if num_samples > len(source):
        raise UsageError(f"{source.path} holds {len(source):,} noises, and {num_samples:,} are asked for; lower -n")
    return sorted(source.indices[:num_samples])


def _size(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
