"""Noise in a file: to give reprozoo's noise to another program, and to take another program's.

A .safetensors file holds one float32 tensor ``noise`` (n, *shape) and, as metadata, where it came from: ``source``
(JSON: the source's spec, with its seed), ``indices`` (JSON: a list of [start, stop) runs), ``shape``, ``sha256`` of the
tensor's bytes and the version of ``reprozoo``. A .npy file holds the array alone; its rows are noises 0 to n - 1.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

import reprozoo
from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.base.files import whole_file
from reprozoo.maps.noise.bank import BLOCK_VALUES, NoiseSource, blocks, checked_indices, checked_shape, digest_of

FORMATS = (".safetensors", ".npy")
TENSOR = "noise"
Rows = np.ndarray[Any, np.dtype[Any]]


class NoiseFile:
    """The noises of a .safetensors or .npy file, read when they are asked for.

    The whole file is read once here: its digest must be the recorded one, if one is recorded, and every value finite.

    Args:
        path: as ``export_noise`` writes it, or another program's; rows without recorded indices are noises 0 to n - 1.

    Attributes:
        shape: of one noise.
        indices: of its rows, in the order of the file.
        metadata: what the file says of itself; empty for .npy.

    Raises:
        UsageError: the file is missing, unreadable, of another kind, or does not hold float32 noise.
        IntegrityError: it holds NaN or infinity, or its digest is not the recorded one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        rows, self.metadata = _open(self.path)
        self._version = _version(self.path)
        if rows.dtype != np.dtype("<f4"):
            raise UsageError(f"{self.path} holds {rows.dtype} values; noise is float32: convert it and save it again")
        if rows.ndim < 2 or 0 in rows.shape:
            raise UsageError(f"{self.path} holds an array of shape {rows.shape}; expected (count, *shape of one noise)")
        self.shape = tuple(rows.shape[1:])
        self.indices = _recorded_indices(self.path, self.metadata, count=len(rows))
        self._rows = {index: row for row, index in enumerate(self.indices)}
        self._sha256 = _verified_digest(self.path, rows, self.metadata.get("sha256"))

    def __len__(self) -> int:
        return len(self.indices)

    def noise(self, indices: Sequence[int], shape: Sequence[int]) -> Tensor:
        """Read the noises of these indices.

        Args:
            indices: any of ``self.indices``, in any order.
            shape: of one noise; must be ``self.shape``.

        Returns:
            (len(indices), *shape) float32 on the CPU.

        Raises:
            UsageError: another shape, or an index that the file does not have.
            IntegrityError: the file changed since it was opened.
        """
        indices, shape = checked_indices(indices), checked_shape(shape)
        if shape != self.shape:
            raise UsageError(f"{self.path} holds noise of shape {self.shape}, and noise of shape {shape} is needed")
        for index in indices:
            if index not in self._rows:
                raise UsageError(f"{self.path} has no noise {index}: it holds {self._contents()}")
        if _version(self.path) != self._version:
            raise IntegrityError(f"{self.path} changed while it was in use; run again with the file left alone")
        rows, _ = _open(self.path)
        wanted = rows[[self._rows[index] for index in indices]]
        return torch.from_numpy(np.ascontiguousarray(wanted, np.float32))

    def spec(self) -> dict[str, Any]:
        """Kind, digest, shape and indices; where the file lies does not matter."""
        return {"kind": "file", "sha256": self._sha256, "shape": list(self.shape), "indices": _runs(self.indices)}

    @property
    def seed(self) -> int:
        """That of the source it was written from; 0 where the file does not say."""
        try:
            return int(json.loads(self.metadata.get("source", "{}")).get("seed", 0))
        except (ValueError, TypeError, AttributeError):  # another program's word for where it came from
            return 0

    def digest(self, indices: Sequence[int], shape: Sequence[int]) -> str:
        """Hex sha256 of the noise, read block by block."""
        return digest_of(self, indices, shape)

    def _contents(self) -> str:
        runs = _runs(self.indices)
        listed = ", ".join(f"{a}" if b == a + 1 else f"{a} to {b - 1}" for a, b in runs[:3])
        return f"{len(self)} noises, {listed}" + (", ..." if len(runs) > 3 else "")


def export_noise(
    source: NoiseSource, indices: Sequence[int], shape: Sequence[int], path: str | os.PathLike[str]
) -> str:
    """Write noise to a file, whole or not at all, in memory that does not grow with its size.

    Args:
        source: where the noise comes from.
        indices: which noises, each once; for .npy, which cannot record them, 0 to n - 1.
        shape: of one noise.
        path: .safetensors (with its provenance) or .npy; replaced if it exists.

    Returns:
        Hex sha256 of the noise, as ``source.digest`` gives it.

    Raises:
        UsageError: another kind of file, no or repeated indices, or a place that cannot be written.
        PartialError: the disk is full; nothing is left behind.
    """
    path, indices, shape = Path(path), checked_indices(indices), checked_shape(shape)
    _check_export(path, indices)
    with whole_file(path, remedy="choose another place") as temporary, open(temporary, "wb") as file:
        sha256 = _write(file, path.suffix, source, indices, shape)
    return sha256


def _check_export(path: Path, indices: Sequence[int]) -> None:
    if path.suffix not in FORMATS:
        raise UsageError(f"noise is written as {' or '.join(FORMATS)}, not {path.name!r}")
    if not len(indices):
        raise UsageError("no noise to write: give at least one index")
    if not isinstance(indices, range) and len(set(indices)) < len(indices):
        raise UsageError("an index is given twice; a noise file holds each noise once")
    if path.suffix == ".npy" and _runs(indices) != [[0, len(indices)]]:
        raise UsageError(".npy cannot record indices: its rows are noises 0 to n - 1; write .safetensors for others")


def _write(file: IO[bytes], suffix: str, source: NoiseSource, indices: Sequence[int], shape: tuple[int, ...]) -> str:
    """Header, then the noise block by block; the digest, known only at the end, replaces 64 zeros in the header."""
    header = _npy_header if suffix == ".npy" else _safetensors_header
    unknown = 64 * "0"
    file.write(header(source, indices, shape, sha256=unknown))
    sha256 = hashlib.sha256()
    for block in blocks(source, indices, shape):
        sha256.update(block.data)
        file.write(block.data)
    file.seek(0)
    file.write(header(source, indices, shape, sha256=sha256.hexdigest()))
    return sha256.hexdigest()


def _npy_header(source: NoiseSource, indices: Sequence[int], shape: tuple[int, ...], *, sha256: str) -> bytes:
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(indices), *shape)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def _safetensors_header(source: NoiseSource, indices: Sequence[int], shape: tuple[int, ...], *, sha256: str) -> bytes:
    """Length (8 bytes, little-endian) and JSON, padded with spaces to a multiple of 8."""
    size = 4 * len(indices) * math.prod(shape)
    metadata = {
        "reprozoo": reprozoo.__version__,
        "source": json.dumps(source.spec(), sort_keys=True),
        "indices": json.dumps(_runs(indices)),
        "shape": json.dumps(list(shape)),
        "sha256": sha256,
    }
    tensor = {"dtype": "F32", "shape": [len(indices), *shape], "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": metadata, TENSOR: tensor}).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header


def _open(path: Path) -> tuple[Rows, dict[str, str]]:
    """The array, its data still in the file, and the metadata.

    Raises:
        UsageError: the file is missing, unreadable or of another kind.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"noise is read from {' or '.join(FORMATS)}, not {path.name!r}")
    if not path.is_file():
        raise UsageError(f"there is no file {path}; reprozoo noise export writes one")
    try:
        if path.suffix == ".npy":
            return np.lib.format.open_memmap(path, mode="r"), {}
        return _open_safetensors(path)
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} cannot be read as {path.suffix}, it is damaged or cut short ({error}); export it again"
        ) from error


def _open_safetensors(path: Path) -> tuple[Rows, dict[str, str]]:
    """As ``_open``; the format is the length of a JSON header (8 bytes, little-endian), the header, the data."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError("its header is longer than the file")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    if TENSOR not in header:
        raise UsageError(f"{path} has no tensor named {TENSOR!r}; it has: {', '.join(header) or 'none'}")
    tensor = header[TENSOR]
    if tensor["dtype"] != "F32":
        raise UsageError(f"{path} holds {tensor['dtype']} values; noise is float32 (F32): convert it and save it again")
    offset = 8 + length + tensor["data_offsets"][0]
    return np.memmap(path, "<f4", "r", offset=offset, shape=tuple(tensor["shape"])), metadata


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _recorded_indices(path: Path, metadata: dict[str, str], *, count: int) -> Sequence[int]:
    """The index of each row: as recorded, otherwise 0 to count - 1.

    Raises:
        UsageError: what is recorded is not ``count`` different indices.
    """
    try:
        runs = json.loads(metadata.get("indices", f"[[0, {count}]]"))
        if sum(stop - start for start, stop in runs) != count:
            raise ValueError("another number of them than rows")
        indices = checked_indices([i for start, stop in runs for i in range(start, stop)])
        if len(set(indices)) != count:
            raise ValueError("some of them twice")
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} records indices that cannot be used ({error}); export it again") from error
    return indices


def _runs(indices: Sequence[int]) -> list[list[int]]:
    """The indices as [start, stop) runs, in order."""
    if isinstance(indices, range) and indices.step == 1:
        return [[indices.start, indices.stop]]
    runs: list[list[int]] = []
    for index in indices:
        if runs and runs[-1][1] == index:
            runs[-1][1] += 1
        else:
            runs.append([index, index + 1])
    return runs


def _verified_digest(path: Path, rows: Rows, recorded: str | None) -> str:
    """Hex sha256 of the rows, read once in bounded memory.

    Raises:
        IntegrityError: it is not the recorded one, or a value is NaN or infinite.
    """
    sha256 = hashlib.sha256()
    step = max(1, BLOCK_VALUES // math.prod(rows.shape[1:]))
    for start in range(0, len(rows), step):
        block = np.ascontiguousarray(rows[start : start + step])
        if not np.isfinite(block).all():
            raise IntegrityError(f"{path} holds NaN or infinity, in rows {start} to {start + len(block) - 1}")
        sha256.update(block.data)
    if recorded not in (None, sha256.hexdigest()):
        raise IntegrityError(
            f"{path} is not what was written: its sha256 is {sha256.hexdigest()}, the recorded one {recorded}; "
            "export or copy it again"
        )
    return sha256.hexdigest()
