"""From a folder or file of images to a map; imported only when one is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from reprozoo import Condition, LoadContext, NoiseBank, NoiseFile, NoiseToImageMap, UsageError
from reprozoo.maps.images import from_uint8
from reprozoo.zoo.datasets import image_indices, read_images

ROWS_AT_ONCE = 256


class SamplesMap(NoiseToImageMap):
    """A lookup from noise to image, by the noise's content.

    Args:
        images_u8: (n, channels, height, width).
        rows: noise digest -> row of ``images_u8``.
        noise_shape: of one noise.
        origin: what the images are called in messages, and the noise they belong to.
    """

    nfe = 0

    def __init__(self, images_u8: Tensor, rows: Mapping[bytes, int], noise_shape: tuple[int, ...], origin: str) -> None:
        self.images_u8, self.rows, self.origin = images_u8, rows, origin
        self.noise_shape = noise_shape
        _, channels, height, width = images_u8.shape
        self.image_shape = (channels, height, width)

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        found = [self.rows.get(_digest(row)) for row in noise]
        if None in found:
            raise UsageError(
                f"{self.origin} has no image for some of the noises asked for: it covers {len(self.rows)} indices; "
                "compare with the seed or noise file the images were made from, and no more noises than these"
            )
        return from_uint8(self.images_u8[found])


def load(context: LoadContext) -> SamplesMap:
    """Read the images, draw the noise of each one's index again, and pair them by content."""
    path, options = Path(context.options["path"]), context.options
    samples = read_images(path)
    indices_of = image_indices(samples)
    source = NoiseFile(options["noise"]) if options["noise"] else NoiseBank(options["seed"])
    rows: dict[bytes, int] = {}
    for start in range(0, len(samples), ROWS_AT_ONCE):
        indices = indices_of[start : start + ROWS_AT_ONCE]
        noise = source.noise(indices, context.card.noise_shape)
        rows |= {_digest(row): start + k for k, row in enumerate(noise)}
    return SamplesMap(torch.as_tensor(samples.images_u8), rows, context.card.noise_shape, str(path))


def _digest(noise: Tensor) -> bytes:
    return sha256(noise.contiguous().numpy().tobytes()).digest()
