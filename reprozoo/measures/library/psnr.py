"""Peak signal-to-noise ratio."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.measures.base import Measure, ScoreSpec, Values
from reprozoo.measures.checks import check_images, check_same_shape, row_blocks

HIGHEST = 100.0  # of equal images, whose ratio is infinite


class Psnr(Measure):
    """10 log10(255² / mean squared difference), in dB: 100 for equal images, 20 for a poor likeness.

    Computed in float64: uint8 differences would wrap around.
    """

    name = "psnr"
    title = "PSNR"
    meaning = "Peak signal-to-noise ratio of the two images. 100: equal; 40: hard to tell apart; 20: a poor likeness."
    unit = "dB"
    closer = "higher"
    edges = tuple(float(i) for i in range(101))
    bounds = (0.0, 100.0)
    equal = HIGHEST
    decimals = 1
    rank = 30
    usual = True
    scores = (
        ScoreSpec(
            name="psnr",
            title="PSNR",
            kind="median",
            meaning="Median peak signal-to-noise ratio of the two images, in dB; equal images count as 100.",
        ),
    )

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        check_same_shape(a, b, "images")
        check_images(a, "first images")
        check_images(b, "second images")
        squares = [_squared_errors(x, y) for x, y in row_blocks(a, b)]
        with np.errstate(divide="ignore"):
            ratios = 20 * np.log10(
                255 * (1 / np.sqrt(np.concatenate(squares)))
            )  # in this order since the first version
        closeness: Values = np.minimum(ratios, HIGHEST)
        return closeness


def _squared_errors(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """(n,) mean squared differences; the sums are exact."""
    differences = a.astype(np.int32) - b
    means: NDArray[np.float64] = (differences * differences).sum(axis=(1, 2, 3), dtype=np.int64) / a[0].size
    return means
