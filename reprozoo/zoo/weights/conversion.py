"""Slower formats, converted to safetensors once and kept under the digest of the file that they came from."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo.base import paths
from reprozoo.base.files import whole_file
from reprozoo.zoo.weights.cache import REMEDY, require_room, sha256_of, write_json
from reprozoo.zoo.weights.checkpoint import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

VERSION = 1  # raise it when a reader names or arranges tensors in another way


def converted(path: Path, format: str, read: Callable[[], Checkpoint]) -> Checkpoint:
    """The checkpoint from its converted file or, the first time, from ``read``, which is then converted.

    A cache that cannot be written costs time at the next run, nothing else.

    Args:
        path: the source.
        format: its format and part; they and the source's digest are what the converted file is found by.
        read: reads the source.
    """
    folder = paths.weights_home() / "converted" / sha256_of(path)
    target = folder / f"{format.replace(':', '-').rstrip('-')}-v{VERSION}.safetensors"
    if (found := _load(target)) is not None:
        return found
    checkpoint = read()
    try:
        _save(checkpoint, target)
    except Exception as error:  # a full disk, a type that safetensors lacks
        logger.info("%s was not kept as safetensors: %s", path, error)
    return checkpoint


def converted_path(digest: str) -> Path | None:
    """The converted file of a source, if there is one."""
    return next(iter(sorted((paths.weights_home() / "converted" / digest).glob("*.safetensors"))), None)


def _load(target: Path) -> Checkpoint | None:
    from safetensors.torch import load_file

    try:
        note: dict[str, Any] = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))
        if sha256_of(target) != note["sha256"]:
            logger.warning("%s was damaged on disk; it is made again", target)
            return None
        tensors = load_file(target)
        return Checkpoint({name: tensors[name] for name in note["names"]}, note["init"], note["facts"])
    except (OSError, ValueError, KeyError):
        return None


def _save(checkpoint: Checkpoint, target: Path) -> None:
    from safetensors.torch import save_file

    tensors = _separate(checkpoint)
    target.parent.mkdir(parents=True, exist_ok=True)
    require_room(target.parent, sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()))
    with whole_file(target, remedy=REMEDY) as temporary:
        save_file(tensors, temporary)
        note = {
            "sha256": sha256_of(temporary),
            "names": list(checkpoint.tensors),
            "init": dict(checkpoint.init),
            "facts": dict(checkpoint.facts),
        }
    write_json(target.with_suffix(".json"), note)


def _separate(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Each tensor whole and with memory of its own, as safetensors wants them."""
    seen: set[int] = set()
    result = {}
    for name, tensor in checkpoint.tensors.items():
        place = tensor.untyped_storage().data_ptr()
        result[name] = tensor.contiguous().clone() if place in seen else tensor.contiguous()
        seen.add(place)
    return result
