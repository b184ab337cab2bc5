"""Flax's msgpack (consistency models on CIFAR-10, progressive distillation), decoded without flax or jax.

An array is the extension 1 with (shape, dtype name, bytes) inside, a NumPy scalar the extension 3 of the same form;
arrays over a gigabyte come in chunks. Other extensions, nesting and object arrays are refused.

Source of the format: google/flax ``flax/serialization.py`` (Apache-2.0); nothing of it is copied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo.base.errors import IntegrityError
from reprozoo.zoo.weights.checkpoint import MAX_TENSORS, Checkpoint, entry

if TYPE_CHECKING:
    from torch import Tensor

ARRAY, COMPLEX, SCALAR = 1, 2, 3
PARTS = ("params_ema", "ema_params")  # of consistency models, of progressive distillation
CHUNKED = "__msgpack_chunked_array__"
DTYPE_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
    "uint32": 4, "uint64": 8,
}  # fmt: skip
MAX_DEPTH = 32
MAX_RANK = 16


class _Problem(Exception):
    """What is wrong, without the file's name."""


class _Array:
    """Shape, type and bytes of an array, checked against each other."""

    def __init__(self, shape: Any, dtype: Any, raw: Any) -> None:
        is_shape = isinstance(shape, (list, tuple)) and len(shape) <= MAX_RANK
        if not is_shape or not all(isinstance(n, int) and n >= 0 for n in shape) or not isinstance(raw, bytes):
            raise _Problem("an array without a shape")
        if dtype not in DTYPE_BYTES:
            raise _Problem(f"an array of {str(dtype)[:40]!r}, which is not a type of number")
        if math.prod(shape) * DTYPE_BYTES[dtype] != len(raw):
            raise _Problem(f"an array of shape {tuple(shape)} and {dtype} with {len(raw):,} bytes")
        self.shape, self.dtype, self.raw = tuple(shape), str(dtype), raw

    def tensor(self) -> Tensor:
        import torch

        dtype = getattr(torch, self.dtype)
        if not self.raw:
            return torch.empty(self.shape, dtype=dtype)
        return torch.frombuffer(bytearray(self.raw), dtype=dtype).reshape(self.shape)


def read_flax(path: Path, part: str = "") -> Checkpoint:
    """The tree ``part`` of the file, by default its moving average, as tensors named "a/b/c".

    Raises:
        IntegrityError: the file is damaged or holds anything but arrays, numbers and texts.
    """
    import msgpack

    try:
        raw = path.read_bytes()
        unpacked = msgpack.unpackb(raw, ext_hook=_extension, strict_map_key=False, raw=False, timestamp=0)
        tree = entry(path, unpacked, PARTS, wanted=part)
        tensors = {name: array.tensor() for name, array in _leaves(tree, "", 0)}
    except (_Problem, ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise IntegrityError(
            f"{path} is not a checkpoint of Flax, or is damaged: {error or type(error).__name__}; fetch it again"
        ) from error
    if len(tensors) > MAX_TENSORS or not tensors:
        raise IntegrityError(f"{path} holds {len(tensors):,} arrays, which is no model")
    numbers = {key: _number(value) for key, value in unpacked.items() if _number(value) is not None}
    return Checkpoint(tensors, facts={"entries": sorted(map(str, unpacked))[:20], **numbers})


def _extension(code: int, data: bytes) -> Any:
    import msgpack

    if code not in (ARRAY, SCALAR):
        raise _Problem(f"the msgpack extension {code}")
    fields = msgpack.unpackb(data, ext_hook=_no_extension, raw=False, max_map_len=0)
    if not isinstance(fields, list) or len(fields) != 3:
        raise _Problem("an array of another form")
    return _Array(*fields)


def _no_extension(code: int, data: bytes) -> Any:
    raise _Problem(f"the msgpack extension {code} within another")


def _leaves(tree: Any, name: str, depth: int) -> Iterator[tuple[str, _Array]]:
    if depth > MAX_DEPTH:
        raise _Problem(f"a tree more than {MAX_DEPTH} deep")
    if isinstance(tree, _Array):
        yield name, tree
    elif isinstance(tree, dict) and CHUNKED in tree:
        yield name, _joined(tree)
    elif isinstance(tree, dict):
        for key, child in tree.items():
            if not isinstance(key, str):
                raise _Problem(f"a {type(key).__name__} as a name")
            yield from _leaves(child, f"{name}/{key}" if name else key, depth + 1)
    elif tree is not None:
        raise _Problem(f"{name or 'the tree'}, a {type(tree).__name__} where an array was expected")


def _joined(tree: Mapping[str, Any]) -> _Array:
    """An array that was written in chunks; lists may have become dictionaries of "0", "1", …"""
    chunks, shape = _listed(tree.get("chunks")), _listed(tree.get("shape"))
    if not chunks or not all(isinstance(chunk, _Array) and chunk.dtype == chunks[0].dtype for chunk in chunks):
        raise _Problem("a chunked array without chunks of one type")
    return _Array(shape, chunks[0].dtype, b"".join(chunk.raw for chunk in chunks))


def _listed(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value[str(i)] for i in range(len(value)) if str(i) in value]
    return list(value) if isinstance(value, (list, tuple)) else []


def _number(value: Any) -> int | float | None:
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, _Array) and value.shape == () and value.dtype != "bfloat16":
        number: int | float = value.tensor().item()
        return number
    return None
