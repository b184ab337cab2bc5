"""How well an image was found again: against the truth, and against what was measured of it."""

from __future__ import annotations

import torch
from torch import Tensor

from reprozoo.measures.checks import check_same_shape

HIGHEST_PSNR = 100.0  # of equal images, whose PSNR is infinite


def psnr(images_u8: Tensor, truths_u8: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, in dB: 10 log10(255^2 / mean squared difference).

    Equal images have 100; on photographs 20 is a poor likeness and 40 hard to tell apart. Swapping the two changes
    nothing.

    Args:
        images_u8, truths_u8: (n, channels, height, width) uint8.

    Returns:
        (n,) float64.

    Raises:
        ContractError: the shapes differ.
    """
    check_same_shape(images_u8, truths_u8, "images")
    errors = (images_u8.double() - truths_u8.double()).flatten(1).square().mean(1)
    return (20 * torch.log10(255 / errors.sqrt())).clamp(max=HIGHEST_PSNR)


def data_misfits(found: Tensor, measured: Tensor) -> Tensor:
    """Root mean square of what differs between the measurement of each image and the one that was given, in 1/255.

    0: the image explains the measurement. Images rounded to 8 bits have about 0.3 without any other fault.

    Args:
        found, measured: (n, ...) measurements of images in [-1, 1].

    Returns:
        (n,) float64.

    Raises:
        ContractError: the shapes differ.
    """
    check_same_shape(found, measured, "measurements")
    return 127.5 * (found.double() - measured.double()).flatten(1).square().mean(1).sqrt()
