"""Mean absolute difference of pixels: what the MAE score counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.measures.base import Measure, ScoreSpec, Values
from reprozoo.measures.checks import check_images, check_same_shape, row_blocks


class MeanAbs(Measure):
    """Mean absolute difference over all pixels and channels, in 1/255: 0 for equal images, 255 for black on white.

    The sums are exact.
    """

    name = "mean_abs"
    title = "mean |Δ|"
    meaning = "Mean absolute difference of the two images over pixels and channels. 0: equal; 255: black on white."
    unit = "of 255"
    closer = "lower"
    edges = tuple(float(2 * i) for i in range(65))
    bounds = (0.0, 255.0)
    threshold = 15.0  # the paper's as remembered, not verified
    equal = 0.0
    decimals = 2
    rank = 20
    usual = True
    scores = (
        ScoreSpec(
            name="mean_abs",
            title="mean |Δ|",
            kind="mean",
            meaning="Mean absolute difference of pixels, averaged over all noises, in units of 1/255.",
        ),
        ScoreSpec(
            name="mae",
            title="MAE",
            kind="share_below",
            meaning="Share of noises whose two images differ by less than the threshold on average over pixels and "
            "channels. 1: always; 0: never. It needs no descriptor.",
            source="arXiv:2310.05264, appendix; the authors published no code for it",
        ),
    )

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        check_same_shape(a, b, "images")
        check_images(a, "first images")
        check_images(b, "second images")
        sums = [np.abs(x.astype(np.int16) - y).sum(axis=(1, 2, 3), dtype=np.int64) for x, y in row_blocks(a, b)]
        means: Values = np.concatenate(sums).astype(np.float64) / a[0].size
        return means
