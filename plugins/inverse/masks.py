"""Inpainting: some pixels are seen and the others are not, the same in every channel."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from reprozoo import NoiseBank, UsageError
from reprozoo.diffusion.observations import LinearOperator, Shape
from reprozoo.maps.images import read_image

# Seeds of masks are apart from the seeds people compare with, so that a mask has nothing to do with any noise.
FIRST_MASK_SEED = 2**63 + 2**62
SEEN_LEVELS = frozenset({0, 255})


class Mask(LinearOperator):
    """The seen pixels of every channel, in reading order.

    Args:
        seen: (height, width) bool, True where the image is seen.
        image_shape: of the images.
    """

    name: ClassVar[str] = "mask"
    gram = 1.0

    def __init__(self, seen: Tensor, image_shape: Shape) -> None:
        self.seen, self.image_shape = seen, image_shape
        self.places = seen.flatten().nonzero()[:, 0]
        self.measurement_shape = (image_shape[0], len(self.places))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).index_select(2, self.places.to(x.device))

    def adjoint(self, y: Tensor) -> Tensor:
        channels, height, width = self.image_shape
        hidden = y.new_zeros(len(y), channels, height * width)
        return hidden.index_copy(2, self.places.to(y.device), y).reshape(len(y), channels, height, width)

    def config(self) -> dict[str, Any]:
        digest = hashlib.sha256(self.seen.to(torch.uint8).numpy().tobytes()).hexdigest()
        return {"name": self.name, "image_shape": list(self.image_shape), "seen_sha256": digest}


def centre_box(image_shape: Shape, *, width: int) -> Mask:
    """All but a square of ``width`` pixels in the centre, or half a pixel up and left of it.

    Raises:
        UsageError: the square is empty or hides the whole image.

    Source: arXiv:2310.05264, appendix F, with ``width`` 16 ("easy", 25 % of a CIFAR-10 image hidden) and 25 ("hard",
        61 %).
    """
    _, height, across = image_shape
    if not 0 < width < min(height, across):
        raise UsageError(
            f"inpaint-{width}: the box must be from 1 to {min(height, across) - 1} pixels wide on images of "
            f"{across}×{height}"
        )
    seen = torch.ones(height, across, dtype=torch.bool)
    top, left = (height - width) // 2, (across - width) // 2
    seen[top : top + width, left : left + width] = False
    return Mask(seen, image_shape)


def random_mask(image_shape: Shape, *, keep: float, seed: int) -> Mask:
    """Keeps the share ``keep`` of the pixels, rounded, chosen by ``seed`` alone: those of the smallest core noise.

    Raises:
        UsageError: ``keep`` is not between 0 and 1, or so small or large that it keeps no pixel or all.
    """
    _, height, width = image_shape
    count = round(keep * height * width) if 0 < keep < 1 else 0
    if not 0 < count < height * width:
        raise UsageError(f"random-mask+keep={keep:g}: expected a share of the pixels between 0 and 1, e.g. 0.3")
    if not 0 <= seed < 2**62:
        raise UsageError(f"random-mask+seed={seed}: expected a seed from 0 to 2**62 - 1")
    ranks = NoiseBank(FIRST_MASK_SEED + seed).noise([0], (height * width,))[0].argsort(stable=True)
    seen = torch.zeros(height * width, dtype=torch.bool)
    seen[ranks[:count]] = True
    return Mask(seen.reshape(height, width), image_shape)


def mask_of_file(image_shape: Shape, *, file: str | None) -> Mask:
    """The mask of an image file: white where the image is seen, black where it is not.

    Raises:
        UsageError: no readable image, of another size than the models' images, neither black nor white somewhere, or of
            one colour alone.
    """
    if not file:
        raise UsageError("mask needs an image, white where the picture is seen and black where not: mask+file=mask.png")
    levels = read_image(Path(file), channels=1)[0]
    _, height, width = image_shape
    if tuple(levels.shape) != (height, width):
        raise UsageError(
            f"the mask {file} is {levels.shape[1]}×{levels.shape[0]} and the models make images of {width}×{height}; "
            "nothing is resized"
        )
    if grey := set(levels.flatten().tolist()) - SEEN_LEVELS:
        raise UsageError(
            f"the mask {file} has grey pixels ({min(grey)} of 255, for one); expected white (seen) and black (hidden) "
            "alone"
        )
    seen = levels == 255
    if not seen.any():
        raise UsageError(f"the mask {file} is black everywhere: nothing of the image would be seen; make a part white")
    if seen.all():
        raise UsageError(f"the mask {file} is white everywhere: nothing would be left to find; make a part black")
    return Mask(seen, image_shape)
