"""One pinned bilinear resize, exact on every machine.

Pillow's algorithm for 8-bit images: a triangle filter, widened where the image shrinks, its weights rounded to integers
of 22 fractional bits; rows first, then columns, each rounded half up to 8 bits. Every product here is of integers that
float64 holds exactly, so no library and no order of summation can change a pixel.

Source: python-pillow/Pillow `src/libImaging/Resample.c` (MIT-CMU); a test compares the two pixel by pixel.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

FRACTION_BITS = 22  # 32 bits less 8 of a pixel and 2 of head room


def resize_bilinear(images_u8: Tensor, *, height: int, width: int) -> Tensor:
    """Resize images; an image that has the size already is returned as it is.

    Args:
        images_u8: (n, channels, height, width) uint8.

    Returns:
        (n, channels, height, width) uint8 of the size asked for.
    """
    if images_u8.shape[-1] != width:
        images_u8 = _rounded(images_u8.double() @ _weights(images_u8.shape[-1], width).T)
    if images_u8.shape[-2] != height:
        images_u8 = _rounded(_weights(images_u8.shape[-2], height) @ images_u8.double())
    return images_u8


def _rounded(sums: Tensor) -> Tensor:
    half = 2.0 ** (FRACTION_BITS - 1)
    return sums.add_(half).mul_(2.0**-FRACTION_BITS).floor_().clamp_(0, 255).to(torch.uint8)


@cache
def _weights(size: int, new_size: int) -> Tensor:
    """(new_size, size) float64 integer weights; a row sums to about 2**22."""
    scale = size / new_size
    support = max(scale, 1.0)
    weights = torch.zeros(new_size, size, dtype=torch.float64)
    for i in range(new_size):
        centre = (i + 0.5) * scale
        first, last = max(0, int(centre - support + 0.5)), min(size, int(centre + support + 0.5))
        row = [max(0.0, 1.0 - abs((j - centre + 0.5) / support)) for j in range(first, last)]
        total = sum(row)
        for j, weight in enumerate(row, start=first):
            weights[i, j] = int(0.5 + weight / total * (1 << FRACTION_BITS))
    return weights
