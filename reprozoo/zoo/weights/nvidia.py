"""Pickles with NVIDIA's "persistence" (EDM, Multistage, StyleGAN): tensors and recorded arguments, none of the code.

Such a file carries the source code of its classes, which the original reader executes. Here it stays text that nobody
looks at. The tree of modules is walked as data: ``_parameters``, ``_buffers`` and ``_modules`` of each, and the
arguments that ``persistent_class`` recorded when it was made.

Source of the format: NVlabs/edm@008a4e53 ``torch_utils/persistence.py``, run and not adapted (docs/fidelity.md).
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from reprozoo.zoo.weights.checkpoint import MAX_TENSORS, Checkpoint, entry
from reprozoo.zoo.weights.inert import (
    MAX_NAME_BYTES,
    Inert,
    PickleProblem,
    PlainDict,
    Vocabulary,
    mapped,
    named,
    read_pickle,
)
from reprozoo.zoo.weights.storages import (
    DTYPES,
    MAX_STORAGE_OPCODES,
    REBUILD_TENSORS,
    STORAGES,
    Storage,
    TensorRecord,
    read_legacy,
)

PERSISTENT = "torch_utils.persistence._reconstruct_persistent_obj"
ENTRIES = ("ema", "G_ema")  # of EDM and Multistage, of StyleGAN
MAX_DEPTH = 32
MAX_NESTED = 20_000  # storages in one file
MAX_SET = 1000  # names
MAX_NODES = 100_000  # modules, their attributes and recorded arguments, all together
MOST_SHARING = 2  # bytes of tensors for each byte of the file: some may share a storage
SCALAR_CODES = {"f8": "d", "f4": "f", "i8": "q", "i4": "i", "i2": "h", "i1": "b", "u1": "B", "b1": "?"}


def read_nvidia_pickle(path: Path, part: str = "") -> Checkpoint:
    """The network ``part`` of the pickle, by default its moving average.

    Raises:
        IntegrityError, PickleProblem: it holds something else, or is damaged.
    """
    found = read_pickle(mapped(path), Vocabulary(_Rebuild(path.stat().st_size).table(), INERT))
    network = entry(path, found, ENTRIES, wanted=part)
    tensors: dict[str, Any] = {}
    init: dict[str, Any] = {}
    room, nodes = MOST_SHARING * path.stat().st_size, Budget(MAX_NODES)
    for name, module in _modules(network, "", 0, nodes):
        if recorded := _init(module, nodes):
            init[name] = recorded
        for key, record in _own_tensors(module, nodes):
            room -= record.bytes
            if room < 0 or len(tensors) >= MAX_TENSORS:
                raise PickleProblem("more tensors than its bytes can hold", hostile=True)
            tensors[f"{name}.{key}".lstrip(".")] = record.tensor()
    if not tensors:
        raise PickleProblem("no network with parameters")
    return Checkpoint(tensors, init, {"entries": sorted(str(key) for key in found)[:20]})


class _Rebuild:
    """The functions that such pickles call, for one file, of which no byte is taken twice."""

    def __init__(self, file_bytes: int) -> None:
        self.storages, self.room = 0, file_bytes

    def table(self) -> dict[str, Any]:
        return {
            **REBUILD_TENSORS,
            "torch.storage._load_from_bytes": self.storage,
            "numpy.core.multiarray.scalar": numpy_scalar,
            "numpy._core.multiarray.scalar": numpy_scalar,
            "_codecs.encode": self.encoded,
            "copyreg._reconstructor": reconstructor,
            "dnnlib.util.EasyDict": lambda *_: PlainDict(),
            "builtins.set": make_set,
            "__builtin__.set": make_set,
        }

    def storage(self, raw: Any) -> Storage:
        """``torch.storage._load_from_bytes``, of which the real one would unpickle anything."""
        self.storages += 1
        if self.storages > MAX_NESTED or not isinstance(raw, bytes):
            raise PickleProblem("storages without end, or not of bytes", hostile=True)
        self.spend(len(raw))
        found = read_legacy(io.BytesIO(raw), {}, (), max_opcodes=MAX_STORAGE_OPCODES)
        if not isinstance(found, Storage):
            raise PickleProblem("bytes that are not one storage", hostile=True)
        return found

    def encoded(self, text: Any, encoding: Any = None) -> bytes:
        """``_codecs.encode(text, "latin1")``: how Python 2's bytes are written."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise PickleProblem("text in an encoding other than latin1", hostile=True)
        self.spend(len(text))
        return text.encode("latin-1")

    def spend(self, count: int) -> None:
        self.room -= count
        if self.room < 0:
            raise PickleProblem("more bytes than the file has", hostile=True)


INERT = (
    PERSISTENT, *STORAGES, *DTYPES,
    "torch.nn.modules.", "torch_utils.", "dnnlib.", "torch.device", "numpy.dtype", "builtins.object",
)  # fmt: skip


def numpy_scalar(dtype: Any, raw: Any) -> int | float | bool:
    """``numpy.core.multiarray.scalar`` of a plain number; never an object."""
    code = dtype.arguments[0] if isinstance(dtype, Inert) and dtype.name == "numpy.dtype" and dtype.arguments else None
    if code not in SCALAR_CODES or not isinstance(raw, bytes):
        raise PickleProblem("a NumPy scalar that is not a number", hostile=True)
    value: int | float | bool = struct.unpack(f"<{SCALAR_CODES[code]}", raw)[0]
    return value


def reconstructor(cls: Any, base: Any = None, state: Any = None) -> Inert:
    """``copyreg._reconstructor``: how protocols before 2 make an object of a class."""
    if not named(cls) or state is not None:
        raise PickleProblem("an object of something that is not a class", hostile=True)
    made: Inert = cls()
    return made


def make_set(items: Any = ()) -> set[Any]:
    """``set`` of a few names."""
    if not isinstance(items, (list, tuple)) or len(items) > MAX_SET:
        raise PickleProblem("a set of something else than names, or of too many")
    if not all(isinstance(item, str) and len(item) <= MAX_NAME_BYTES for item in items):
        raise PickleProblem("a set of something else than names")
    return set(items)


# --- the tree of modules ------------------------------------------------------------------------------------------


def _state(module: Any) -> dict[str, Any]:
    """The attributes of a module, or nothing where it is none."""
    if isinstance(module, Inert) and module.name == PERSISTENT and module.arguments:
        meta = module.arguments[0]
        state = meta.get("state") if isinstance(meta, dict) else None
    else:
        state = module.state if isinstance(module, Inert) else None
    return state if isinstance(state, dict) else {}


def _class_name(module: Inert) -> str:
    if module.name == PERSISTENT and module.arguments and isinstance(module.arguments[0], dict):
        return str(module.arguments[0].get("class_name", ""))
    return module.name.rsplit(".", 1)[-1]


def _modules(module: Any, name: str, depth: int, nodes: Budget) -> Iterator[tuple[str, Inert]]:
    if depth > MAX_DEPTH:
        raise PickleProblem(f"modules nested more than {MAX_DEPTH} deep", hostile=True)
    if not isinstance(module, Inert) or not _state(module):
        raise PickleProblem(f"{name or 'the network'} that is not a module")
    yield name, module
    children = _state(module).get("_modules")
    for key, child in (children if isinstance(children, dict) else {}).items():
        nodes.spend()
        if child is not None:
            yield from _modules(child, f"{name}.{key}".lstrip("."), depth + 1, nodes)


def _own_tensors(module: Inert, nodes: Budget) -> Iterator[tuple[str, TensorRecord]]:
    """Parameters, then the buffers that a state dict would have."""
    state = _state(module)
    passing = state.get("_non_persistent_buffers_set") or set()
    for kind in ("_parameters", "_buffers"):
        held = state.get(kind)
        for key, record in (held if isinstance(held, dict) else {}).items():
            nodes.spend()
            if isinstance(record, TensorRecord) and not (kind == "_buffers" and key in passing):
                yield str(key), record


def _init(module: Inert, nodes: Budget) -> dict[str, Any]:
    state = _state(module)
    if module.name != PERSISTENT:
        return {}
    args, kwargs = state.get("_init_args", ()), state.get("_init_kwargs", {})
    return {"class": _class_name(module), "args": plain(args, nodes), "kwargs": plain(kwargs, nodes)}


class Budget:
    """How many more values may be looked at: one that is shared a few times over becomes millions when written out."""

    def __init__(self, count: int) -> None:
        self.left = count

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise PickleProblem("modules or arguments without end", hostile=True)


def plain(value: Any, nodes: Budget, depth: int = 0) -> Any:
    """``value`` as JSON; what is none becomes its name in brackets, what is too deep or long is left out."""
    nodes.spend()
    if depth > 6:
        return "…"
    if isinstance(value, dict):
        return {str(key): plain(item, nodes, depth + 1) for key, item in islice(value.items(), 200)}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, nodes, depth + 1) for item in islice(value, 200)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no infinity
    if isinstance(value, (str, int, float, bool, type(None))):
        return value if not isinstance(value, str) else value[:2000]
    return f"<{named(value) or (value.name if isinstance(value, Inert) else type(value).__name__)}>"
