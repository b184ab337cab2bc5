"""The training images nearest to each generated one, by descriptor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reprozoo.base.errors import ContractError
from reprozoo.measures.checks import check_features, full_precision, row_blocks
from reprozoo.measures.pairs import row_products
from reprozoo.measures.thresholds import above, share

BUDGET_BYTES = 256 * 2**20
MAX_ROWS, MAX_COLUMNS = 1024, 4096  # of one product: it runs at full speed, and 16 MB stay in a processor's cache
SPARE = 8  # candidates beyond k: what float32 rounding may have put in the wrong order


@dataclass(frozen=True)
class Neighbours:
    """The k nearest training images of each sample.

    Attributes:
        similarity: (n, k) float32, decreasing; as ``similarities`` would give it.
        index: (n, k) int64 rows of the training set.
    """

    similarity: Tensor
    index: Tensor


def nearest(features: Tensor, train_features: Tensor, *, k: int = 1, budget_bytes: int = BUDGET_BYTES) -> Neighbours:
    """Find the k most similar training images of each sample: an exact search by chunked matrix products.

    Candidates are ranked in float32 and the best of them computed again in float64, so that values depend neither on
    the chunks nor on the device. Equal similarities come in the order of the training set; among more than eight
    training images with equal descriptors any of them may be named.

    Args:
        features: (n, dim) unit-norm descriptors of generated images.
        train_features: (m, dim) unit-norm descriptors of the training set; may lie on another device.
        k: at most m.
        budget_bytes: memory to use above the inputs and the result, about.

    Returns:
        Similarities and indices, on the CPU.

    Raises:
        ContractError: a row is not unit-norm, an input is empty, other dimensions, or k out of range.
    """
    check_features(features, "features")
    check_features(train_features, "training features")
    if features.shape[1] != train_features.shape[1]:
        raise ContractError(
            f"features of {features.shape[1]} and training features of {train_features.shape[1]} dimensions cannot be "
            "compared: they are of different descriptors"
        )
    if not 1 <= k <= len(train_features):
        raise ContractError(f"k is from 1 to the {len(train_features)} training images, got {k}")
    rows, columns = _block(len(features), features.shape[1], k + SPARE, budget_bytes)
    found = []
    with torch.no_grad(), full_precision(features.device):
        for queries in row_blocks(features, rows):
            candidates = _candidates(queries.float(), train_features, keep=k + SPARE, columns=columns)
            found.append(_ranked(queries, train_features, candidates, k=k))
    similarity, index = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Neighbours(similarity, index)


def gl_score(
    features: Tensor, train_features: Tensor, *, threshold: float = 0.6, budget_bytes: int = BUDGET_BYTES
) -> float:
    """Share of samples that are not near-copies of a training image.

    1.0: none is a copy; 0.0: all are. The order of rows does not matter.

    Args:
        features: (n, dim) unit-norm descriptors of generated images.
        train_features: (m, dim) unit-norm descriptors of the whole training set; a subset can only raise the score.
        threshold: cosine similarity above which (strictly) two images count as copies.
        budget_bytes: memory to use above the inputs, about.

    Returns:
        A fraction in [0, 1].

    Raises:
        ContractError: a row is not unit-norm, or either input is empty.

    Source: arXiv:2310.05264, section 2.1; huijieZH/Diffusion-Model-Generalizability@6c7576c `edm/sscd.py mscore`,
        which prints this value and returns 1 minus it.
    """
    best = nearest(features, train_features, budget_bytes=budget_bytes).similarity[:, 0]
    return share(~above(best, threshold))


def _block(count: int, dim: int, keep: int, budget_bytes: int) -> tuple[int, int]:
    """Rows and columns of one product: half of the budget for it, half for computing its candidates again."""
    again = keep * dim * (4 + 8 + 8 + 8)  # a row's candidates: as they are, two factors in float64, their product
    rows = max(1, min(count, MAX_ROWS, budget_bytes // 2 // again))
    columns = budget_bytes // 2 // (4 * (rows + dim))  # the product, and the training rows if they have to be copied
    return rows, max(1, min(columns, MAX_COLUMNS))


def _candidates(queries: Tensor, train_features: Tensor, *, keep: int, columns: int) -> Tensor:
    """(rows, keep) indices of the training rows with the greatest float32 products, in no particular order."""
    best = queries.new_empty(len(queries), 0)
    index = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    memory = queries.new_empty(len(queries) * min(columns, len(train_features)))  # new pages cost time
    for start in range(0, len(train_features), columns):
        chunk = train_features[start : start + columns].to(queries.device, torch.float32)
        products = memory[: len(queries) * len(chunk)].view(len(queries), len(chunk))
        values, places = torch.mm(queries, chunk.T, out=products).topk(min(keep, len(chunk)), dim=1, sorted=False)
        best, index = torch.cat([best, values], dim=1), torch.cat([index, places + start], dim=1)
        best, order = best.topk(min(keep, best.shape[1]), dim=1, sorted=False)
        index = index.gather(1, order)
    return index


def _ranked(queries: Tensor, train_features: Tensor, index: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """The k best of the candidates by their similarity, computed again; the smaller index first where it is equal."""
    index = index.sort(dim=1).values
    again = row_products(queries[:, None], train_features[index.to(train_features.device)])
    similarity, order = again.sort(dim=1, descending=True, stable=True)
    return similarity[:, :k].clone(), index.cpu().gather(1, order)[:, :k].clone()
