"""What a file of weights holds once it was read: plain tensors by name and the facts recorded beside them; no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo.base.errors import IntegrityError

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 64 << 30  # of a file, and of all tensors in it; the largest of the zoo, SDXL's U-Net, has 10 GB
MAX_TENSORS = 100_000


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, on the CPU.

    Attributes:
        tensors: in the order of the file.
        init: arguments that the file records for making each module: path of the module ("" is the outermost) ->
            {"class": name, "args": [...], "kwargs": {...}}; empty for formats that record none.
        facts: what else the file says about itself as JSON values: step, decay of the moving average.
    """

    tensors: Mapping[str, Tensor]
    init: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def check_file_size(path: Path) -> None:
    """Refuse a file over ``MAX_BYTES`` before anything of it is read.

    Raises:
        IntegrityError: it is larger.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise IntegrityError(f"{path} is {size:,} bytes long, more than the {MAX_BYTES:,} that any model here has")


def state_dict(path: Path, found: Any) -> dict[str, Tensor]:
    """``found`` as a state dict, checked: names to tensors, none larger than its memory.

    Raises:
        IntegrityError: it is anything else; the sentence says what.
    """
    from torch import Tensor

    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise IntegrityError(
            f"{path} does not hold a dictionary of tensors but {outline(found)}; export its state dict, or name the "
            'part that is one in the card: format = "torch:PART"'
        )
    check_tensors(path, found)
    return {str(name): tensor for name, tensor in found.items()}


def check_tensors(path: Path, tensors: Mapping[Any, Tensor]) -> None:
    """Refuse tensors that claim more numbers than their memory holds, or that are too many or too large together.

    Raises:
        IntegrityError: they do.
    """
    if len(tensors) > MAX_TENSORS or sum(t.numel() * t.element_size() for t in tensors.values()) > MAX_BYTES:
        raise IntegrityError(f"{path} claims more tensors than any model here has; it is damaged, or made to do harm")
    for name, tensor in tensors.items():
        if tensor.is_sparse or tensor.is_quantized:
            raise IntegrityError(f"{path}: {name} is a sparse or quantized tensor, which no model here has")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise IntegrityError(f"{path}: {name} claims {tensor.numel():,} numbers and holds fewer")


def entry(path: Path, found: Any, keys: Sequence[str], *, wanted: str = "") -> Any:
    """The part of ``found`` at the dotted path ``wanted`` or, without one, at the first of ``keys`` that is there.

    Raises:
        IntegrityError: there is no such part; the sentence lists those that are.
    """
    names = [wanted] if wanted else list(keys)
    for name in names:
        if isinstance(found, dict) and name in found:
            return found[name]
    raise IntegrityError(f"{path} has no part {' or '.join(map(repr, names))}; it holds {outline(found)}")


def outline(found: Any) -> str:
    """A few words on what was found."""
    if not isinstance(found, dict):
        return f"a {type(found).__name__}"
    parts = [f"{str(key)[:60]}: {type(value).__name__}" for key, value in list(found.items())[:6]]
    return f"a dictionary of {', '.join(parts)}{', …' if len(found) > 6 else ''}"


Reader = Callable[[Path, str], Checkpoint]  # (file, part of it or "")
