"""Distance of features: its root mean square is the probability flow distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.measures.base import Measure, ScoreSpec, Values
from reprozoo.measures.checks import check_features, check_same_shape, row_blocks


class FeatureDistance(Measure):
    """Euclidean distance of two unit feature vectors: 0 for the same, sqrt(2) for unrelated ones, 2 for opposite."""

    name = "feature_distance"
    title = "feature distance"
    meaning = "Distance of the two images' features. 0: the same; 1.41: unrelated; 2: opposite."
    reads = "features"
    closer = "lower"
    edges = tuple(i / 40 for i in range(81))
    bounds = (0.0, 2.0)
    equal = 0.0
    rank = 40
    usual = True
    scores = (
        ScoreSpec(
            name="pfd",
            title="PFD",
            kind="rms",
            meaning="Probability flow distance: root mean square distance of the features of the two images of each "
            "noise. 0: always the same features; 1.41: unrelated images. It grades where RP saturates.",
            source="arXiv:2505.20123; the formula is from memory, not verified",
        ),
    )

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        check_same_shape(a, b, "features")
        check_features(a, "first features")
        check_features(b, "second features")
        parts = [np.linalg.norm(x.astype(np.float64) - y.astype(np.float64), axis=1) for x, y in row_blocks(a, b)]
        return np.concatenate(parts)
