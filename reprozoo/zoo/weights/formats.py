"""Every format of weights, recognised by its content and read without executing anything.

A card names the format, with the part after a colon where a file has several: ``torch:ema``, ``nvidia-pickle:ema``,
``flax:params_ema``, ``diffusers:unet``. "auto" goes by the first bytes, never by the file's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.zoo.weights.checkpoint import Checkpoint, Reader, check_file_size, check_tensors
from reprozoo.zoo.weights.folders import read_folder
from reprozoo.zoo.weights.inert import PickleProblem
from reprozoo.zoo.weights.state_dicts import read_safetensors, read_torch

if TYPE_CHECKING:
    from torch import Tensor

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
PICKLE_PROTOCOLS = b"\x02\x03\x04\x05"
TORCH_LEGACY_HEAD = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # the pickled magic number
MSGPACK_MAPS = (*range(0x81, 0x90), 0xDE, 0xDF)
KNOWN_SUFFIX = "a safetensors file, a torch file, a pickle of NVIDIA's, a checkpoint of Flax or a diffusers folder"


def recognise(path: Path) -> str:
    """The format of a file or folder by its content; a torch file may turn out to be a score_sde checkpoint.

    Raises:
        UsageError: it cannot be read, or is of no known format.
    """
    if path.is_dir():
        return "diffusers"
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if head[8:9] == b"{":  # where the JSON header begins; no other format has one there
        return "safetensors"
    if head.startswith((ZIP_MAGIC, TORCH_LEGACY_HEAD)):
        return "torch"
    if head[:1] == PICKLE_MAGIC and head[1:2] in [PICKLE_PROTOCOLS[i : i + 1] for i in range(4)]:
        return "nvidia-pickle"
    if head[:1] and head[0] in MSGPACK_MAPS:
        return "flax"
    raise UsageError(
        f"{path} is neither a safetensors nor a torch file, nor of another known format (it begins with {head[:8]!r}); "
        f"expected {KNOWN_SUFFIX}"
    )


def format_for(path: Path, like: str) -> str:
    """How to read a file that stands in the place of one of the format ``like``: as that, parts included, if it can be.

    Raises:
        UsageError: as ``recognise``.
    """
    found, stated = recognise(path), like.partition(":")[0]
    return like if stated == found or (stated, found) == ("score-sde", "torch") else found


def read_checkpoint(
    path: Path, *, format: str = "auto", parameter_names: Sequence[str] | None = None, convert: bool = True
) -> Checkpoint:
    """What a file of weights holds: tensors on the CPU by name, recorded arguments, facts.

    Args:
        path: a file, or a diffusers folder.
        format: as a card says it; "auto" goes by the content.
        parameter_names: for ``score-sde``: the network's trainable parameters in their order; without them the average
            stays positional.
        convert: keep the tensors of slower formats as safetensors in the cache, under the digest of the file.

    Raises:
        UsageError: the file cannot be read, or the format does not exist.
        IntegrityError: it is damaged, or holds anything but tensors and plain containers; what it holds is named, and
            not executed.
    """
    from reprozoo.zoo.weights.conversion import converted
    from reprozoo.zoo.weights.score_sde import named

    name, _, part = format.partition(":")
    if name == "auto":
        name = recognise(path)
    if name not in READERS:
        raise UsageError(f"no format of weights is called {name!r}{did_you_mean(name, READERS)}; {_formats()}")
    try:
        if path.is_file():
            check_file_size(path)
        if convert and name not in ("safetensors", "diffusers"):
            checkpoint = converted(path, f"{name}:{part}", lambda: _read(name, path, part))
        else:
            checkpoint = _read(name, path, part)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    if name == "score-sde" and parameter_names is not None:
        return Checkpoint(named(checkpoint.tensors, parameter_names, str(path)), checkpoint.init, checkpoint.facts)
    return checkpoint


def read_tensors(
    path: Path, *, format: str = "auto", parameter_names: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """The tensors of ``read_checkpoint`` alone."""
    return dict(read_checkpoint(path, format=format, parameter_names=parameter_names).tensors)


def _read(name: str, path: Path, part: str) -> Checkpoint:
    from reprozoo.zoo.weights.torch_files import refusal

    try:
        checkpoint = READERS[name](path, part)
    except PickleProblem as problem:
        raise refusal(path, problem) from problem
    check_tensors(path, checkpoint.tensors)
    return checkpoint


def _nvidia(path: Path, part: str) -> Checkpoint:
    from reprozoo.zoo.weights.nvidia import read_nvidia_pickle

    return read_nvidia_pickle(path, part)


def _score_sde(path: Path, part: str) -> Checkpoint:
    from reprozoo.zoo.weights.score_sde import read_score_sde

    return read_score_sde(path, part)


def _flax(path: Path, part: str) -> Checkpoint:
    from reprozoo.zoo.weights.flax import read_flax

    return read_flax(path, part)


def _diffusers(path: Path, part: str) -> Checkpoint:
    """A component, of a variant where one follows a second colon: ``diffusers:unet:fp16``."""
    component, _, variant = part.partition(":")
    folder = read_folder(path)
    tensors = folder.tensors(component, variant=variant)
    return Checkpoint(tensors, {"": {"class": folder.components[component][1], "kwargs": folder.config(component)}})


READERS: dict[str, Reader] = {
    "safetensors": read_safetensors,
    "torch": read_torch,
    "nvidia-pickle": _nvidia,
    "score-sde": _score_sde,
    "flax": _flax,
    "diffusers": _diffusers,
}


def _formats() -> str:
    return f"there are: auto, {', '.join(READERS)}"
