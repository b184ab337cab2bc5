"""Tensors inside pickles: records of storages and views on them, checked before a byte is turned into a number.

PyTorch writes a tensor as a call of ``torch._utils._rebuild_tensor_v2`` on a storage. Here the call makes a
``TensorRecord``, and only ``TensorRecord.tensor`` makes a tensor, of a view that lies within its storage and is not
larger than it.
"""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reprozoo.zoo.weights.inert import (
    MAX_OPCODES,
    PickleProblem,
    PlainDict,
    Sealed,
    Stream,
    Vocabulary,
    named,
    read_pickle,
)

if TYPE_CHECKING:
    from torch import Tensor

# Name of the storage's class -> (name of the dtype, bytes of one item).
STORAGES = {
    "torch.DoubleStorage": ("float64", 8),
    "torch.FloatStorage": ("float32", 4),
    "torch.HalfStorage": ("float16", 2),
    "torch.BFloat16Storage": ("bfloat16", 2),
    "torch.LongStorage": ("int64", 8),
    "torch.IntStorage": ("int32", 4),
    "torch.ShortStorage": ("int16", 2),
    "torch.CharStorage": ("int8", 1),
    "torch.ByteStorage": ("uint8", 1),
    "torch.BoolStorage": ("bool", 1),
    "torch.ComplexFloatStorage": ("complex64", 8),
    "torch.ComplexDoubleStorage": ("complex128", 16),
    "torch.storage.UntypedStorage": ("uint8", 1),
    "torch.UntypedStorage": ("uint8", 1),
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
MAX_STORAGE_OPCODES = 1000  # of the small pickles around one storage
MAX_RANK = 16


@dataclass(eq=False)
class Storage(Sealed):
    """A run of numbers: how many of which type, and their bytes once these are known."""

    dtype: str
    item_bytes: int
    count: int
    data: memoryview | None = None


@dataclass(frozen=True, eq=False)
class TensorRecord(Sealed):
    """A view on a storage, proved to lie within it and not to be larger."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Size of the tensor's own numbers."""
        return math.prod(self.size) * self.storage.item_bytes

    def tensor(self) -> Tensor:
        """The tensor itself, with memory of its own."""
        import torch

        if self.storage.data is None:
            raise PickleProblem("a tensor without its numbers")
        dtype = getattr(torch, self.storage.dtype)
        if self.storage.count == 0:
            return torch.empty(self.size, dtype=dtype)
        span = 1 + sum((length - 1) * step for length, step in zip(self.size, self.stride, strict=True))
        if 0 in self.size:
            return torch.empty(self.size, dtype=dtype)
        first, item = self.offset, self.storage.item_bytes
        flat = torch.frombuffer(bytearray(self.storage.data[first * item : (first + span) * item]), dtype=dtype)
        return flat.as_strided(self.size, self.stride).clone()


def storage_from_persistent_id(value: Any) -> tuple[str, Storage]:
    """(key, storage) of a persistent id as ``torch.save`` writes them: ("storage", type, key, location, count)."""
    if not (isinstance(value, tuple) and len(value) in (5, 6) and value[0] == "storage"):
        raise PickleProblem("a persistent id that is not a storage", hostile=True)
    kind, key, count = value[1], value[2], value[4]
    if not (named(kind) in STORAGES and isinstance(key, str) and isinstance(count, int)):
        raise PickleProblem("a storage of an unknown kind", hostile=True)
    if count < 0 or (len(value) == 6 and value[5] is not None):
        raise PickleProblem("a view of a storage, which only torch before 0.4 wrote")
    dtype, item_bytes = STORAGES[named(kind)]
    return key, Storage(dtype, item_bytes, count)


def rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> TensorRecord:
    """``torch._utils._rebuild_tensor`` and ``_rebuild_tensor_v2``."""
    if not isinstance(storage, Storage) or not _are_sizes(size) or not _are_sizes(stride) or not _is_size(offset):
        raise PickleProblem("a tensor made of something else than a storage and sizes", hostile=True)
    if len(rest) > 3 or len(size) != len(stride):
        raise PickleProblem("a tensor with arguments that do not fit each other", hostile=True)
    elements, last = 1, offset
    for length, step in zip(size, stride, strict=True):
        elements *= length
        last += (length - 1) * step
    if elements and (last >= storage.count or elements > storage.count):
        raise PickleProblem(f"a tensor of {elements:,} numbers on a storage of {storage.count:,}", hostile=True)
    return TensorRecord(storage, offset, tuple(size), tuple(stride))


def rebuild_parameter(data: Any, *_: Any) -> TensorRecord:
    """``torch._utils._rebuild_parameter``: a parameter is its data."""
    if not isinstance(data, TensorRecord):
        raise PickleProblem("a parameter made of something else than a tensor", hostile=True)
    return data


def ordered_dict(*arguments: Any) -> dict[Any, Any]:
    """``collections.OrderedDict``, empty; its items follow."""
    if arguments not in ((), ([],)):
        raise PickleProblem("a dictionary made of arguments")
    return PlainDict()


def size(sizes: Any = ()) -> tuple[int, ...]:
    """``torch.Size``."""
    if not _are_sizes(sizes):
        raise PickleProblem("a size of something else than a few numbers", hostile=True)
    return tuple(sizes)


REBUILD_TENSORS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "collections.OrderedDict": ordered_dict,
    "torch.Size": size,
}
DTYPES = tuple(f"torch.{name}" for name in sorted({name for name, _ in STORAGES.values()}))


def read_legacy(
    stream: Stream,
    rebuild: Mapping[str, Callable[..., Any]],
    inert: tuple[str, ...] = (),
    *,
    max_opcodes: int = MAX_OPCODES,
) -> Any:
    """The object of a file in torch's format before 1.6, or of one storage in it, as records.

    Four pickles (a magic number, a version, facts about the machine, the object), the list of storages, then each
    storage's count and bytes. The bytes are read where the stream is in memory; of a file they are counted.

    Raises:
        PickleProblem: it is not of this format, names what is not in ``rebuild`` and ``inert``, or is damaged.
    """
    storages: dict[str, Storage] = {}

    def persistent(value: Any) -> Storage:
        key, storage = storage_from_persistent_id(value)
        return storages.setdefault(key, storage)

    plain = Vocabulary({}, ())
    for expected in (LEGACY_MAGIC, LEGACY_PROTOCOL):
        if read_pickle(stream, plain, max_opcodes=MAX_STORAGE_OPCODES) != expected:
            raise PickleProblem("something that is not a torch file", hostile=True)
    machine = read_pickle(stream, plain, max_opcodes=MAX_STORAGE_OPCODES)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise PickleProblem("numbers of a big-endian machine")
    found = read_pickle(stream, Vocabulary(rebuild, (*STORAGES, *inert), persistent), max_opcodes=max_opcodes)
    keys = read_pickle(stream, plain, max_opcodes=max_opcodes)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise PickleProblem("a list of storages that is not the one used")
    for key in keys:
        _fill(storages[key], stream)
    return found


def _fill(storage: Storage, stream: Stream) -> None:
    if len(head := stream.read(8)) < 8:
        raise PickleProblem("a file that ends before its numbers")
    size = storage.count * storage.item_bytes
    at = stream.tell()
    stream.seek(0, os.SEEK_END)
    if struct.unpack("<q", head)[0] != storage.count or at + size > stream.tell():
        raise PickleProblem(f"a storage of {storage.count:,} numbers, of which the file holds fewer")
    if isinstance(stream, io.BytesIO):
        storage.data = memoryview(stream.getvalue())[at : at + size]  # no copy: nothing was written to it
    stream.seek(at + size)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_sizes(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) <= MAX_RANK and all(_is_size(item) for item in value)
