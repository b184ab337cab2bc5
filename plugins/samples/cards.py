"""The card of a folder or file of images; imports no torch, so that a mistake in a spec is a sentence at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reprozoo import ModelCard, UsageError
from reprozoo.zoo.datasets import read_images


def card(target: str, revision: str | None, options: Mapping[str, str], offline: bool) -> ModelCard:
    """The card of ``samples:PATH``: the shapes are those of the images."""
    path = Path(target)
    if not path.exists():
        raise UsageError(f"samples:{target}: there is no such file or folder")
    if revision:
        raise UsageError(f"samples:{target} takes no revision; its images are identified by their digest")
    _, channels, height, width = read_images(path).images_u8.shape
    image_shape = (channels, height, width)
    return ModelCard(
        id=f"samples:{target}",
        family="samples",
        title=f"images made elsewhere, {path.name}",
        noise_shape=_shape(options.get("noise_shape")) or image_shape,
        image_shape=image_shape,
        options={"path": str(path.resolve())},
        training={"dataset": "unknown"},
        licence="unknown",
        paper="unknown",
        weights=(),
    )


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        shape = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        raise UsageError(f"option noise_shape={text}: expected sizes such as 4x64x64") from None
    return shape
