"""Images of one's own: a folder, a zip archive, .npz, .npy or .safetensors."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.zoo.datasets.arrays import ImageDataset, dataset_of

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
IMAGE_FORMATS = ("BMP", "JPEG", "PNG", "WEBP")
MAX_PIXELS = 1 << 26  # of one image; 8192 x 8192
MAX_MEMBER_BYTES = 1 << 28  # of one image file in a zip archive
MAX_EXPANSION = 200  # unpacked bytes for each byte of an archive; photographs hardly pack, and bombs do by thousands
FREE_EXPANSION_BYTES = 1 << 27  # below this an archive may expand as it likes: synthetic images pack well


def read_images(path: Path, split: str | None = None) -> ImageDataset:
    """The images of a folder or file.

    A folder's images are in the order of their relative paths, numbers counted as numbers; where each lies in a
    first-level subfolder, the sorted names of these are the class labels. An array file holds ``images`` (or the one
    array that it has), and may hold ``labels`` and ``indices``.

    Args:
        path: folder, .zip, .npz, .npy or .safetensors.
        split: a subfolder to take, where there is one; other files and folders have only "train", which is all of it.

    Raises:
        UsageError: nothing there, no images, images of several sizes, an image that is damaged, a format not known.
        IntegrityError: an archive is damaged, or would unpack to far more than it is.
    """
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}")
    if split and path.is_dir() and (path / split).is_dir():
        path = path / split
    elif split not in (None, "train"):
        raise UsageError(f'{path} has no split "{split}"; a folder has the splits that are its subfolders')
    if path.is_dir():
        return _folder(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{path}: expected a folder or one of {', '.join(_READERS)}, got a {path.suffix or 'file'}")
    return reader(path)


def _folder(path: Path) -> ImageDataset:
    names = [p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()]
    return _collect(str(path), names, lambda name: (path / name).read_bytes())


def _zip(path: Path) -> ImageDataset:
    with _damage(path), zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        _refuse_hostile(path, infos.values(), largest=MAX_MEMBER_BYTES)
        return _collect(str(path), list(infos), archive.read)


def _npz(path: Path) -> ImageDataset:
    with _damage(path):
        with zipfile.ZipFile(path) as archive:
            _refuse_hostile(path, archive.infolist(), largest=None)
        with np.load(path, allow_pickle=False) as arrays:
            return _from_arrays(path, {name: arrays[name] for name in arrays.files})


def _npy(path: Path) -> ImageDataset:
    with _damage(path):
        return _from_arrays(path, {"images": np.load(path, allow_pickle=False)})


def _safetensors(path: Path) -> ImageDataset:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return _from_arrays(path, load_file(path))
    except SafetensorError as error:
        raise IntegrityError(f"{path} is a damaged safetensors file: {error}") from error


_READERS: dict[str, Callable[[Path], ImageDataset]] = {
    ".zip": _zip,
    ".npz": _npz,
    ".npy": _npy,
    ".safetensors": _safetensors,
}


def _from_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> ImageDataset:
    images = arrays.get("images", arrays.get("arr_0"))  # arr_0: how numpy calls the first of unnamed arrays
    if images is None and len(arrays) == 1:
        images = next(iter(arrays.values()))
    if images is None:
        raise UsageError(f'{path} holds {", ".join(sorted(arrays)) or "nothing"}; expected an array called "images"')
    return dataset_of(str(path), images, labels=arrays.get("labels"), indices=arrays.get("indices"))


def _collect(where: str, names: Iterable[str], read: Callable[[str], bytes]) -> ImageDataset:
    """Decode the image files among ``names``."""
    names = tuple(sorted((n for n in names if _is_image(n)), key=_natural))
    if not names:
        raise UsageError(f"{where} holds no images; expected files of {', '.join(sorted(IMAGE_SUFFIXES))}")
    pixels = [_decode(where, name, read(name)) for name in names]
    height, width, _ = pixels[0].shape
    for name, array in zip(names, pixels, strict=True):
        if array.shape[:2] != (height, width):
            raise UsageError(
                f"{where} mixes sizes: {names[0]} is {width}x{height} and {name} is {array.shape[1]}x{array.shape[0]}; "
                "resize them to one size first"
            )
    if any(array.shape[2] == 3 for array in pixels):
        pixels = [np.broadcast_to(array, (height, width, 3)) for array in pixels]
    images = np.stack(pixels).transpose(0, 3, 1, 2)
    return ImageDataset(where, np.ascontiguousarray(images), _folder_labels(names), names)


def _decode(where: str, name: str, content: bytes) -> NDArray[np.uint8]:
    """(height, width, 1 or 3) pixels of one image file."""
    try:
        with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UsageError(f"{where}: {name} has {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}")
            if image.mode.startswith(("I", "F")):
                raise UsageError(f"{where}: {name} has more than 8 bits a channel; convert it to 8")
            if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
                raise UsageError(f"{where}: {name} is partly transparent; put it on a background first")
            array = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    except UnidentifiedImageError as error:
        raise UsageError(f"{where}: {name} is not an image of a format that is read here, or damaged") from error
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError, zlib.error) as error:
        raise UsageError(f"{where}: {name} is damaged: {error}") from error
    return array[:, :, None] if array.ndim == 2 else array


def _is_image(name: str) -> bool:
    """By its name; what file managers leave behind is passed over."""
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(p.startswith((".", "__MACOSX")) for p in path.parts)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """So that 2.png comes before 10.png on every machine."""
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", name)]


def _folder_labels(names: tuple[str, ...]) -> NDArray[np.int64] | None:
    parents = [PurePosixPath(name).parts[0] for name in names if "/" in name]
    classes = {name: label for label, name in enumerate(sorted(set(parents), key=_natural))}
    if len(parents) < len(names) or len(classes) < 2:
        return None
    return np.array([classes[parent] for parent in parents], dtype=np.int64)


def _refuse_hostile(path: Path, infos: Iterable[zipfile.ZipInfo], *, largest: int | None) -> None:
    infos = list(infos)
    for info in infos:
        if info.filename.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", info.filename) or ":" in info.filename:
            raise IntegrityError(f"{path} holds {info.filename!r}, a path out of the archive; nothing of it was read")
        if info.flag_bits & 1:
            raise UsageError(f"{path} is encrypted; unpack it first")
        if largest is not None and info.file_size > largest:
            raise IntegrityError(f"{path}: {info.filename} would unpack to {info.file_size:,} bytes; nothing was read")
    total = sum(info.file_size for info in infos)
    if total > max(FREE_EXPANSION_BYTES, MAX_EXPANSION * path.stat().st_size):
        raise IntegrityError(
            f"{path} would unpack to {total:,} bytes, more than {MAX_EXPANSION} times what it is; nothing was read"
        )


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What zip and numpy say about a damaged file, as a sentence."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError) as error:
        raise IntegrityError(f"{path} is damaged, or holds more than arrays: {error}") from error
