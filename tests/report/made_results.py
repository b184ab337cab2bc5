"""Results made without a model, for tests of what shows them: pictures in, a ``Comparison`` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.engine.results import (
    Baseline,
    Comparison,
    Curve,
    Distribution,
    Generalization,
    ModelRun,
    Neighbour,
    NoiseFloor,
    PairedTest,
    PairScores,
    Proportion,
    Reconstruction,
    ShuffledScores,
)

THRESHOLD, MAE_THRESHOLD = 0.6, 15.0
Pixels = NDArray[np.uint8]


def pictures(count: int, *, seed: int = 0, size: int = 16, channels: int = 3) -> Pixels:
    """Smooth random pictures, (count, channels, size, size) uint8."""
    rng = np.random.default_rng(seed)
    waves = np.cos(np.linspace(0, np.pi, size)[None] * np.arange(4)[:, None])
    coefficients = rng.normal(size=(count, channels, 4, 4))
    values = np.einsum("ncij,ih,jw->nchw", coefficients, waves, waves)
    return (127.5 + 60 * values / values.std()).clip(0, 255).astype(np.uint8)


def blended(images: Pixels, other: Pixels, *, seed: int = 1) -> Pixels:
    """``images`` with a share of ``other`` that differs from image to image, from almost none to almost all."""
    share = np.random.default_rng(seed).beta(0.7, 1.6, size=(len(images), 1, 1, 1))
    return ((1 - share) * images + share * other).astype(np.uint8)


def comparison(
    models: dict[str, Pixels], *, baseline: Pixels | None = None, warnings: Sequence[str] = (), **changes: Any
) -> Comparison:
    """A comparison of ``models`` by the cosine of their centred pixels.

    Args:
        models: label -> (n, channels, height, width).
        baseline: images of a "theory-gaussian" row.
        warnings: of the result.
        changes: other attributes of the ``Comparison``.
    """
    count = len(next(iter(models.values())))
    every = dict(models) | ({"theory-gaussian": baseline} if baseline is not None else {})
    pairs = [pair_scores(a, b, models[a], models[b]) for a, b in combinations(models, 2)]
    references = (
        [pair_scores("theory-gaussian", label, baseline, models[label], shuffled=False) for label in models]
        if baseline is not None
        else []
    )
    settings = {"num_samples": count, "seed": 0, "threshold": THRESHOLD, "mae_threshold": MAE_THRESHOLD}
    values: dict[str, Any] = {
        "models": [run(label, images) for label, images in models.items()],
        "pairs": pairs,
        "baselines": [Baseline(run("theory-gaussian", baseline), references)] if baseline is not None else [],
        "tests": [PairedTest(["a", "b"], ["a", "c"], 10, 3, 0.09)] if len(models) > 2 else [],
        "settings": settings | {"descriptor": "pixels", "device": "cpu", "dtype": "float32"},
        "indices": [[0, count]],
        "noise": {"kind": "bank", "seed": 0, "shape": [3, 32, 32], "sha256": "ab" * 32},
        "conditions": {},
        "descriptor": {"id": "pixels", "name": "pixels", "dim": 3072},
        "score_names": {"rp": "rp[pixels, >0.6]", "mae": "mae[<15/255]"},
        "environment": {"python": "3.11.7", "torch": "2.13.0", "machine": "x86_64"},
        "plugins": [{"name": "edm", "distribution": "reprozoo", "version": "0.1.0"}],
        "warnings": list(warnings),
        "created": "2026-11-22T05:00:00+00:00",
        "elapsed_s": 12.3,
        "image_loader": lambda label, indices: every[label][list(indices)],
    }
    return Comparison(**values | changes)


def observed(result: Comparison) -> Comparison:
    """``result`` as that of an inverse problem: the truth is grey, half of it was seen."""
    first = result.models[0]
    grey = np.full((result.num_samples, *first.image_shape), 127, np.uint8)
    half = grey.copy()
    half[:, :, : first.image_shape[1] // 2] = 0
    observed = {"truth": grey, "observation": half}
    values = np.linspace(10, 30, result.num_samples)
    found = Reconstruction(distribution(values, edges=40), distribution(values / 10, edges=40))
    load = result.image_loader
    assert load is not None
    return replace(
        result,
        models=[replace(run, reconstruction=found) for run in result.models],
        settings=result.settings | {"inverse": "inpaint-4", "observation": "photo[1].png", "solver": "dps"},
        image_loader=lambda label, indices: (
            observed[label][list(indices)] if label in observed else load(label, indices)
        ),
    )


def generalization(images: Pixels, train: Pixels, **changes: Any) -> Generalization:
    """A model against a training set, by the cosine of centred pixels."""
    similarity = _features(images) @ _features(train).T
    nearest = similarity.argmax(1)
    best = similarity.max(1).astype(np.float32)
    among = _features(train) @ _features(train).T - 2 * np.eye(len(train))
    values: dict[str, Any] = {
        "model": run("tiny-edm", images),
        "gl": proportion(best <= THRESHOLD),
        "memorization": proportion(best > 0.99),
        "similarity": distribution(best),
        "distance_ratio": distribution(np.linspace(0.2, 1, len(images))),
        "train": distribution(among.max(1)),
        "train_gl": proportion(among.max(1) <= THRESHOLD),
        "train_count": len(train),
        "neighbours": [Neighbour(i, int(t), float(s)) for i, (t, s) in enumerate(zip(nearest, best, strict=True))],
        "dataset": {"id": "cifar10", "split": "train", "count": len(train), "sha256": "cd" * 32},
        "settings": {"num_samples": len(images), "seed": 0, "threshold": THRESHOLD, "dataset": "cifar10"},
        "noise": {"kind": "bank", "seed": 0},
        "conditions": {},
        "descriptor": {"id": "pixels", "name": "pixels"},
        "score_names": {"gl": "gl[pixels, >0.6]"},
        "environment": {"python": "3.11.7"},
        "plugins": [],
        "warnings": [],
        "created": "2026-11-22T05:00:00+00:00",
        "elapsed_s": 3.4,
        "image_loader": lambda label, indices: (train if label == "train" else images)[list(indices)],
    }
    return Generalization(**values | changes)


def run(label: str, images: Pixels) -> ModelRun:
    """A model's run with a card as the engine describes it."""
    family = label if label == "theory-gaussian" else "edm"
    card = {"id": label, "title": f"The model {label}", "family": family, "licence": "Apache-2.0", "paper": "unknown"}
    sampler = {"name": "heun", "steps": 18, "rho": 7.0}
    floor = NoiseFloor(
        16, 64, 1, proportion(np.ones(16, bool)), proportion(np.ones(16, bool)), distribution(np.ones(16)),
        distribution(np.zeros(16)), 1, 12,
    )  # fmt: skip
    return ModelRun(
        label=label,
        spec=label,
        description={
            "card": card,
            "options": {},
            "sampler": sampler,
            "digests": {"weights": "ef" * 32},
            "device": "cpu",
        },
        image_shape=list(images.shape[1:]),
        images_key="12" * 32,
        images_sha256="34" * 32,
        sampled=len(images),
        sampling_s=3.2,
        batch_size=64,
        smallest_batch_size=64,
        noise_floor=floor,
    )


def pair_scores(a: str, b: str, first: Pixels, second: Pixels, *, shuffled: bool = True) -> PairScores:
    """Two stacks of images, row i of both from noise i."""
    similarity, errors = _paired(first, second)
    return PairScores(
        model_a=a,
        model_b=b,
        rp=proportion(similarity > THRESHOLD),
        mae=proportion(errors < MAE_THRESHOLD),
        similarity=distribution(similarity),
        mean_absolute_error=distribution(errors),
        curve=curve(similarity),
        shuffled=_shuffled(first, second) if shuffled else None,
        near_threshold=0,
        identical=int((errors == 0).sum()),
        similarities=similarity,
        mean_absolute_errors=errors,
    )  # fmt: skip


def _shuffled(first: Pixels, second: Pixels) -> ShuffledScores:
    similarity, errors = _paired(first, np.roll(second, -1, axis=0))
    rp, mae = proportion(similarity > THRESHOLD), proportion(errors < MAE_THRESHOLD)
    return ShuffledScores(rp, mae, distribution(similarity), curve(similarity), rounds=1)


def proportion(flags: NDArray[np.bool_]) -> Proportion:
    """A share with its Wilson interval."""
    n, p, z = len(flags), float(np.mean(flags)), 1.959964
    centre, half = (
        (p + z * z / (2 * n)) / (1 + z * z / n),
        z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n)),
    )
    return Proportion(p, max(0.0, centre - half), min(1.0, centre + half), int(np.sum(flags)), n)


def distribution(values: NDArray[Any], *, edges: float = 1) -> Distribution:
    """The summary of ``values``, in 40 bins from -``edges`` to ``edges``."""
    counts, bins = np.histogram(np.clip(values, -edges, edges), bins=np.linspace(-edges, edges, 41))
    levels = {f"{q:g}": float(np.quantile(values, q)) for q in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)}
    return Distribution(float(np.mean(values)), float(np.std(values)), levels, bins.tolist(), counts.tolist())


def curve(values: NDArray[Any]) -> Curve:
    """Share above each of 101 thresholds."""
    thresholds = [i / 100 for i in range(101)]
    return Curve(thresholds, [float(np.mean(values > t)) for t in thresholds])


def _paired(first: Pixels, second: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    similarity = (_features(first) * _features(second)).sum(1)
    errors = np.abs(first.astype(np.float64) - second).mean((1, 2, 3))
    return similarity.clip(-1, 1).astype(np.float32), errors.astype(np.float32)


def _features(images: Pixels) -> NDArray[np.float64]:
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(1, keepdims=True)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)
