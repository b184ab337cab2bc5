"""Pickles as data: Python's unpickler with nothing to call, after a look at every instruction.

``pickle.Unpickler`` gets its names from here: each is a stand-in, a class of its own that records what it is called
with or hands it to a function of this package; what a file names must be in a ``Vocabulary``, everything else is
refused by name, and nothing is imported. The look before it is ours because the unpickler believes lengths and memo
indices, hashes a key whatever that takes, and takes registered extensions without asking for their names: only opcodes
that the formats need pass, no length is longer than the file, and ``MAX_OPCODES`` and ``MAX_KEY`` bound work and
memory.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

MAX_OPCODES = 1_000_000  # a Stable Diffusion state dict takes some 30,000
MAX_NAMES = 1000  # different ones in a pickle
MAX_NAME_BYTES = 512
MAX_INTEGER_BYTES = 16
MAX_KEY = 300  # values in a key, tuples in tuples written out, so that neither hashing nor comparing can run away
BYTES_A_VALUE = 64  # of a text

Stream = io.BytesIO | mmap.mmap  # neither hands out more bytes than there are, whatever is asked for


class PickleProblem(Exception):
    """What a pickle holds that is not read, or where it is damaged; the caller adds the name of the file."""

    def __init__(self, found: str, *, hostile: bool = False) -> None:
        super().__init__(found)
        self.found, self.hostile = found, hostile


class Inert:
    """An object that a pickle asks for and does not get: a subclass stands for each name, an instance for each call.

    Attributes:
        name: "module.attribute" as the pickle says it.
        arguments: what it would have been called with.
        state: what it would have been filled with. Items that would have been added to it are dropped.
    """

    __slots__ = ("arguments", "state")
    name = ""
    arguments: tuple[Any, ...]
    state: Any
    rebuild: Callable[..., Any] | None = None

    def __new__(cls, *arguments: Any) -> Any:
        if cls.rebuild is not None:
            return cls.rebuild(*arguments)
        made = super().__new__(cls)
        made.arguments, made.state = arguments, None
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def extend(self, items: Any) -> None:
        """Drop what is appended, as the two below drop what is added and set."""

    def add(self, item: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...


class Sealed:
    """What the functions of a ``Vocabulary`` make: a pickle cannot fill it with a state of its own."""

    def __setstate__(self, state: Any) -> Never:
        raise PickleProblem(f"a state for a {type(self).__name__}", hostile=True)


class PlainDict(dict[Any, Any]):
    """A dictionary that drops the attributes a pickle gives it, e.g. a state dict's ``_metadata``."""

    def __setstate__(self, state: Any) -> None: ...


def named(value: Any) -> str:
    """The name that a stand-in for a name, not for a call, stands for; "" for everything else."""
    return value.name if isinstance(value, type) and issubclass(value, Inert) else ""


@dataclass(frozen=True)
class Vocabulary:
    """What a kind of pickle may name.

    Attributes:
        rebuild: name -> function of the arguments, one of this package's own; what it returns is plain or ``Sealed``.
        inert: names kept as ``Inert``; one that ends in a dot stands for everything below it.
        persistent: turns a persistent id into what it stands for; None refuses them.
    """

    rebuild: Mapping[str, Callable[..., Any]]
    inert: tuple[str, ...] = ()
    persistent: Callable[[Any], Any] | None = None

    def knows(self, name: str) -> bool:
        return name in self.rebuild or any(
            name == known or (known.endswith(".") and name.startswith(known)) for known in self.inert
        )


def read_pickle(stream: Stream, vocabulary: Vocabulary, *, max_opcodes: int = MAX_OPCODES) -> Any:
    """The object of the pickle that begins here; the stream is left behind it.

    Raises:
        PickleProblem: it names what the vocabulary does not know, uses an opcode that is not read, or is damaged.
    """
    start = stream.tell()
    try:
        _look_through(stream, max_opcodes)
        end = stream.tell()
        stream.seek(start)
        found = _Unpickler(stream, vocabulary).load()
        stream.seek(end)
    except PickleProblem:
        raise
    except Exception as error:  # a damaged pickle makes both raise almost anything
        raise PickleProblem(f"a pickle that ends too early or is damaged ({error})") from error
    return found


def mapped(path: Path) -> Stream:
    """A file to read pickles from, its size known and nothing of it copied."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return io.BytesIO()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: Stream, vocabulary: Vocabulary) -> None:
        super().__init__(stream, encoding="latin-1")
        self._vocabulary = vocabulary
        self._stand_ins: dict[str, type[Inert]] = {}

    def find_class(self, module: str, attribute: str) -> type[Inert]:
        name = f"{module}.{attribute}"
        if not self._vocabulary.knows(name) or len(name) > MAX_NAME_BYTES:
            raise PickleProblem(name[:MAX_NAME_BYTES], hostile=True)
        if name not in self._stand_ins:
            if len(self._stand_ins) >= MAX_NAMES:
                raise PickleProblem("names without end", hostile=True)
            rebuild = self._vocabulary.rebuild.get(name)
            members = {"__slots__": (), "name": name, "rebuild": staticmethod(rebuild) if rebuild else None}
            self._stand_ins[name] = type(attribute, (Inert,), members)
        return self._stand_ins[name]

    def persistent_load(self, value: Any) -> Any:
        if self._vocabulary.persistent is None:
            raise PickleProblem("a persistent id", hostile=True)
        return self._vocabulary.persistent(value)


# --- the look before ----------------------------------------------------------------------------------------------

# What the formats read here use; hostile files use INST, OBJ, EXT and buffers, and nobody writes protocol 0 today.
_OPCODES = """
    PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT
    BINUNICODE SHORT_BINUNICODE BINUNICODE8 SHORT_BINSTRING BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8
    EMPTY_LIST EMPTY_TUPLE EMPTY_DICT EMPTY_SET LIST TUPLE DICT FROZENSET TUPLE1 TUPLE2 TUPLE3
    APPEND APPENDS ADDITEMS SETITEM SETITEMS BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET
    GLOBAL STACK_GLOBAL REDUCE NEWOBJ NEWOBJ_EX BUILD BINPERSID
    """
_READ = frozenset(_OPCODES.split())
_JOINED = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET", "REDUCE", "NEWOBJ", "NEWOBJ_EX", "BINPERSID"})
_MARK = 0


def _look_through(stream: Stream, max_opcodes: int) -> None:
    """Refuse what would cost more than it is long; leaves the stream behind the pickle."""
    sizes = _Sizes()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
        if opcode.name not in _READ:
            raise PickleProblem(f"the opcode {opcode.name}", hostile=True)
        if count >= max_opcodes:
            raise PickleProblem(f"a pickle of more than {max_opcodes:,} instructions", hostile=True)
        if isinstance(argument, int) and argument.bit_length() >= 8 * MAX_INTEGER_BYTES:
            raise PickleProblem("an integer without end", hostile=True)
        sizes.follow(opcode, argument)


class _Sizes:
    """How many values there are in each value on the unpickler's stack, as far as its hash takes them in."""

    def __init__(self) -> None:
        self.stack: list[int] = []
        self.memo: dict[int, int] = {}

    def follow(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        name = opcode.name
        if name == "MARK":
            self.stack.append(_MARK)
        elif name == "POP":
            self.stack.pop()  # a mark too
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memoize(len(self.memo) if argument is None else argument)
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name == "DUP":
            self.stack.append(self.top())
        elif isinstance(argument, (str, bytes, bytearray)):
            self.stack.append(1 + len(argument) // BYTES_A_VALUE)
        else:
            self.replace(opcode)

    def memoize(self, index: int) -> None:
        if index > MAX_OPCODES:
            raise PickleProblem("a memo index out of range", hostile=True)
        self.memo[index] = self.top()

    def replace(self, opcode: pickletools.OpcodeInfo) -> None:
        """Take what an opcode takes, and leave what it leaves: its target, or something new."""
        wants = opcode.stack_before
        since_mark = self.pop_mark() if pickletools.markobject in wants else []
        before = wants.index(pickletools.markobject) if pickletools.markobject in wants else len(wants)
        taken = self.pop(before) + since_mark
        self.check_keys(opcode.name, taken, since_mark)
        size = min(1 + sum(taken), MAX_KEY + 1) if opcode.name in _JOINED else 1
        self.stack += [size] * len(opcode.stack_after)

    def check_keys(self, name: str, taken: list[int], since_mark: list[int]) -> None:
        if name == "SETITEM":
            keys = taken[1:2]
        elif name in ("SETITEMS", "DICT"):
            keys = since_mark[::2]
        else:
            keys = since_mark if name in ("ADDITEMS", "FROZENSET") else []
        if any(key > MAX_KEY for key in keys):
            raise PickleProblem("a key without end", hostile=True)

    def top(self) -> int:
        (size,) = self.pop(1)
        self.stack.append(size)
        return size

    def pop(self, count: int) -> list[int]:
        taken = self.stack[len(self.stack) - count :] if count else []
        if len(taken) < count or _MARK in taken:
            raise PickleProblem("a damaged pickle (its stack is empty)")
        del self.stack[len(self.stack) - count :]
        return taken

    def pop_mark(self) -> list[int]:
        taken = []
        while (size := self.stack.pop()) != _MARK:
            taken.append(size)
        return taken[::-1]
