"""The result of ``compare``: every model of a run and every pair of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.engine.results.records import Baseline, ImageLoader, ModelRun, PairedTest, PairScores, Values
from reprozoo.engine.results.serial import SCHEMA_VERSION, build, check_schema, to_document


@dataclass(frozen=True)
class Comparison:
    """The result of one run: every model sampled once, every pair scored.

    Attributes:
        models: in the order given.
        pairs: of ``models``, (0, 1), (0, 2), ..., (1, 2), ...
        baselines: references against each model.
        tests: McNemar's test for pairs that share a model.
        settings: what was asked for: num_samples, seed, threshold, mae_threshold, ...
        indices: [start, stop) runs of the noise indices; use ``noise_indices`` to list them.
        noise: spec of the noise source and sha256 of the noise; empty where images came without noise.
        conditions: what noises were conditioned on: {"in_turn": [...]}, {"random_class": {...}}; empty for nothing.
        descriptor: identity of the descriptor, with "id", "dim" and "threshold".
        score_names: "rp" and "mae" -> name with descriptor and threshold, e.g. "rp[sscd@288-int8, >0.6]".
        environment: versions and machine.
        plugins: name, distribution and version of each plugin that took part.
        warnings: sentences a reader must see before believing the scores.
        created: UTC time, ISO 8601.
        elapsed_s: seconds of the whole run.
    """

    models: list[ModelRun]
    pairs: list[PairScores]
    baselines: list[Baseline]
    tests: list[PairedTest]
    settings: dict[str, Any]
    indices: list[list[int]]
    noise: dict[str, Any]
    conditions: dict[str, Any]
    descriptor: dict[str, Any]
    score_names: dict[str, str]
    environment: dict[str, Any]
    plugins: list[dict[str, Any]]
    warnings: list[str]
    created: str
    elapsed_s: float
    schema_version: int = SCHEMA_VERSION
    image_loader: ImageLoader | None = field(default=None, compare=False, repr=False)

    @property
    def noise_indices(self) -> list[int]:
        """The noise index of each row of ``similarities``."""
        return [index for start, stop in self.indices for index in range(start, stop)]

    @property
    def num_samples(self) -> int:
        """How many noises were compared."""
        return sum(stop - start for start, stop in self.indices)

    def model(self, label: str) -> ModelRun:
        """The run, of a model or of a baseline, that pairs call ``label``.

        Raises:
            UsageError: there is none.
        """
        runs = [*self.models, *(baseline.run for baseline in self.baselines)]
        for run in runs:
            if run.label == label:
                return run
        raise UsageError(f"no model {label!r} in this comparison; it has: {', '.join(run.label for run in runs)}")

    def pair(self, first: str, second: str) -> PairScores:
        """The scores of two models, in either order.

        Raises:
            UsageError: they were not compared.
        """
        every = [*self.pairs, *(pair for baseline in self.baselines for pair in baseline.pairs)]
        for pair in every:
            if {pair.model_a, pair.model_b} == {first, second}:
                return pair
        raise UsageError(f"{first!r} and {second!r} were not compared")

    def matrix(self, score: str = "rp") -> list[list[float]]:
        """Scores of all pairs of models, symmetric, 1 on the diagonal. ``score`` is "rp" or "mae"."""
        place = {run.label: i for i, run in enumerate(self.models)}
        rows = [[1.0] * len(place) for _ in place]
        for pair in self.pairs:
            i, j = place[pair.model_a], place[pair.model_b]
            rows[i][j] = rows[j][i] = getattr(pair, score).value
        return rows

    def images(self, label: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Images of one model, from the store.

        Args:
            label: of a model or baseline.
            indices: noise indices, in any order.

        Returns:
            (len(indices), channels, height, width) uint8.

        Raises:
            UsageError: the comparison was read from a file, so that it has no store at hand.
            IntegrityError: the stored images are damaged.
        """
        if self.image_loader is None:
            raise UsageError("this comparison was read from a file and holds no images; run it again to see them")
        return self.image_loader(label, indices)

    def to_json(self) -> dict[str, Any]:
        """The whole result but the values of single noises, as plain JSON types."""
        return to_document(self, "comparison")

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The result that ``to_json`` wrote.

        Raises:
            UsageError: another schema version, or not a comparison.
        """
        check_schema(document, "comparison")
        return build(cls, document)


def with_arrays(comparison: Comparison, arrays: Mapping[tuple[str, str], tuple[Values, Values]]) -> Comparison:
    """``comparison`` with the per-noise (similarities, mean absolute errors) of its pairs, e.g. read from pairs.csv."""

    def filled(pair: PairScores) -> PairScores:
        similarities, errors = arrays.get((pair.model_a, pair.model_b), (pair.similarities, pair.mean_absolute_errors))
        return replace(pair, similarities=similarities, mean_absolute_errors=errors)

    baselines = [replace(b, pairs=[filled(pair) for pair in b.pairs]) for b in comparison.baselines]
    return replace(comparison, pairs=[filled(pair) for pair in comparison.pairs], baselines=baselines)
