"""Models sampled once each: what the store lacks is made, shard by shard."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reprozoo.engine.executors import Recipe, ShardDone, ShardTask
from reprozoo.engine.progress import Meter
from reprozoo.engine.result import Role, SideRecord
from reprozoo.engine.setup import Setup, check_room
from reprozoo.engine.sides import Side
from reprozoo.engine.store import SHARD_ROWS, Entry
from reprozoo.maps.images import ROUNDING

IMAGES_SCHEMA = 1


@dataclass(frozen=True)
class _Wanted:
    """One model at one batch size."""

    recipe: Recipe
    entry: Entry
    indices: Sequence[int]
    batch_size: int
    missing: list[tuple[int, int]]

    @property
    def missing_count(self) -> int:
        return sum(stop - start for start, stop in self.missing)


def sample_models(
    recipes: Sequence[Recipe],
    labels: Sequence[str],
    setup: Setup,
    *,
    repeats: Sequence[int],
    roles: Sequence[Role] | None = None,
) -> list[Side]:
    """Make every image that is not in the store yet.

    Args:
        labels: one a recipe, all different.
        roles: what each is in the result; models where left out.
        repeats: how many noises each recipe runs again at another batch size; 0 or 1 for none.

    Raises:
        ReprozooError: a map failed, or the store cannot be written or is damaged; what was finished stays.
    """
    plan = []
    for recipe, repeat in zip(recipes, repeats, strict=True):
        batch_size = setup.batch_size_of(recipe)
        wanted = [_wanted(recipe, setup, setup.indices, batch_size)]
        if repeat > 1:  # one image alone has no other batch size
            other = other_batch_size(min(batch_size, repeat))
            wanted.append(_wanted(recipe, setup, setup.indices[:repeat], other))
        plan.append(wanted)
    every = [wanted for model in plan for wanted in model]
    unique = list({wanted.entry.key: wanted for wanted in every}.values())  # one spec may be given twice
    check_room(setup.store, sum(wanted.missing_count * math.prod(wanted.recipe.image_shape) for wanted in unique))
    done = _make(unique, setup)
    given = roles or ["model"] * len(recipes)
    return [_side(model, label, role, done) for model, label, role in zip(plan, labels, given, strict=True)]


def other_batch_size(batch_size: int) -> int:
    """The batch size of the repetition: a third, so that 64 noises come in odd batches and one alone.

    Args:
        batch_size: of the largest batch that the first run really has.

    >>> other_batch_size(64), other_batch_size(2), other_batch_size(1)
    (21, 1, 2)
    """
    return 2 if batch_size == 1 else max(1, batch_size // 3)


def images_document(recipe: Recipe, setup: Setup, batch_size: int) -> dict[str, Any]:
    """Everything that can change the images of a model in this run."""
    return {
        "schema": IMAGES_SCHEMA,
        "map": recipe.identity(),
        "noise": setup.noise.spec(),
        "conditions": setup.conditions.to_json(),
        "rounding": ROUNDING,
        "batch_size": batch_size,
    }


def _wanted(recipe: Recipe, setup: Setup, indices: Sequence[int], batch_size: int) -> _Wanted:
    entry = setup.store_of(recipe).entry("images", images_document(recipe, setup, batch_size))
    block = SHARD_ROWS * -(-batch_size // SHARD_ROWS)  # a batch never crosses two shards
    return _Wanted(recipe, entry, indices, batch_size, entry.missing(indices, block=block))


def _make(plan: Sequence[_Wanted], setup: Setup) -> Mapping[str, list[ShardDone]]:
    """Run the shards that are missing; what was done, by key."""
    meter = Meter(setup.progress, "sampling", sum(wanted.missing_count for wanted in plan))
    done: dict[str, list[ShardDone]] = {wanted.entry.key: [] for wanted in plan}
    for wanted in plan:
        wanted.entry.touch()
    for recipe in {id(wanted.recipe): wanted.recipe for wanted in plan}.values():
        meter.label = recipe.display_id
        own = [wanted for wanted in plan if wanted.recipe is recipe]
        tasks = [(wanted, _task(wanted, setup, *rows)) for wanted in own for rows in wanted.missing]
        if not tasks:
            continue
        keys = {id(task): wanted.entry.key for wanted, task in tasks}
        for shard in setup.executor.run([task for _, task in tasks], on_images=meter.add):
            done[keys[id(shard.task)]].append(shard)
    return done


def _task(wanted: _Wanted, setup: Setup, start: int, stop: int) -> ShardTask:
    root = setup.store_of(wanted.recipe).root
    return ShardTask(
        wanted.recipe, setup.noise, setup.conditions, root, wanted.entry.document, start, stop, wanted.batch_size
    )


def _side(model: Sequence[_Wanted], label: str, role: Role, done: Mapping[str, list[ShardDone]]) -> Side:
    main, floor = model[0], model[1] if len(model) > 1 else None
    recipe, shards = main.recipe, done[main.entry.key]
    made = sum(shard.made for shard in shards)
    record = SideRecord(
        label=label,
        spec=recipe.display_id,
        role=role,
        facts=recipe.facts(),
        image_shape=list(recipe.image_shape),
        images_key=main.entry.key,
        weights_digest=recipe.weights_digest,
        sampled=made,
        reused=len(main.indices) - made,
        sampling_s=sum(shard.seconds for shard in shards),
        batch_size=main.batch_size,
        smallest_batch_size=_smallest_batch_size(main),
        other_batch_size=floor.batch_size if floor else 0,
        kept=not hasattr(recipe, "store"),
    )
    return Side(record, main.entry, floor.entry if floor else None, len(floor.indices) if floor else 0)


def _smallest_batch_size(wanted: _Wanted) -> int:
    """Less than was asked for where memory ran out, in this run or in the one that filled the store."""
    first, last = wanted.indices[0], wanted.indices[-1]
    needed = [int(shard.facts.get("batch_size", wanted.batch_size)) for shard in wanted.entry.shards(first, last + 1)]
    return min([wanted.batch_size, *needed])
