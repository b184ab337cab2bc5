"""The contract of a descriptor, enforced on every call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from reprozoo.base.errors import ContractError, UsageError
from reprozoo.zoo.cards import DescriptorCard

NORM_TOLERANCE = 1e-4  # float16 features that were cast to float32 stay within it; ``metrics`` asks for the same
CHUNK = 16  # images at a time: enough to be quick, and an image's feature must not depend on it


@dataclass(frozen=True)
class DescriptorContext:
    """What a descriptor is built from.

    Attributes:
        card: its card; None for a descriptor that needs none.
        files: verified local files by name.
        digests: their sha256.
        threads: CPU threads to use; None for as many as torch uses.
    """

    card: DescriptorCard | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    threads: int | None = None


class Descriptor(ABC):
    """Images to unit vectors. Building one is cheap; a network is read when the first image comes.

    Attributes:
        id: with everything a reader must know of it, e.g. "sscd-disc-large@320"; part of the name of every score.
        dim: length of a feature.
        threshold: similarity above which (strictly) two images count as the same, by default.
        prompt_threshold: the same for images that follow a prompt, which resemble each other less; None for
            ``threshold``.
        note: what a reader of its scores must know; empty for nothing.
        plugins: those that it and its card came from, as results record them; set by ``load_descriptor``.
    """

    id: str
    dim: int
    threshold: float = 0.6
    prompt_threshold: float | None = None
    note: str = ""
    plugins: tuple[Mapping[str, str], ...] = ()

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """JSON of everything that can change a feature: digests of weights, preprocessing, versions that matter."""

    @abstractmethod
    def describe(self, images_u8: Tensor) -> Tensor:
        """Features of a few images: the one method of a descriptor.

        Args:
            images_u8: (batch, 3, height, width) uint8 RGB.

        Returns:
            (batch, dim) unit vectors; a row depends on its own image alone.
        """

    @final
    def __call__(self, images_u8: Tensor) -> Tensor:
        """Features of any number of images.

        Args:
            images_u8: (n, 1 or 3, height, width) uint8; grey images are repeated to three channels.

        Returns:
            (n, dim) float32 unit vectors on the CPU.

        Raises:
            UsageError: images that are not uint8, or have neither one nor three channels.
            ContractError: the descriptor returned another shape, or rows that are not unit vectors.
        """
        if images_u8.dtype != torch.uint8 or images_u8.ndim != 4 or images_u8.shape[1] not in (1, 3):
            raise UsageError(
                "a descriptor takes uint8 images of 1 or 3 channels, (n, channels, height, width); "
                f"got {tuple(images_u8.shape)} {images_u8.dtype}"
            )
        colour = images_u8.expand(-1, 3, -1, -1)
        with torch.no_grad():
            chunks = [self._checked(colour[i : i + CHUNK]) for i in range(0, len(colour), CHUNK)]
        return torch.cat(chunks) if chunks else torch.empty(0, self.dim)

    def _checked(self, images_u8: Tensor) -> Tensor:
        features = self.describe(images_u8).to("cpu", torch.float32)
        expected = (len(images_u8), self.dim)
        if tuple(features.shape) != expected:
            raise ContractError(f"the descriptor {self.id} returned {tuple(features.shape)}, expected {expected}")
        off = (torch.linalg.vector_norm(features, dim=1) - 1).abs().max()
        if not float(off) <= NORM_TOLERANCE:  # NaN is caught too
            raise ContractError(f"the descriptor {self.id} returned vectors whose norm is off 1 by {float(off):.3g}")
        return features


class Mirrored(Descriptor):
    """A descriptor of the mirror images: left and right exchanged."""

    def __init__(self, descriptor: Descriptor) -> None:
        self.descriptor = descriptor
        self.id, self.dim = descriptor.id, descriptor.dim

    def identity(self) -> dict[str, Any]:
        return {**self.descriptor.identity(), "mirrored": True}

    def describe(self, images_u8: Tensor) -> Tensor:
        return self.descriptor.describe(images_u8.flip(3))
