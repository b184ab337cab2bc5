"""A measure that reprozoo does not know: Pearson's correlation of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.measures.base import Measure, ScoreSpec, Values
from reprozoo.zoo.plugins import MeasureSpec, installed_plugins


class Pearson(Measure):
    """Correlation of the pixels of two images."""

    name = "pearson"
    title = "correlation"
    meaning = "Correlation of the pixels of the two images. 1: the same but for contrast."
    unit = "r"
    closer = "higher"
    edges = tuple(round(-1 + i / 10, 1) for i in range(21))
    curve = (0.0, 0.5, 0.9)
    threshold = 0.9
    equal = 1.0
    decimals = 4
    scores = (
        ScoreSpec("correlated", "share_above", "Share of noises whose images correlate.", title="CORRELATED"),
        ScoreSpec("pearson", "mean", "Mean correlation of two images.", title="mean correlation"),
    )

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        first, second = (x.reshape(len(x), -1).astype(np.float64) for x in (a, b))
        first, second = (x - x.mean(1, keepdims=True) for x in (first, second))
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        values: Values = (first * second).sum(1) / np.maximum(lengths, 1e-12)
        return values


class WithPearson:
    """The plugins of this environment, and one more."""

    def __init__(self) -> None:
        self.installed = installed_plugins()
        registered = next(iter(self.installed.measures.values()))
        spec = MeasureSpec("pearson", "Correlation.", f"{Pearson.__module__}:Pearson")
        self.measures = {**self.installed.measures, "pearson": type(registered)(spec, registered.plugin)}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.installed, name)
