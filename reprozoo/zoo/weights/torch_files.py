"""torch files, zip and legacy: looked through as data first, then read by torch with ``weights_only=True``.

Looking first says what a refused file holds, by name, and keeps from torch what it would believe: sizes that the file
does not have, archives with other members, compressed or overlapping ones.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

from reprozoo.base.errors import IntegrityError
from reprozoo.zoo.weights.inert import PickleProblem, Vocabulary, mapped, read_pickle
from reprozoo.zoo.weights.storages import (
    DTYPES,
    REBUILD_TENSORS,
    STORAGES,
    Storage,
    read_legacy,
    storage_from_persistent_id,
)

MAX_PICKLE_BYTES = 256 << 20  # of the part of an archive that is not numbers
MEMBERS = re.compile(
    r"data\.pkl|data/\d+|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id"
)
SCRIPT = re.compile(r"code/.*|constants\.pkl|constants/.*|extra/.*|model\.json|attributes\.pkl")
LIGHTNING = ("pytorch_lightning", "lightning")
LIGHTNING_KEYS = ("pytorch-lightning_version", "callbacks", "hyper_parameters")


def load_torch_file(path: Path) -> Any:
    """What a torch file holds: plain containers, numbers, texts and tensors on the CPU.

    Raises:
        IntegrityError: it is damaged, or holds anything else; what it holds is named, and not executed.
    """
    import torch

    try:
        _look_through(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except PickleProblem as problem:
        raise refusal(path, problem) from problem
    except pickle.UnpicklingError as error:
        said = str(error).split("Please file an issue")[0]
        found = next((line.strip() for line in said.splitlines() if "global" in line.lower()), "code")
        raise refusal(path, PickleProblem(found, hostile=True)) from error
    except OSError:
        raise
    except Exception as error:  # a damaged file makes torch raise almost anything
        raise IntegrityError(f"{path} is a damaged torch file: {type(error).__name__}: {error}") from error
    if isinstance(loaded, dict) and any(key in loaded for key in LIGHTNING_KEYS):
        raise refusal(path, PickleProblem("pytorch_lightning", hostile=True))
    return loaded


def refusal(path: Path, problem: PickleProblem) -> IntegrityError:
    """The sentence for a file that is not read: what was found in it, and what to use instead."""
    found = problem.found
    if not problem.hostile:
        return IntegrityError(f"{path} is damaged or of another kind: it holds {found}; fetch or export it again")
    if found.split(".")[0] in LIGHTNING:
        return IntegrityError(
            f"{path} is a Lightning checkpoint (it holds {found}), which only code can read; it was not executed. Use "
            "the model's diffusers folder or a safetensors file"
        )
    if found.startswith(("torch.nn.", "__main__.", "torch.jit", "__torch__")):
        return IntegrityError(
            f"{path} holds a whole module ({found}), which only code can read; it was not executed. Export its state "
            "dict: a safetensors file, or a torch file that holds a plain state dict"
        )
    return IntegrityError(
        f"{path} holds more than tensors ({found}); it was not executed. Use a safetensors file, or a torch file that "
        "holds a plain state dict"
    )


def _look_through(path: Path) -> None:
    with path.open("rb") as stream:
        is_zip = stream.read(4) == b"PK\x03\x04"
    if is_zip:
        _look_through_zip(path)
    else:
        read_legacy(mapped(path), REBUILD_TENSORS, DTYPES)


def _look_through_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.stat().st_size)
            text = archive.read(members["data.pkl"])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise PickleProblem(f"a damaged archive ({error})") from error
    needed: dict[str, Storage] = {}

    def persistent(value: Any) -> Storage:
        key, storage = storage_from_persistent_id(value)
        return needed.setdefault(key, storage)

    read_pickle(io.BytesIO(text), Vocabulary(REBUILD_TENSORS, (*STORAGES, *DTYPES), persistent))
    for key, storage in needed.items():
        member = members.get(f"data/{key}")
        if member is None or member.file_size != storage.count * storage.item_bytes:
            raise PickleProblem(f"a storage of {storage.count:,} numbers, of which the archive holds another number")


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by their name below the archive's one folder, each of a known kind and none compressed."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        folder, _, name = info.filename.partition("/")
        if SCRIPT.fullmatch(name):
            raise PickleProblem("torch.jit.ScriptModule, a program", hostile=True)
        if not MEMBERS.fullmatch(name) or folder in ("", ".", "..") or "\\" in folder or name in found:
            raise PickleProblem(f"the archive member {info.filename[:200]!r}", hostile=True)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise PickleProblem(f"the compressed archive member {info.filename[:200]!r}", hostile=True)
        found[name] = info
    if sum(info.file_size for info in found.values()) > size:
        raise PickleProblem("archive members that are larger together than the archive", hostile=True)
    if "data.pkl" not in found or found["data.pkl"].file_size > MAX_PICKLE_BYTES:
        raise PickleProblem("an archive without a data.pkl, or with one that is too large", hostile=True)
    return found
