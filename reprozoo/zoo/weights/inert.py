"""Pickles as data: a small interpreter that builds containers and records names, and calls nothing.

Python's unpickler imports what a file names and calls it. This one knows numbers, texts, bytes, lists, tuples, sets and
dictionaries; what a file names must be in a ``Vocabulary``, where it is either rebuilt by a function of this package or
kept as an ``Inert`` record of its name, arguments and state. Everything else is refused by name. Work and memory are
bounded by the file's size and ``MAX_OPCODES``: no opcode copies what it refers to, and no length is believed before it
was compared with what is left of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_OPCODES = 1_000_000  # a Stable Diffusion state dict takes some 30,000
MAX_NAME_BYTES = 512
MAX_INTEGER_BYTES = 16
SCALARS = (str, int, float, bool, bytes, type(None))


class PickleProblem(Exception):
    """What a pickle holds that is not read, or where it is damaged; the caller adds the name of the file."""

    def __init__(self, found: str, *, hostile: bool = False) -> None:
        super().__init__(found)
        self.found, self.hostile = found, hostile


@dataclass(eq=False, slots=True)
class Inert:
    """An object that a pickle asks for and does not get: what it would have been made of, as data.

    Attributes:
        name: "module.attribute" as the pickle says it.
        arguments: what it would have been called with; None for the name itself.
        state: what it would have been filled with.
        items: what would have been appended to it or set in it.
    """

    name: str
    arguments: tuple[Any, ...] | None = None
    state: Any = None
    items: list[Any] = field(default_factory=list)

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class Vocabulary:
    """What a kind of pickle may name.

    Attributes:
        rebuild: name -> function of the arguments, one of this package's own.
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


def interpret(
    data: bytes | memoryview, vocabulary: Vocabulary, start: int = 0, *, max_opcodes: int = MAX_OPCODES
) -> tuple[Any, int]:
    """The object of the pickle at ``start``, and the offset behind it.

    Bytes come as slices of ``data``, not as copies.

    Raises:
        PickleProblem: it names what the vocabulary does not know, uses an opcode that is not read, or is damaged.
    """
    return _Interpreter(memoryview(data), vocabulary, start).run(max_opcodes)


_MARK = object()


class _Interpreter:
    def __init__(self, data: memoryview, vocabulary: Vocabulary, start: int) -> None:
        self.data, self.vocabulary, self.at = data, vocabulary, start
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, max_opcodes: int) -> tuple[Any, int]:
        for _ in range(max_opcodes):
            opcode = bytes(self.take(1))
            if opcode == b".":
                result = self.pop()
                return result, self.at
            action = _ACTIONS.get(opcode)
            if action is None:
                name = _REFUSED.get(opcode)
                raise PickleProblem(f"the opcode {name or opcode!r}", hostile=name is not None)
            try:
                action(self)
            except (struct.error, UnicodeDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
                raise PickleProblem(f"a damaged pickle ({error})") from error
        raise PickleProblem(f"a pickle of more than {max_opcodes:,} instructions", hostile=True)

    # --- the stream and the stack ---------------------------------------------------------------------------------

    def take(self, count: int) -> memoryview:
        if count < 0 or count > len(self.data) - self.at:
            raise PickleProblem("a pickle that ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, code: str) -> int:
        value: int = struct.unpack(code, self.take(struct.calcsize(code)))[0]
        return value

    def line(self) -> str:
        end = bytes(self.data[self.at : self.at + MAX_NAME_BYTES]).find(b"\n")
        if end < 0:
            raise PickleProblem("a name that does not end")
        text = bytes(self.take(end)).decode("utf-8")
        self.take(1)
        return text

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise PickleProblem("a damaged pickle (its stack is empty)")
        return self.stack.pop()

    def top(self) -> Any:
        value = self.pop()
        self.stack.append(value)
        return value

    def since_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise PickleProblem("a damaged pickle (no mark)")

    # --- opcodes --------------------------------------------------------------------------------------------------

    def mark(self) -> None:
        self.stack.append(_MARK)

    def pop_any(self) -> None:
        if not self.stack:
            raise PickleProblem("a damaged pickle (its stack is empty)")
        self.stack.pop()

    def integer(self, size_code: str) -> None:
        count = self.number(size_code)
        if not 0 <= count <= MAX_INTEGER_BYTES:
            raise PickleProblem(f"an integer of {count:,} bytes")
        self.push(int.from_bytes(self.take(count), "little", signed=True))

    def text(self, size_code: str, encoding: str = "utf-8") -> None:
        raw = bytes(self.take(self.number(size_code)))
        self.push(raw.decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict"))

    def raw(self, size_code: str) -> None:
        self.push(self.take(self.number(size_code)))

    def fixed_tuple(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def append(self, items: list[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, set):
            target.update(_key(item) for item in items)
        elif isinstance(target, Inert):
            target.items.extend(items)
        else:
            raise PickleProblem(f"items appended to a {type(target).__name__}")

    def append_one(self) -> None:
        item = self.pop()
        self.append([item])

    def set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise PickleProblem("a damaged pickle (a key without a value)")
        target = self.top()
        pairs = [(_key(key), value) for key, value in zip(items[::2], items[1::2], strict=True)]
        if isinstance(target, dict):
            target.update(pairs)
        elif isinstance(target, Inert):
            target.items.extend(pairs)
        else:
            raise PickleProblem(f"items set in a {type(target).__name__}")

    def set_one(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def dictionary(self) -> None:
        items = self.since_mark()
        self.push({})
        self.set_items(items)

    def put(self, index: int) -> None:
        if index > MAX_OPCODES:
            raise PickleProblem("a memo index out of range")
        self.memo[index] = self.top()

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise PickleProblem("a damaged pickle (a reference to nothing)")
        self.push(self.memo[index])

    def name(self, module: Any, attribute: Any) -> None:
        if not (isinstance(module, str) and isinstance(attribute, str)):
            raise PickleProblem("a name that is not text", hostile=True)
        name = f"{module}.{attribute}"
        if not self.vocabulary.knows(name):
            raise PickleProblem(name[:MAX_NAME_BYTES], hostile=True)
        self.push(Inert(name))

    def stack_name(self) -> None:
        attribute, module = self.pop(), self.pop()
        self.name(module, attribute)

    def call(self, target: Any, arguments: Any) -> None:
        if not isinstance(target, Inert) or target.arguments is not None or not isinstance(arguments, tuple):
            raise PickleProblem("a call of something that is not a name", hostile=True)
        rebuild = self.vocabulary.rebuild.get(target.name)
        self.push(rebuild(*arguments) if rebuild else Inert(target.name, arguments))

    def reduce(self) -> None:
        arguments, target = self.pop(), self.pop()
        self.call(target, arguments)

    def new_with_keywords(self) -> None:
        keywords, arguments, target = self.pop(), self.pop(), self.pop()
        if keywords:
            raise PickleProblem("an object made with keyword arguments")
        self.call(target, arguments)

    def build(self) -> None:
        state, target = self.pop(), self.top()
        if isinstance(target, Inert) and target.arguments is not None:
            target.state = state
        elif not isinstance(target, dict):  # attributes of a dictionary, e.g. a state dict's _metadata, are dropped
            raise PickleProblem(f"a state for a {type(target).__name__}", hostile=True)

    def persistent(self) -> None:
        if self.vocabulary.persistent is None:
            raise PickleProblem("a persistent id", hostile=True)
        self.push(self.vocabulary.persistent(self.pop()))


def _key(value: Any, depth: int = 0) -> Any:
    """``value`` as a key of a dictionary: a scalar or a short tuple of them, so that hashing cannot run away."""
    if isinstance(value, memoryview) and len(value) <= MAX_NAME_BYTES:
        return bytes(value)
    if isinstance(value, tuple) and len(value) <= 16 and depth < 2:
        return tuple(_key(item, depth + 1) for item in value)
    if isinstance(value, (*SCALARS, Inert)):
        return value
    raise PickleProblem(f"a key that is a {type(value).__name__}")


_ACTIONS: dict[bytes, Callable[[_Interpreter], object]] = {
    b"\x80": lambda vm: vm.take(1),  # PROTO
    b"\x95": lambda vm: vm.take(8),  # FRAME: how much to read ahead, which is of no use here
    b"(": _Interpreter.mark,
    b"0": _Interpreter.pop_any,
    b"1": lambda vm: vm.since_mark(),
    b"2": lambda vm: vm.push(vm.top()),
    b"N": lambda vm: vm.push(None),
    b"\x88": lambda vm: vm.push(True),
    b"\x89": lambda vm: vm.push(False),
    b"J": lambda vm: vm.push(vm.number("<i")),
    b"K": lambda vm: vm.push(vm.number("<B")),
    b"M": lambda vm: vm.push(vm.number("<H")),
    b"\x8a": lambda vm: vm.integer("<B"),
    b"\x8b": lambda vm: vm.integer("<i"),
    b"G": lambda vm: vm.push(vm.number(">d")),
    b"X": lambda vm: vm.text("<I"),
    b"\x8c": lambda vm: vm.text("<B"),
    b"\x8d": lambda vm: vm.text("<Q"),
    b"U": lambda vm: vm.text("<B", "latin-1"),
    b"T": lambda vm: vm.text("<i", "latin-1"),
    b"B": lambda vm: vm.raw("<I"),
    b"C": lambda vm: vm.raw("<B"),
    b"\x8e": lambda vm: vm.raw("<Q"),
    b"\x96": lambda vm: vm.raw("<Q"),
    b"]": lambda vm: vm.push([]),
    b")": lambda vm: vm.push(()),
    b"}": lambda vm: vm.push({}),
    b"\x8f": lambda vm: vm.push(set()),
    b"l": lambda vm: vm.push(vm.since_mark()),
    b"t": lambda vm: vm.push(tuple(vm.since_mark())),
    b"d": _Interpreter.dictionary,
    b"\x91": lambda vm: vm.push(frozenset(_key(item) for item in vm.since_mark())),
    b"\x85": lambda vm: vm.fixed_tuple(1),
    b"\x86": lambda vm: vm.fixed_tuple(2),
    b"\x87": lambda vm: vm.fixed_tuple(3),
    b"a": _Interpreter.append_one,
    b"e": lambda vm: vm.append(vm.since_mark()),
    b"\x90": lambda vm: vm.append(vm.since_mark()),
    b"s": _Interpreter.set_one,
    b"u": lambda vm: vm.set_items(vm.since_mark()),
    b"q": lambda vm: vm.put(vm.number("<B")),
    b"r": lambda vm: vm.put(vm.number("<I")),
    b"\x94": lambda vm: vm.put(len(vm.memo)),
    b"h": lambda vm: vm.get(vm.number("<B")),
    b"j": lambda vm: vm.get(vm.number("<I")),
    b"c": lambda vm: vm.name(vm.line(), vm.line()),
    b"\x93": _Interpreter.stack_name,
    b"R": _Interpreter.reduce,
    b"\x81": _Interpreter.reduce,  # NEWOBJ: a class instead of a function, made of the same two
    b"\x92": _Interpreter.new_with_keywords,
    b"b": _Interpreter.build,
    b"Q": _Interpreter.persistent,
}

# What the formats read here never use and hostile files do; protocol 0, which nobody writes today, is not read either.
_REFUSED = {
    b"i": "INST",
    b"o": "OBJ",
    b"\x82": "EXT1",
    b"\x83": "EXT2",
    b"\x84": "EXT4",
    b"P": "PERSID",
    b"\x97": "NEXT_BUFFER",
    b"\x98": "READONLY_BUFFER",
}
