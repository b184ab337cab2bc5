"""What every measure asks of its input, and the precision that searches compute in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import ContractError

UNIT_TOLERANCE = 1e-4  # of a row's norm: float16 features that were cast to float32 stay within it
CHUNK_VALUES = 1 << 22  # elements of a pair of blocks: temporary memory stays under 100 MB


def check_features(features: NDArray[Any], name: str = "features") -> None:
    """Refuse anything but (n, dim) floating unit rows, n at least 1.

    Raises:
        ContractError: with the row that is not a unit vector, NaN included.
    """
    if features.ndim != 2 or not np.issubdtype(features.dtype, np.floating):
        raise ContractError(f"{name}: expected floating (n, dim), got {features.shape} {features.dtype}")
    if not features.size:
        raise ContractError(f"{name}: expected at least one row, got shape {features.shape}")
    rows = features.astype(np.promote_types(features.dtype, np.float32), copy=False)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= UNIT_TOLERANCE))
    if len(wrong):
        row = int(wrong[0])
        raise ContractError(f"{name}: row {row} has norm {float(norms[row]):.6g}; descriptors give unit vectors")


def check_images(images_u8: NDArray[Any], name: str = "images") -> None:
    """Refuse anything but (n, channels, height, width) uint8, n at least 1.

    Raises:
        ContractError: with what came.
    """
    if images_u8.ndim != 4 or images_u8.dtype != np.uint8 or not images_u8.size:
        raise ContractError(
            f"{name}: expected at least one uint8 image, (n, channels, height, width); "
            f"got {images_u8.shape} {images_u8.dtype}"
        )


def check_values(values: NDArray[Any], name: str = "values") -> None:
    """Refuse anything but a non-empty floating array without NaN.

    Raises:
        ContractError: with what came.
    """
    if not np.issubdtype(values.dtype, np.floating) or not values.size:
        raise ContractError(f"{name}: expected at least one floating value, got {values.shape} {values.dtype}")
    if np.isnan(values).any():
        raise ContractError(f"{name}: {int(np.isnan(values).sum())} of {values.size} values are NaN")


def check_same_shape(first: NDArray[Any], second: NDArray[Any], what: str) -> None:
    """Refuse arrays that cannot be paired row by row.

    Raises:
        ContractError: with both shapes.
    """
    if first.shape != second.shape:
        raise ContractError(f"{what} are paired row by row: got {first.shape} and {second.shape}")


def row_blocks(first: NDArray[Any], second: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Views of corresponding rows, a bounded number of elements each."""
    rows = max(1, CHUNK_VALUES // first[0].size)
    return ((first[i : i + rows], second[i : i + rows]) for i in range(0, len(first), rows))
