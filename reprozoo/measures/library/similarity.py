"""Similarity of features: what RP and GL scores count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.measures.base import NEAREST, Measure, Nearest, ScoreSpec, Values
from reprozoo.measures.checks import check_features, check_same_shape, row_blocks


class Similarity(Measure):
    """Cosine of two feature vectors: 1 for the same image, about 0 for unrelated ones.

    Summed in float64, so that a value does not depend on batch or device, then rounded to float32.

    Source: arXiv:2310.05264, section 2.1; like the authors' `edm/sscd.py`, without another normalisation.
    """

    name = "similarity"
    title = "similarity"
    meaning = "Cosine of the two images' features. 1: the same image; about 0: unrelated."
    reads = "features"
    closer = "higher"
    edges = tuple(round(-1 + i / 40, 3) for i in range(81))
    bounds = (-1.0, 1.0)
    curve = tuple(i / 100 for i in range(101))
    equal = 1.0
    near = 1e-5  # what another order of a float32 sum, or another BLAS, can move a similarity by, with a wide margin
    rank = 10
    usual = True
    scores = (
        ScoreSpec(
            name="rp",
            title="RP",
            kind="share_above",
            meaning="Share of noises from which two models make the same image: images whose similarity is strictly "
            "above the threshold. 1: always; 0: never.",
            source="arXiv:2310.05264, section 2.1",
        ),
        ScoreSpec(
            name="gl",
            title="GL",
            kind="share_not_above",
            meaning="Share of images that are not near-copies: whose nearest image of the other side has similarity "
            "at or below the threshold. 1: none is a copy; 0: all are.",
            pairings=NEAREST,
            source="arXiv:2310.05264, section 2.1",
        ),
        ScoreSpec(
            name="similarity",
            title="median similarity",
            kind="median",
            meaning="Median cosine of the features of two images.",
            pairings=frozenset({"same", "shuffled", "repeat", *NEAREST}),
        ),
    )

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        check_same_shape(a, b, "features")
        check_features(a, "first features")
        check_features(b, "second features")
        return np.concatenate([row_products(x, y) for x, y in row_blocks(a, b)])

    def nearest(self, a: NDArray[Any], b: NDArray[Any], *, own: NDArray[np.int64] | None = None) -> Nearest:
        from reprozoo.measures.search import nearest

        if own is None:
            best = nearest(a, b)
            return Nearest(best.similarity[:, 0], best.index[:, 0])
        best = nearest(a, b, k=2)
        itself = best.index[:, 0] == own
        return Nearest(
            np.where(itself, best.similarity[:, 1], best.similarity[:, 0]),
            np.where(itself, best.index[:, 1], best.index[:, 0]),
        )


def row_products(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float32]:
    """Inner product over the last dimension, in float64, then float32 in [-1, 1]."""
    products = first.astype(np.float64) * second.astype(np.float64)
    cosines: NDArray[np.float32] = np.clip(products.sum(-1), -1, 1).astype(np.float32)
    return cosines
