"""Noise that a caller brings as an array."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.maps.noise.bank import checked_indices, checked_shape, digest_of


class ArrayNoise:
    """A noise source: row i of an array is noise i.

    Args:
        rows: (n, *shape) of any floating type; NumPy's or torch's.

    Raises:
        UsageError: not floating, or no noise. IntegrityError: NaN or infinity.
    """

    seed = 0

    def __init__(self, rows: Any) -> None:
        array = np.asarray(rows.detach().cpu() if isinstance(rows, Tensor) else rows)
        if not np.issubdtype(array.dtype, np.floating) or array.ndim < 2 or not array.size:
            raise UsageError(f"expected noise as a floating array (n, *shape of one), got {array.dtype} {array.shape}")
        self.rows = np.ascontiguousarray(array, dtype=np.float32)
        if not np.isfinite(self.rows).all():
            raise IntegrityError("the noise holds NaN or infinity")
        self.indices = range(len(self.rows))
        self.shape = self.rows.shape[1:]

    def noise(self, indices: Sequence[int], shape: Sequence[int]) -> Tensor:
        """(len(indices), *shape) float32.

        Raises:
            UsageError: another shape, or an index beyond the array.
        """
        indices, shape = checked_indices(indices), checked_shape(shape)
        if shape != self.shape:
            raise UsageError(f"the noise given has shape {self.shape}, and noise of shape {shape} is needed")
        if beyond := [index for index in indices if index >= len(self.rows)]:
            raise UsageError(f"the noise given has {len(self.rows)} rows, and noise {beyond[0]} is asked for")
        return torch.from_numpy(self.rows[list(indices)])

    def spec(self) -> dict[str, Any]:
        """Kind, digest and shape."""
        return {"kind": "array", "sha256": self._sha256, "shape": list(self.shape), "count": len(self.rows)}

    def digest(self, indices: Sequence[int], shape: Sequence[int]) -> str:
        """Hex sha256 of the noise."""
        return digest_of(self, indices, shape)

    @cached_property
    def _sha256(self) -> str:
        return hashlib.sha256(self.rows.data).hexdigest()
