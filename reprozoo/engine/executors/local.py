"""Shards made in this process, one map loaded at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from reprozoo.base.errors import ContractError, ReprozooError
from reprozoo.engine.executors.base import OnImages, Recipe, ShardDone, ShardTask
from reprozoo.engine.executors.sampling import BatchSize, exact_numerics, sample
from reprozoo.engine.store import Entry
from reprozoo.maps.contract import NoiseToImageMap

FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 1.0


class LocalExecutor:
    """Work through the tasks here; shards that another process is making are waited for, last."""

    def run(self, tasks: Sequence[ShardTask], *, on_images: OnImages | None = None) -> Iterator[ShardDone]:
        on_images = on_images or (lambda count: None)
        loaded = _OneMap()
        left = list(tasks)
        wait_s = FIRST_WAIT_S
        while left:
            held = []
            for task in left:
                done = _try(task, loaded, on_images)
                if done is None:
                    held.append(task)
                else:
                    wait_s = FIRST_WAIT_S
                    yield done
            left = held
            if left:
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _try(task: ShardTask, loaded: _OneMap, on_images: OnImages) -> ShardDone | None:
    """Make what is missing of a shard, or None while another process makes it."""
    entry = task.entry
    lease = entry.lease(task.start, task.stop)
    if lease is None:
        return None
    with lease:
        made, seconds = 0, 0.0
        for start, stop in entry.missing(range(task.start, task.stop), block=task.stop):

            def on_batch(count: int) -> None:
                lease.renew()
                on_images(count)

            started = time.perf_counter()
            _fill(entry, task.part(start, stop), loaded, on_batch)
            seconds += time.perf_counter() - started
            made += stop - start
        if made < task.stop - task.start:
            on_images(task.stop - task.start - made)
    return ShardDone(task, made, seconds)


def _fill(entry: Entry, task: ShardTask, loaded: _OneMap, on_batch: OnImages) -> None:
    """Make the images of a task and store them: all, or those finished before it failed or was interrupted."""
    images = np.empty((task.stop - task.start, *task.recipe.image_shape), np.uint8)
    done, batch_size = 0, loaded.batch_size(task)
    try:
        with _explained(task):
            for batch in sample(loaded.get(task.recipe), task, batch_size):
                images[done : done + len(batch)] = batch
                done += len(batch)
                on_batch(len(batch))
    finally:
        if done:
            entry.put(task.start, images[:done], facts={"batch_size": batch_size.value})


class _OneMap:
    """The map of the last recipe, and the batch size that fits into memory with it."""

    def __init__(self) -> None:
        self._recipe: Recipe | None = None
        self._map: NoiseToImageMap | None = None
        self._batch_sizes: dict[int, BatchSize] = {}

    def get(self, recipe: Recipe) -> NoiseToImageMap:
        if self._map is None or recipe is not self._recipe:
            self._map = None  # give its memory back before the next one is loaded
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._map, self._recipe, self._batch_sizes = recipe.load(), recipe, {}
        return self._map

    def batch_size(self, task: ShardTask) -> BatchSize:
        if task.recipe is not self._recipe:
            self.get(task.recipe)
        return self._batch_sizes.setdefault(task.batch_size, BatchSize(task.batch_size))


@contextmanager
def _explained(task: ShardTask) -> Iterator[None]:
    """Turn what a plugin's map raises into a sentence."""
    try:
        with exact_numerics():
            yield
    except ReprozooError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise ContractError(
            f"{task.recipe.display_id} failed on noises {task.start} to {task.stop - 1}: {type(error).__name__}: {text}"
        ) from error
