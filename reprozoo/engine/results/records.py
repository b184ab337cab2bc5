"""The records that results are made of: proportions, distributions, one model's run, one pair's scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
ImageLoader = Callable[[str, Sequence[int]], NDArray[np.uint8]]

OBSERVATION, TRUTH = "observation", "truth"  # images of inverse problems, beside those of the models


@dataclass(frozen=True)
class Proportion:
    """A share of noises with its 95 % Wilson interval.

    Attributes:
        value: successes / count, in [0, 1].
        low, high: ends of the interval.
    """

    value: float
    low: float
    high: float
    successes: int
    count: int


@dataclass(frozen=True)
class Distribution:
    """Summary of one value per noise.

    Attributes:
        quantiles: level -> value, e.g. {"0.5": 0.71}; "0" and "1" are the extremes.
        edges: of the histogram's bins, length bins + 1; values beyond the ends are counted in the outer bins.
        histogram: noises per bin.
    """

    mean: float
    std: float
    quantiles: dict[str, float]
    edges: list[float]
    histogram: list[int]


@dataclass(frozen=True)
class Curve:
    """A score at many thresholds; ``shares[i]`` belongs to ``thresholds[i]``."""

    thresholds: list[float]
    shares: list[float]


@dataclass(frozen=True)
class ShuffledScores:
    """The same two models on mismatched noise: what the scores are when the noise says nothing.

    Attributes:
        rp: over all rounds; its interval counts each noise once, because the rounds share images.
        mae: of the first round alone.
        similarity, curve: over all rounds.
        rounds: how often each image of the first model was paired with one of another noise, of equal condition where
            there is one.
    """

    rp: Proportion
    mae: Proportion
    similarity: Distribution
    curve: Curve
    rounds: int


@dataclass(frozen=True)
class ConditionScores:
    """Two models on the noises of one condition.

    Attributes:
        name: of the condition: a prompt's id, or "class 3".
        rp, mae: as in ``PairScores``.
        median_similarity: of the two images of each noise.
    """

    name: str
    rp: Proportion
    mae: Proportion
    median_similarity: float


@dataclass(frozen=True)
class PairScores:
    """Two models on the same noises.

    Attributes:
        model_a, model_b: labels of their ``ModelRun``.
        rp: RP score: share of noises whose two images have similarity strictly above the threshold.
        mae: MAE score: share of noises whose two images differ by less than the MAE threshold on average.
        similarity: of the two images of each noise, in [-1, 1].
        mean_absolute_error: per noise, in 1/255.
        curve: RP score by threshold.
        shuffled: the baseline on mismatched noise; None for a single noise.
        near_threshold: noises whose similarity is so close to the threshold that rounding may decide.
        identical: noises whose two images are equal bit by bit.
        by_condition: the same scores of each condition; empty where there is one, or too many to read.
        similarities, mean_absolute_errors: per noise, in the order of ``Comparison.indices``; None when read from JSON
            alone.
    """

    model_a: str
    model_b: str
    rp: Proportion
    mae: Proportion
    similarity: Distribution
    mean_absolute_error: Distribution
    curve: Curve
    shuffled: ShuffledScores | None
    near_threshold: int
    identical: int
    by_condition: list[ConditionScores] = field(default_factory=list)
    similarities: Values | None = field(default=None, compare=False, repr=False)
    mean_absolute_errors: Values | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class NoiseFloor:
    """A model against itself at another batch size: how far rounding alone moves the scores.

    Attributes:
        count: noises compared.
        batch_size, other_batch_size: of the run and of its repetition.
        max_difference: largest difference of any pixel, in 1/255.
        identical: images that are equal bit by bit.
    """

    count: int
    batch_size: int
    other_batch_size: int
    rp: Proportion
    mae: Proportion
    similarity: Distribution
    mean_absolute_error: Distribution
    max_difference: int
    identical: int


@dataclass(frozen=True)
class Reconstruction:
    """How well a model found observed images again; a value for each noise.

    Attributes:
        psnr: peak signal-to-noise ratio to the truth, in dB; 100 for equal images.
        misfit: root mean square of what differs between the measurement and that of the model's image, in 1/255.
    """

    psnr: Distribution
    misfit: Distribution


@dataclass(frozen=True)
class ModelRun:
    """One model of a run: what it is, and what was done to get its images.

    Attributes:
        label: how pairs name it; the spec, numbered where one spec is given twice.
        spec: as the user gave it.
        description: card, resolved options, sampler, digests, device, dtype and plugin.
        images_key: its key in the store.
        weights_digest: equal for two runs of the same weights; None for images made elsewhere.
        images_sha256: of the uint8 images, channels first, in the order of ``indices``.
        sampled, reused: images made in this run and found in the store.
        sampling_s: seconds spent making images.
        batch_size: as asked for; ``smallest_batch_size`` is smaller where memory ran out.
        noise_floor: None where it was not asked for or cannot be had.
        reconstruction: None where nothing was observed.
    """

    label: str
    spec: str
    description: dict[str, Any]
    image_shape: list[int]
    images_key: str
    images_sha256: str
    weights_digest: str | None = None
    sampled: int = 0
    reused: int = 0
    sampling_s: float = 0.0
    batch_size: int = 0
    smallest_batch_size: int = 0
    noise_floor: NoiseFloor | None = None
    reconstruction: Reconstruction | None = None


@dataclass(frozen=True)
class Baseline:
    """A reference that needs no training, such as the Gaussian theory, against each model that it fits.

    Attributes:
        run: the reference; ``model_a`` of every pair.
        pairs: one per model; no shuffled baseline.
    """

    run: ModelRun
    pairs: list[PairScores]


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test: do two pairs that share a model and all noises have different RP scores?

    Attributes:
        first, second: (model_a, model_b) of the two pairs.
        only_first, only_second: noises that only one of the two pairs reproduces.
        p_value: two-sided; small where the scores differ by more than chance.
    """

    first: list[str]
    second: list[str]
    only_first: int
    only_second: int
    p_value: float
