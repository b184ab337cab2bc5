"""Exact search for the two nearest images, by Euclidean distance of pixels. Arrays in, arrays out; torch inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reprozoo.base.errors import ContractError
from reprozoo.measures.checks import check_images
from reprozoo.measures.precision import full_precision, to_read

BUDGET_BYTES = 256 * 2**20
MAX_ROWS = 1024
PIECE = 1024  # terms of a float32 sum of products of integers within ±128: at most 2**24, so every partial sum is exact


@dataclass(frozen=True)
class PixelNeighbours:
    """The two training images nearest to each sample, by Euclidean distance of pixels.

    Attributes:
        squared_distance: (n, 2) int64, exact, increasing.
        index: (n, 2) int64 rows of the training set; the smaller one first where distances are equal.
    """

    squared_distance: NDArray[np.int64]
    index: NDArray[np.int64]

    @property
    def ratio(self) -> NDArray[np.float64]:
        """(n,) distance to the nearest over distance to the next; 0 where both are 0 (a copied duplicate)."""
        first, second = self.squared_distance.T.astype(np.float64)
        ratios: NDArray[np.float64] = np.sqrt(first / np.maximum(second, 1))
        return ratios


def pixel_neighbours(
    images_u8: NDArray[np.uint8], train_images_u8: NDArray[np.uint8], *, budget_bytes: int = BUDGET_BYTES
) -> PixelNeighbours:
    """Find the two nearest training images of each sample, exactly: distances are integers and none is rounded.

    |a|^2 - 2ab + |b|^2 of pixels shifted to ±128, its products summed in float32 over so few terms at a time that
    nothing is lost, the rest in float64.

    Args:
        images_u8: (n, channels, height, width) uint8 generated images.
        train_images_u8: (m, channels, height, width) uint8, at least two.
        budget_bytes: memory to use above the inputs and the result, about.

    Returns:
        Squared distances in pixel values (0 to 255) and indices.

    Raises:
        ContractError: not uint8, no image, other shapes, or fewer than two training images.
    """
    check_images(images_u8, "images")
    check_images(train_images_u8, "training images")
    if images_u8.shape[1:] != train_images_u8.shape[1:]:
        raise ContractError(
            f"images of shape {images_u8.shape[1:]} cannot be compared with training images of shape "
            f"{train_images_u8.shape[1:]}"
        )
    if len(train_images_u8) < 2:
        raise ContractError("the memorization ratio needs a second nearest training image, and there is only one")
    rows, columns = _block(len(images_u8), images_u8[0].size, budget_bytes)
    train = to_read(train_images_u8)
    with torch.no_grad(), full_precision(train.device):
        found = [_two_nearest(images, train, columns) for images in torch.split(to_read(images_u8), rows)]
    squared, index = (torch.cat(parts).to(torch.int64).numpy() for parts in zip(*found, strict=True))
    return PixelNeighbours(squared, index)


def _block(count: int, pixels: int, budget_bytes: int) -> tuple[int, int]:
    """Rows and columns of one block of distances: 4 bytes a product, 8 a distance; 4 + 8 a pixel of its images."""
    rows = max(1, min(count, MAX_ROWS, budget_bytes // 4 // (12 * pixels)))
    return rows, max(1, budget_bytes // 2 // (12 * (rows + pixels)))


def _two_nearest(images: Tensor, train: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """(rows, 2) squared distances, float64, and indices; equal distances in the order of the training set."""
    queries, query_norms = _centred(images)
    best = query_norms.new_full((len(images), 2), torch.inf)
    index = torch.zeros_like(best, dtype=torch.int64)
    for start in range(0, len(train), columns):
        rows, norms = _centred(train[start : start + columns].to(images.device))
        distances = query_norms[:, None] + norms
        for piece in range(0, queries.shape[1], PIECE):
            part = slice(piece, piece + PIECE)
            distances.sub_(queries[:, part] @ rows[:, part].T, alpha=2)
        for _ in range(2):  # min names the first of equal values; topk promises nothing
            values, places = distances.min(dim=1, keepdim=True)
            distances.scatter_(1, places, torch.inf)
            best, index = torch.cat([best, values], dim=1), torch.cat([index, places + start], dim=1)
        best, order = best.sort(dim=1, stable=True)
        best, index = best[:, :2], index.gather(1, order[:, :2])
    return best, index


def _centred(images_u8: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels minus 128, (n, pixels) float32, and their squared norms, float64; both exact."""
    pixels = images_u8.flatten(1).to(torch.float32).sub_(128)
    return pixels, pixels.double().square_().sum(dim=1)
