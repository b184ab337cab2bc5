"""Scores of two models on shared noise: row i of both is the image of noise i."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from reprozoo.base.errors import ContractError
from reprozoo.measures.checks import check_features, check_images, check_same_shape, row_blocks
from reprozoo.measures.thresholds import share_above, share_below

CHUNK_VALUES = 1 << 22  # elements of a pair of chunks: temporary memory stays under 100 MB


def similarities(features_a: Tensor, features_b: Tensor) -> Tensor:
    """Cosine similarity of each pair of rows: 1 for the same image, about 0 for unrelated ones.

    Args:
        features_a: (n, dim) unit-norm descriptors.
        features_b: the same shape; row i is paired with row i.

    Returns:
        (n,) float32 in [-1, 1]. Summed in float64, so that a value does not depend on batch or device, then rounded.

    Raises:
        ContractError: a row is not unit-norm, nothing to compare, or different shapes.

    Source: arXiv:2310.05264, section 2.1; like the authors' `edm/sscd.py rpscore`, without another normalisation.
    """
    check_same_shape(features_a, features_b, "features")
    check_features(features_a, "first features")
    check_features(features_b, "second features")
    return torch.cat([row_products(a, b) for a, b in _chunks(features_a, features_b)])


def row_products(first: Tensor, second: Tensor) -> Tensor:
    """Inner product over the last dimension, in float64 on the CPU, then float32 in [-1, 1]."""
    first, second = first.to("cpu", torch.float64), second.to("cpu", torch.float64)
    return (first * second).sum(-1).clamp_(-1, 1).to(torch.float32)


def rp_score(features_a: Tensor, features_b: Tensor, *, threshold: float = 0.6) -> float:
    """Share of noises from which two models make the same image (reproducibility).

    1.0: always, as a model with itself; 0.0: never. Symmetric.

    Args:
        features_a: (n, dim) unit-norm descriptors of the first model's images.
        features_b: the second model's, of the same noises in the same order.
        threshold: cosine similarity above which (strictly) two images count as the same.

    Returns:
        A fraction in [0, 1].

    Raises:
        ContractError: as ``similarities``.

    Source: arXiv:2310.05264, section 2.1; huijieZH/Diffusion-Model-Generalizability@6c7576c `edm/sscd.py rpscore`.
    """
    return share_above(similarities(features_a, features_b), threshold)


def mean_absolute_errors(images_a: Tensor, images_b: Tensor) -> Tensor:
    """Mean absolute difference of each pair of images: 0 for the same pixels, 255 for black against white.

    Args:
        images_a: (n, channels, height, width) uint8.
        images_b: the same shape; row i is paired with row i.

    Returns:
        (n,) float64 in [0, 255]; the sums are exact.

    Raises:
        ContractError: not uint8, nothing to compare, or different shapes.
    """
    check_same_shape(images_a, images_b, "images")
    check_images(images_a, "first images")
    check_images(images_b, "second images")
    pixels = images_a[0].numel()
    sums = [(a.to(torch.int16) - b).abs_().sum(dim=(1, 2, 3)) for a, b in _chunks(images_a, images_b)]
    return torch.cat(sums).to("cpu", torch.float64) / pixels


def mae_score(images_a: Tensor, images_b: Tensor, *, threshold: float = 15.0) -> float:
    """Share of noises from which two models make nearly the same pixels.

    1.0: always, as a model with itself; 0.0: never. Symmetric.

    Args:
        images_a: (n, channels, height, width) uint8 images of the first model.
        images_b: the second model's, of the same noises in the same order.
        threshold: mean absolute error, of 255, below which (strictly) two images count as the same. 15 is the paper's
            as remembered, not verified.

    Returns:
        A fraction in [0, 1].

    Raises:
        ContractError: as ``mean_absolute_errors``.

    Source: arXiv:2310.05264, appendix; the authors published no code for it.
    """
    return share_below(mean_absolute_errors(images_a, images_b), threshold)


def pfd(features_a: Tensor, features_b: Tensor) -> float:
    """Probability flow distance: root mean squared distance of the paired features.

    0.0: always the same features; sqrt(2): unrelated ones; 2.0: opposite. Symmetric; the RP score without a threshold.

    Args:
        features_a: (n, dim) unit-norm descriptors.
        features_b: of the same noises in the same order.

    Returns:
        A distance in [0, 2].

    Raises:
        ContractError: as ``similarities``.

    Source: arXiv:2505.20123; the formula is from memory, not verified.
    """
    check_same_shape(features_a, features_b, "features")
    check_features(features_a, "first features")
    check_features(features_b, "second features")
    total = 0.0
    for a, b in _chunks(features_a, features_b):
        total += float((a.to("cpu", torch.float64) - b.to("cpu", torch.float64)).square_().sum())
    return math.sqrt(total / len(features_a))


def _chunks(first: Tensor, second: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Views of corresponding rows, a bounded number of elements each.

    Raises:
        ContractError: the tensors are on different devices.
    """
    if first.device != second.device:
        raise ContractError(f"both must be on one device, got {first.device} and {second.device}")
    rows = max(1, CHUNK_VALUES // first[0].numel())
    return zip(row_blocks(first, rows), row_blocks(second, rows), strict=True)
