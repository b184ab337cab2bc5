"""One shard: noise, conditions, map, pixels; smaller batches where memory runs out; numerics that do not drift."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reprozoo.base.errors import PartialError
from reprozoo.engine.executors.base import ShardTask
from reprozoo.maps.contract import NoiseToImageMap
from reprozoo.maps.images import to_uint8

OUT_OF_MEMORY_WORDS = ("out of memory", "can't allocate memory", "failed to allocate", "not enough memory")


class BatchSize:
    """How many images at a time; only ever falls."""

    def __init__(self, value: int) -> None:
        self.value = value

    def halve(self) -> None:
        self.value = (self.value + 1) // 2


def sample(loaded: NoiseToImageMap, task: ShardTask, batch_size: BatchSize) -> Iterator[NDArray[np.uint8]]:
    """The images of a task, batch by batch.

    Args:
        batch_size: is halved, as often as needed, when memory runs out.

    Yields:
        (count, *image_shape) uint8.

    Raises:
        PartialError: memory does not suffice for a single image.
    """
    start = task.start
    while start < task.stop:
        stop = min(start + batch_size.value, task.stop)
        batch = _batch(loaded, task, range(start, stop))
        if batch is None:
            if stop - start == 1:
                raise PartialError(
                    f"memory does not suffice for one image of {task.recipe.display_id}; finished images are kept: "
                    "close other programs, or run the same command with another --device or --dtype"
                )
            batch_size.value = stop - start
            batch_size.halve()
            continue
        yield batch
        start = stop


def _batch(loaded: NoiseToImageMap, task: ShardTask, indices: range) -> NDArray[np.uint8] | None:
    """Images of some noises, or None where memory runs out."""
    noise = task.noise.noise(indices, task.recipe.noise_shape)
    conditions = [task.conditions.at(i) for i in indices]
    try:
        images: NDArray[np.uint8] = to_uint8(loaded(noise, conditions)).numpy()
        return images
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
    if torch.cuda.is_available():  # outside of the handler: its traceback keeps tensors alive
        torch.cuda.empty_cache()
    return None


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(words in str(error).lower() for words in OUT_OF_MEMORY_WORDS)


@contextmanager
def exact_numerics() -> Iterator[None]:
    """No TensorFloat-32, no algorithm chosen by timing: what makes one GPU's images differ from the next run's.

    The caller's settings are put back.
    """
    with ExitStack() as stack:
        for owner, name, value in _settings():
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        yield


def _settings() -> list[tuple[Any, str, Any]]:
    backends: Any = torch.backends
    settings = [(backends.cudnn, "benchmark", False), (backends.cudnn, "deterministic", True)]
    if hasattr(backends, "fp32_precision"):  # torch 2.9 and later
        owners = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul)
        return [*settings, *((owner, "fp32_precision", "ieee") for owner in owners)]
    return [*settings, (backends.cuda.matmul, "allow_tf32", False), (backends.cudnn, "allow_tf32", False)]
