"""The result of ``generalize``: one model against its training set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.engine.results.records import Distribution, ImageLoader, ModelRun, Proportion
from reprozoo.engine.results.serial import SCHEMA_VERSION, build, check_schema, to_document


@dataclass(frozen=True)
class Neighbour:
    """The training image nearest to one generated image.

    Attributes:
        index: of the noise.
        train_index: of the training image, in the data set's own order.
        similarity: of the two, by the descriptor.
    """

    index: int
    train_index: int
    similarity: float


@dataclass(frozen=True)
class Generalization:
    """One model against its training set: does it make new images, or copies?

    Attributes:
        gl: GL score: share of images whose nearest training image has similarity at or below the threshold; 1: all new.
        memorization: share of images with l2 distance to the nearest training image below a third of that to the second
            nearest.
        similarity: of each image to its nearest training image.
        distance_ratio: per image, nearest over second nearest l2 distance, in [0, 1].
        train: the same similarity from training images to the nearest other training image, on a subset: what is usual
            within the set. None where the set is too small.
        train_gl: GL score of those training images, each against the others: what images of the same kind score though
            nothing copied them.
        train_count: training images searched.
        neighbours: one per image, in the order of the noises.
        dataset: "id", "name", "split", "count" and "images_sha256".
    """

    model: ModelRun
    gl: Proportion
    memorization: Proportion | None
    similarity: Distribution
    distance_ratio: Distribution | None
    train: Distribution | None
    train_count: int
    neighbours: list[Neighbour]
    dataset: dict[str, Any]
    settings: dict[str, Any]
    noise: dict[str, Any]
    conditions: dict[str, Any]
    descriptor: dict[str, Any]
    score_names: dict[str, str]
    environment: dict[str, Any]
    plugins: list[dict[str, Any]]
    warnings: list[str]
    created: str
    elapsed_s: float
    train_gl: Proportion | None = None
    schema_version: int = SCHEMA_VERSION
    image_loader: ImageLoader | None = field(default=None, compare=False, repr=False)

    def images(self, label: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Images as uint8 (n, channels, height, width): of the model by noise index, or of "train" by train index.

        Raises:
            UsageError: the result was read from a file.
        """
        if self.image_loader is None:
            raise UsageError("this result was read from a file and holds no images; run it again to see them")
        return self.image_loader(label, indices)

    def to_json(self) -> dict[str, Any]:
        """The whole result as plain JSON types."""
        return to_document(self, "generalization")

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The result that ``to_json`` wrote.

        Raises:
            UsageError: another schema version, or not such a result.
        """
        check_schema(document, "generalization")
        return build(cls, document)
