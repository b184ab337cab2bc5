"""State dicts as their authors publish them: safetensors files and torch files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.zoo.weights.checkpoint import Checkpoint, check_file_size, entry, state_dict

if TYPE_CHECKING:
    from torch import Tensor

Convert = Callable[[str, "Tensor"], "Tensor"]


def read_plain(path: Path, *, convert: Convert | None = None) -> dict[str, Tensor]:
    """The state dict of a safetensors or torch file, as it is or with every tensor converted.

    Args:
        convert: (name, tensor) -> tensor; safetensors are converted one by one, so that the file is never in memory
            whole beside what is made of it.

    Raises:
        IntegrityError: it is damaged, or holds anything else.
    """
    check_file_size(path)
    convert = convert or (lambda _, tensor: tensor)
    if path.suffix != ".safetensors":
        return {name: convert(name, tensor) for name, tensor in read_torch(path).tensors.items()}
    from safetensors import safe_open

    with _damage_named(path), safe_open(path, framework="pt") as file:
        return {name: convert(name, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118  # not a mapping


def read_safetensors(path: Path, part: str = "") -> Checkpoint:
    """All tensors of a safetensors file; it has no parts.

    Raises:
        UsageError: a part was asked for.
        IntegrityError: it is damaged.
    """
    if part:
        raise UsageError(f"{path}: a safetensors file has no parts, so no {part!r}")
    from safetensors.torch import load_file

    with _damage_named(path):
        return Checkpoint(load_file(path))


def read_torch(path: Path, part: str = "") -> Checkpoint:
    """The state dict of a torch file, or the one that is its ``part``.

    Raises:
        IntegrityError: it is damaged, or holds anything else.
    """
    from reprozoo.zoo.weights.torch_files import load_torch_file

    found = load_torch_file(path)
    return Checkpoint(state_dict(path, entry(path, found, (), wanted=part) if part else found))


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, ValueError, KeyError) as error:
        raise IntegrityError(f"{path} is a damaged safetensors file: {error}") from error
