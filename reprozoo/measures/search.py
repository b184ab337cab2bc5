"""Exact search for the nearest rows: of features by cosine, on all cores. Arrays in, arrays out; torch inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reprozoo.base.errors import ContractError
from reprozoo.measures.checks import check_features
from reprozoo.measures.precision import full_precision, to_read

BUDGET_BYTES = 256 * 2**20
MAX_ROWS, MAX_COLUMNS = 2048, 8192  # of one product: it runs at full speed, in 64 MB
RANKED_ROWS = 64  # whose candidates are computed again at a time: their factors stay in a processor's cache
GROUP = 8  # columns whose maximum is looked at before they are
SPARE = 8  # candidates beyond k: what float32 rounding may have put in the wrong order


@dataclass(frozen=True)
class Neighbours:
    """The k nearest training images of each sample.

    Attributes:
        similarity: (n, k) float32, decreasing; as the measure ``similarity`` gives it.
        index: (n, k) int64 rows of the training set.
    """

    similarity: NDArray[np.float32]
    index: NDArray[np.int64]


def nearest(
    features: NDArray[np.floating[Any]],
    train_features: NDArray[np.floating[Any]],
    *,
    k: int = 1,
    budget_bytes: int = BUDGET_BYTES,
    device: str = "cpu",
) -> Neighbours:
    """Find the k most similar training images of each sample: an exact search by chunked matrix products.

    Candidates are ranked in float32 and the best of them computed again in float64, so that values depend neither on
    the chunks nor on the device. Equal similarities come in the order of the training set; among more than eight
    training images with equal descriptors any of them may be named.

    Args:
        features: (n, dim) unit-norm descriptors of generated images.
        train_features: (m, dim) unit-norm descriptors of the training set.
        k: at most m.
        budget_bytes: memory to use above the inputs and the result, about.
        device: where the products are computed.

    Returns:
        Similarities and indices.

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
    all_queries, train = to_read(features).to(device), to_read(train_features)
    found = []
    with torch.no_grad(), full_precision(all_queries.device):
        for queries in torch.split(all_queries, rows):
            candidates = _candidates(queries.float(), train, keep=k + SPARE, columns=columns)
            found.append(_ranked(queries, train, candidates, k=k))
    similarity, index = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return Neighbours(similarity, index)


def _block(count: int, dim: int, keep: int, budget_bytes: int) -> tuple[int, int]:
    """Rows and columns of one product: half of the budget for it, half for what is kept of it."""
    kept = keep * (GROUP + 1) * (4 + 8)  # a row's candidates of one product, and their places
    rows = max(1, min(count, MAX_ROWS, budget_bytes // 2 // kept, budget_bytes // 8 // (4 * dim)))
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
        values, places = _greatest(torch.mm(queries, chunk.T, out=products), keep)
        best, index = torch.cat([best, values], dim=1), torch.cat([index, places + start], dim=1)
        best, order = best.topk(min(keep, best.shape[1]), dim=1, sorted=False)
        index = index.gather(1, order)
    return index


def _greatest(products: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """Values and columns among which are the ``keep`` greatest of each row.

    The columns are taken in groups of ``GROUP``, and the groups with the greatest maxima are kept: each of the greatest
    values lies in one of them. A maximum over groups runs at the speed of memory, a sort does not.
    """
    rows, columns = products.shape
    groups = columns // GROUP
    if groups <= keep or columns % GROUP:
        return products.topk(min(keep, columns), dim=1, sorted=False)
    grouped = products.view(rows, GROUP, groups)  # group g: columns g, g + groups, g + 2 groups, ...
    chosen = grouped.amax(dim=1).topk(keep, dim=1, sorted=False).indices
    columns_of = chosen[:, None] + torch.arange(0, columns, groups, device=chosen.device)[:, None]
    return products.gather(1, columns_of.flatten(1)), columns_of.flatten(1)


def _ranked(queries: Tensor, train_features: Tensor, index: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """The k best of the candidates by their similarity, computed again; the smaller index first where it is equal."""
    index = index.cpu().sort(dim=1).values
    parts = zip(torch.split(queries.cpu(), RANKED_ROWS), torch.split(index, RANKED_ROWS), strict=True)
    products = [(rows[:, None].double() * train_features[places].double()).sum(-1) for rows, places in parts]
    again = torch.cat(products).clamp_(-1, 1).to(torch.float32)
    similarity, order = again.sort(dim=1, descending=True, stable=True)
    return similarity[:, :k].clone(), index.gather(1, order)[:, :k].clone()
