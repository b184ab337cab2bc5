"""How sides are written: map specs, folders of images, labels; no torch, no NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reprozoo.base.errors import UsageError
from reprozoo.zoo.specs import MapSpec

ARCHIVES = (".zip", ".npz", ".npy", ".safetensors")


def is_folder(spec: str) -> bool:
    """Whether a side is a place of images rather than a map spec: ``./images``, ``out/a.npz``, an existing path.

    A map spec never looks like one: its id has no path separator, but in schemes such as ``hf:owner/repo``.
    """
    try:
        parsed = MapSpec.parse(spec)
    except UsageError:
        return exists(spec)
    if parsed.scheme is not None and not exists(spec):
        return False
    head = parsed.id
    return "/" in head or "\\" in head or head.startswith(".") or head.lower().endswith(ARCHIVES)


def exists(path: str | Path) -> bool:
    """Whether there is a file or folder; a name that no file could have is of none."""
    try:
        return Path(path).exists()
    except OSError:  # too long a name
        return False


def folder_text(path: str | Path) -> str:
    """How a question writes a place of images, so that it is never taken for a map spec.

    >>> folder_text("images"), folder_text("images.npz")
    ('./images', 'images.npz')
    """
    text = str(path)
    return text if is_folder(text) else f"./{text}"


def labels_of(specs: Sequence[str]) -> list[str]:
    """The specs, numbered where one is given more than once.

    >>> labels_of(["a", "b", "a"])
    ['a', 'b', 'a #2']
    """
    labels: list[str] = []
    for spec in specs:
        label, count = spec, 1
        while label in labels:
            count += 1
            label = f"{spec} #{count}"
        labels.append(label)
    return labels
