"""Whether the tensors of a map go when the map goes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from reprozoo.engine.executors.sampling import exact_numerics
from reprozoo.maps.condition import Condition
from reprozoo.maps.contract import NoiseToImageMap


def kept_after_release(
    load: Callable[[], NoiseToImageMap], noise: Tensor, conditions: Sequence[Condition]
) -> tuple[Tensor, list[str]]:
    """Load a map, run it, let go of it, and see what of it stays.

    Exact: every tensor that appeared meanwhile is followed by a weak reference to its memory, which PyTorch counts
    whoever holds it, Python or not.

    Returns:
        The images, and a description of each thing that is still alive.
    """
    gc.collect()
    before = {storage._cdata for storage in _storages()}
    loaded = load()
    with exact_numerics():
        images = loaded(noise, conditions).clone()
    watched = weakref.ref(loaded)
    ours = {noise.untyped_storage()._cdata, images.untyped_storage()._cdata}
    followed = {
        storage._cdata: (StorageWeakRef(storage), storage.nbytes())  # type: ignore[no-untyped-call]
        for storage in _storages()
        if storage._cdata not in before | ours
    }
    del loaded
    gc.collect()
    sizes = [size for reference, size in followed.values() if not reference.expired()]  # type: ignore[no-untyped-call]
    kept = ["the map itself"] if watched() is not None else []
    if sizes:
        kept.append(f"{len(sizes)} of its {len(followed)} tensors, {sum(sizes):,} bytes")
    return images, kept


def _storages() -> list[torch.UntypedStorage]:
    """The memory of every tensor that Python knows."""
    found = []
    for thing in gc.get_objects():
        if issubclass(type(thing), Tensor):  # not isinstance: proxies of lazy modules would import them
            try:
                found.append(thing.untyped_storage())
            except (NotImplementedError, RuntimeError):  # sparse and other tensors without one block of memory
                continue
    return found
