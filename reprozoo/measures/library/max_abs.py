"""Largest difference of any pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.measures.base import Measure, ScoreSpec, Values
from reprozoo.measures.checks import check_images, check_same_shape, row_blocks


class MaxAbs(Measure):
    """Largest absolute difference of any pixel and channel, in 1/255: 0 for equal images."""

    name = "max_abs"
    title = "max |Δ|"
    meaning = "Largest difference of any pixel of the two images. 0: bit-identical."
    unit = "of 255"
    closer = "lower"
    edges = tuple(float(i) for i in range(257))
    bounds = (0.0, 255.0)
    equal = 0.0
    decimals = 0
    rank = 45
    usual = True
    scores = (
        ScoreSpec(
            name="max_abs",
            title="max |Δ|",
            kind="quantile",
            at=1.0,
            meaning="Largest difference of any pixel over all noises, in units of 1/255. 0: all are bit-identical.",
        ),
    )

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        check_same_shape(a, b, "images")
        check_images(a, "first images")
        check_images(b, "second images")
        parts = [np.abs(x.astype(np.int16) - y).max(axis=(1, 2, 3)) for x, y in row_blocks(a, b)]
        return np.concatenate(parts).astype(np.float64)
