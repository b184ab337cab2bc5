"""Features and images to measure, from seeds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def unit_rows(seed: int, count: int, dim: int = 32) -> NDArray[np.float32]:
    """(count, dim) unit vectors in random directions."""
    rows = np.random.default_rng(seed).standard_normal((count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def images(seed: int, count: int, size: int = 4) -> NDArray[np.uint8]:
    """(count, 3, size, size) of noise."""
    return np.random.default_rng(seed).integers(256, size=(count, 3, size, size), dtype=np.uint8)


def flat(*levels: int, size: int = 1, channels: int = 1) -> NDArray[np.uint8]:
    """Images of one grey level each."""
    return np.broadcast_to(np.uint8(levels).reshape(-1, 1, 1, 1), (len(levels), channels, size, size)).copy()


def at_cosine(cosine: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A pair of one-row features with that cosine, as near as float32 has it."""
    return np.float32([[1, 0]]), np.float32([[cosine, math.sqrt(1 - cosine**2)]])
