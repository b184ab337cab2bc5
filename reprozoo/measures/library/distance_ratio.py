"""Ratio of the distances to the two nearest images: what memorization counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.measures.base import Measure, Nearest, ScoreSpec


class DistanceRatio(Measure):
    """Euclidean distance to the nearest image over that to the second nearest: 0 for a copy, 1 for neither nearer.

    Near-duplicates in the second side hide copies of them (both distances are small): de-duplicate it first.

    Source: arXiv:2310.02664, section 2, after Yoon et al. (2023); sail-sg/DiffMemorize@39efb7c `mem_ratio.py`, which
        rounds distances to float32, and whose 0 / 0 of a copied duplicate counts as not memorized; here it is 0.
    """

    name = "distance_ratio"
    title = "distance ratio"
    meaning = "Pixel distance to the nearest image over that to the second nearest. 0: a copy; 1: no image stands out."
    closer = "lower"
    edges = tuple(i / 40 for i in range(41))
    bounds = (0.0, 1.0)
    threshold = 1 / 3
    symmetric = False
    rank = 15
    usual = True
    scores = (
        ScoreSpec(
            name="memorization",
            title="memorization",
            kind="share_below",
            meaning="Share of images whose pixel distance to the nearest image is less than a third of that to the "
            "second nearest. 1: all are memorized; 0: none is.",
            pairings=frozenset({"nearest"}),
            source="arXiv:2310.02664, section 2",
        ),
    )

    def nearest(self, a: NDArray[Any], b: NDArray[Any], *, own: NDArray[np.int64] | None = None) -> Nearest:
        from reprozoo.measures.pixel_search import pixel_neighbours

        if own is not None:
            raise UsageError("no pixel distances: memorization is a matter of one set with another")
        if len(b) < 2:
            raise UsageError("no pixel distances: memorization is the ratio of two, and there is one image")
        if a.shape[1:] != b.shape[1:]:
            sizes = ["×".join(map(str, images.shape[1:])) for images in (a, b)]
            raise UsageError(f"no pixel distances: the images are {sizes[0]} and those of the data set {sizes[1]}")
        found = pixel_neighbours(a, b)
        return Nearest(found.ratio, found.index[:, 0])
