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
MAX_ROWS = 2048  # of queries at a time
# Columns of one product: on a processor it is to stay in the cache, elsewhere it is to be large. Neither is a power of
# two, since rows at such a distance share the same few places of the cache.
CACHED_COLUMNS, MAX_COLUMNS = 776, 8200
GROUP = 8  # columns that are kept as their maximum, where one neighbour is wanted
RANKED = 64  # groups whose products are computed again at a time: their factors stay in a processor's cache
SPARE = 8  # groups beyond k that are looked at, where float32 rounding may have put them in the wrong order


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

    Of the float32 products only the maxima of small groups are kept. The groups that may hold one of the k greatest, as
    far as rounding lets one know, are computed again in float64, so that values depend neither on the chunks nor on the
    device. Equal similarities come in the order of the training set; among more than eight
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
    train, all_queries = to_read(train_features), to_read(features).to(device)
    cached = all_queries.device.type == "cpu"
    grid = _grid(len(features), train_features.shape, k, budget_bytes, cached=cached)
    found = []
    with torch.no_grad(), full_precision(all_queries.device):
        for queries in torch.split(all_queries, grid.rows):
            groups, near = _near(*_greatest(queries.float(), train, grid, keep=k + SPARE), k=k, dim=train.shape[1])
            found.append(_ranked(queries.cpu(), train, grid, groups.cpu(), near.cpu(), k=k))
    similarity, index = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return Neighbours(similarity, index)


@dataclass(frozen=True)
class _Grid:
    """How a search is cut up.

    Attributes:
        rows: queries at a time.
        columns: training rows of one product, a multiple of ``group``.
        group: columns of one product that are kept as their maximum; they are ``stride`` apart, so that the maximum
            runs along contiguous memory.
        span: products whose maxima are held together.
        ranked: groups whose products are computed again at a time.
    """

    rows: int
    columns: int
    group: int
    span: int
    ranked: int

    @property
    def stride(self) -> int:
        return self.columns // self.group

    def members(self, groups: Tensor) -> Tensor:
        """(..., group) training rows of groups; they may lie beyond the last one."""
        first = groups // self.stride * self.columns + groups % self.stride
        return first[..., None] + self.stride * torch.arange(self.group)


def _grid(count: int, train_shape: tuple[int, ...], k: int, budget_bytes: int, *, cached: bool) -> _Grid:
    """A quarter of the budget each for a product and its factors, the maxima, what is kept of them, and the ranking."""
    quarter, (train_count, dim) = budget_bytes // 4, train_shape
    group = max(1, min(GROUP, train_count) // k)  # so that k groups are there, and about GROUP products of each query
    kept = (k + SPARE) * (8 + 4 + 4 * group * (8 + 4))  # groups of a query; their members, and both again in order
    rows = max(1, min(count, MAX_ROWS, quarter // kept, quarter // (8 * (dim + group))))
    room = max(0, quarter - 4 * rows * dim)  # beside the queries
    columns = min(room // (4 * (rows + dim)), CACHED_COLUMNS if cached else MAX_COLUMNS, train_count + group - 1)
    stride = max(1, columns // group)
    span = max(1, quarter // (4 * rows * stride))
    ranked = max(1, min(RANKED, quarter // (group * dim * (4 + 8 + 8))))
    return _Grid(rows, stride * group, group, span, ranked)


def _greatest(queries: Tensor, train: Tensor, grid: _Grid, *, keep: int) -> tuple[Tensor, Tensor]:
    """(rows, up to ``keep``) greatest maxima of groups in float32, decreasing, and which groups these are."""
    best = queries.new_empty(len(queries), 0)
    groups = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for start in range(0, len(train), grid.span * grid.columns):
        maxima = _maxima(queries, train[start : start + grid.span * grid.columns], grid)
        values, places = maxima.topk(min(keep, maxima.shape[1]), dim=1)
        best, groups = torch.cat([best, values], 1), torch.cat([groups, places + start // grid.group], 1)
        best, order = best.topk(min(keep, best.shape[1]), dim=1)
        groups = groups.gather(1, order)
    return best, groups


def _maxima(queries: Tensor, train: Tensor, grid: _Grid) -> Tensor:
    """(rows, groups) greatest product of each query with the members of each group; -inf where it has none.

    A maximum over groups costs little while the product is in the cache, a sort or a second look at memory does not.
    """
    starts = range(0, len(train), grid.columns)
    maxima = queries.new_empty(len(queries), len(starts) * grid.stride)
    products = queries.new_empty(len(queries), grid.columns)
    grouped = products.view(len(queries), grid.group, grid.stride)
    for part, start in zip(torch.split(maxima, grid.stride, dim=1), starts, strict=True):
        chunk = train[start : start + grid.columns].to(queries.device, torch.float32)
        torch.mm(queries, chunk.T, out=products[:, : len(chunk)])
        products[:, len(chunk) :] = -torch.inf
        torch.amax(grouped, dim=1, out=part)
    return maxima


def _near(best: Tensor, groups: Tensor, *, k: int, dim: int) -> tuple[Tensor, Tensor]:
    """The groups that may hold one of the k greatest products: these, and whether each is one; the first of a row are.

    A float32 sum of ``dim`` products of unit rows is wrong by at most dim * eps / 2; a little more is for factors that
    were rounded and for what is equal once it is float32.
    """
    best = best.clamp(-1, 1)  # as similarities are
    near = best >= best[:, k - 1 : k] - (dim + 4) * torch.finfo(torch.float32).eps
    width = int(near.sum(dim=1).max())
    return groups[:, :width], near[:, :width]


def _ranked(
    queries: Tensor, train: Tensor, grid: _Grid, groups: Tensor, near: Tensor, *, k: int
) -> tuple[Tensor, Tensor]:
    """The k best members of these groups by their similarity, computed again; the smaller index first where equal."""
    index = torch.full((*groups.shape, grid.group), len(train))
    similarity = torch.full(index.shape, -torch.inf)
    index[near] = grid.members(groups[near])
    similarity[near] = _similarity(queries, train, near.nonzero()[:, 0], index[near], at_a_time=grid.ranked)
    index, order = index.flatten(1).sort(dim=1)
    similarity, best = similarity.flatten(1).gather(1, order).sort(dim=1, descending=True, stable=True)
    return similarity[:, :k].clone(), index.gather(1, best)[:, :k].clone()


def _similarity(queries: Tensor, train: Tensor, rows: Tensor, index: Tensor, *, at_a_time: int) -> Tensor:
    """(n, group) similarity of queries[rows] and their training rows, as the measure has it; -inf beyond the last."""
    inside = index.clamp(max=len(train) - 1)
    parts = zip(torch.split(rows, at_a_time), torch.split(inside, at_a_time), strict=True)
    products = [train[places].double().mul_(queries[row][:, None].double()).sum(-1) for row, places in parts]
    similarity = torch.cat(products).clamp_(-1, 1).to(torch.float32)
    return similarity.masked_fill_(index >= len(train), -torch.inf)
