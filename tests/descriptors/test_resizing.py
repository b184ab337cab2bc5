"""The pinned resize: equal to Pillow's pixel by pixel, and a digest that must never change."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from reprozoo.measures.descriptors.resizing import resize_bilinear


def noise(height: int, width: int, count: int = 2) -> Tensor:
    pixels = np.random.Generator(np.random.Philox(7)).integers(0, 256, (count, 3, height, width), dtype=np.uint8)
    return torch.from_numpy(pixels)


@pytest.mark.parametrize(
    ("size", "new_size"),
    [
        ((32, 32), (288, 288)),
        ((512, 512), (288, 288)),
        ((64, 64), (32, 32)),
        ((37, 300), (288, 31)),
        ((5, 1), (3, 9)),
        ((32, 32), (32, 64)),
        ((32, 32), (64, 32)),
    ],
)
def test_it_is_pillows_bilinear_pixel_by_pixel(size: tuple[int, int], new_size: tuple[int, int]) -> None:
    images = noise(*size)
    resized = resize_bilinear(images, height=new_size[0], width=new_size[1])
    for image, own in zip(images, resized, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        theirs = np.asarray(picture.resize((new_size[1], new_size[0]), Image.Resampling.BILINEAR))
        assert np.array_equal(own.permute(1, 2, 0).numpy(), theirs)


def test_its_bits_are_pinned() -> None:
    resized = resize_bilinear(noise(32, 32), height=288, width=288)
    digest = hashlib.sha256(resized.numpy().tobytes()).hexdigest()
    assert digest == "22f3083fc4d656fb72ba4d9872a2496b896e06571014dbcacf434e39607af3c3"


def test_the_same_size_is_left_alone() -> None:
    images = noise(8, 9)
    assert torch.equal(resize_bilinear(images, height=8, width=9), images)


def test_a_grey_image_stays_grey() -> None:
    assert (resize_bilinear(torch.full((1, 3, 10, 10), 200, dtype=torch.uint8), height=33, width=7) == 200).all()
