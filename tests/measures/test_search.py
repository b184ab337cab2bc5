"""Nearest training images and the GL score: against brute force, and the right way round."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reprozoo.base.errors import ContractError
from reprozoo.measures.library.similarity import Similarity
from reprozoo.measures.search import SPARE, _grid, nearest
from reprozoo.measures.summaries import summary
from tests.measures.arrays import at_cosine, unit_rows

QUERIES, TRAIN = unit_rows(0, 60), unit_rows(1, 400)


def gl(features: NDArray, train: NDArray, threshold: float = 0.6) -> float:
    """The share of samples that are not near-copies of a training image."""
    (spec,) = (spec for spec in Similarity.scores if spec.name == "gl")
    return summary(Similarity().nearest(features, train).values, spec.kind, threshold)


def mscore(features: NDArray, train: NDArray, threshold: float = 0.6) -> float:
    """What the authors' ``mscore`` returns, by its definition: the share of samples that ARE copies."""
    best = (features[:, None] * train[None]).sum(axis=2).max(axis=1)
    return float((best > threshold).mean())


@pytest.mark.parametrize("k", [1, 5, 400])
def test_nearest_is_brute_force(k: int) -> None:
    products = QUERIES.astype(np.float64) @ TRAIN.astype(np.float64).T
    index = np.argsort(-products, axis=1, kind="stable")[:, :k]
    found = nearest(QUERIES, TRAIN, k=k)
    assert (found.index == index).all()
    expected = np.take_along_axis(products, index, 1)
    np.testing.assert_allclose(found.similarity, expected, rtol=0, atol=6e-8)  # the rounding to float32


def test_similarity_is_that_of_the_pair() -> None:
    found = nearest(QUERIES, TRAIN, k=3)
    for rank in range(3):
        assert (found.similarity[:, rank] == Similarity().values(QUERIES, TRAIN[found.index[:, rank]])).all()


@pytest.mark.parametrize("budget_bytes", [0, 50_000, 300_000])
def test_the_budget_does_not_show(budget_bytes: int) -> None:
    queries = QUERIES[:5]
    whole, chunked = nearest(queries, TRAIN, k=4), nearest(queries, TRAIN, k=4, budget_bytes=budget_bytes)
    assert (chunked.index == whole.index).all()
    assert (chunked.similarity == whole.similarity).all()


@pytest.mark.parametrize("k", [1, 2, 300])
@pytest.mark.parametrize("dim", [8, 512, 4096])
@pytest.mark.parametrize("budget_bytes", [2**24, 2**28, 2**32])
def test_the_budget_holds(k: int, dim: int, budget_bytes: int) -> None:
    for cached in (True, False):
        grid = _grid(10_000, (50_000, dim), k, budget_bytes, cached=cached)
        product, copied = 4 * grid.rows * grid.columns, 4 * (grid.rows + grid.columns) * dim
        maxima = 4 * grid.rows * grid.span * grid.stride
        kept = grid.rows * (k + SPARE) * grid.group * 2 * (4 + 8)
        again = grid.ranked * grid.group * dim * (4 + 8 + 8)
        assert product + copied + maxima + kept + again <= budget_bytes


def test_order_of_rows() -> None:
    order = np.random.default_rng(3).permutation(len(TRAIN))
    whole, shuffled = nearest(QUERIES, TRAIN, k=2), nearest(QUERIES[::-1].copy(), TRAIN[order], k=2)
    assert (order[shuffled.index][::-1] == whole.index).all()
    assert (shuffled.similarity[::-1] == whole.similarity).all()


@pytest.mark.parametrize("budget_bytes", [0, 2**28])
def test_equal_training_images_come_in_their_order(budget_bytes: int) -> None:
    train = TRAIN.copy()
    train[[350, 7, 90]] = QUERIES[3]
    found = nearest(QUERIES[:5], train, k=3, budget_bytes=budget_bytes)
    assert found.index[3].tolist() == [7, 90, 350]


@pytest.mark.parametrize("count", [9, 775, 777, 1553])
@pytest.mark.parametrize("k", [1, 2, 9])
def test_training_sets_that_no_product_divides(count: int, k: int) -> None:
    train = unit_rows(2, count)
    index = np.argsort(-(QUERIES.astype(np.float64) @ train.astype(np.float64).T), axis=1, kind="stable")[:, :k]
    for budget_bytes in (50_000, 2**28):
        assert (nearest(QUERIES, train, k=k, budget_bytes=budget_bytes).index == index).all()


@pytest.mark.parametrize("k", [1, 3])
def test_what_float32_cannot_tell_apart_is_ranked_in_float64(k: int) -> None:
    generator = np.random.default_rng(4)
    train = TRAIN.copy()
    near = generator.choice(len(train), 8, replace=False)
    train[near] = QUERIES[:1] + 1e-7 * generator.standard_normal((8, QUERIES.shape[1]))
    again = Similarity().values(np.repeat(QUERIES[:1], len(train), 0), train)
    found = nearest(QUERIES[:1], train, k=k)
    assert found.index[0].tolist() == np.argsort(-again, kind="stable")[:k].tolist()


def test_training_features_of_another_precision() -> None:
    assert (nearest(QUERIES, TRAIN.astype(np.float64)).index == nearest(QUERIES, TRAIN).index).all()
    half = np.eye(8, dtype=np.float16)
    assert nearest(half, half).index.ravel().tolist() == list(range(8))


def test_inputs_are_left_alone() -> None:
    queries, train = QUERIES.copy(), TRAIN.copy()
    queries.flags.writeable = train.flags.writeable = False
    nearest(queries, train)
    assert (queries == QUERIES).all()
    assert (train == TRAIN).all()


# --- the GL score -------------------------------------------------------------------------------------------------


def test_a_collapsed_generator_scores_zero_and_a_fresh_one_scores_one() -> None:
    assert gl(np.repeat(TRAIN[:1], 50, 0), TRAIN) == 0
    assert gl(unit_rows(9, 50, dim=512), unit_rows(8, 400, dim=512)) == 1  # unrelated: cosines within ±0.25


def test_half_copied() -> None:
    fresh, train = np.eye(8, dtype=np.float32)[:3], np.eye(8, dtype=np.float32)[3:6]
    both = np.concatenate([fresh, train])
    assert gl(both, train) == 0.5
    assert gl(both, train[:1]) == pytest.approx(5 / 6)  # a subset can only raise it


def test_the_sign_of_mscore() -> None:
    features = np.concatenate([QUERIES[:10], TRAIN[:5]])
    assert mscore(features, TRAIN) == pytest.approx(1 / 3)
    assert gl(features, TRAIN) == pytest.approx(2 / 3)
    assert gl(features, TRAIN) == pytest.approx(1 - mscore(features, TRAIN))


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_gl_is_one_minus_what_mscore_returns(threshold: float) -> None:
    mixed = QUERIES + TRAIN[: len(QUERIES)] * np.linspace(0, 2, 60)[:, None]
    features = (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)
    assert gl(features, TRAIN, threshold) == pytest.approx(1 - mscore(features, TRAIN, threshold))


@pytest.mark.parametrize(("cosine", "expected"), [(0.6, 1), (0.6 + 1e-6, 0)])
def test_a_similarity_of_exactly_the_threshold_is_no_copy(cosine: float, expected: float) -> None:
    train, sample = at_cosine(cosine)
    assert gl(sample, train) == expected


def test_a_set_among_itself_passes_over_its_own_rows() -> None:
    chosen = np.array([5, 0, 399, 17])
    found = Similarity().nearest(TRAIN[chosen], TRAIN, own=chosen)
    for row, place in enumerate(chosen):
        others = np.delete(np.arange(400), place)
        cosines = TRAIN[others].astype(np.float64) @ TRAIN[place].astype(np.float64)
        assert found.rows[row] == others[cosines.argmax()]
        assert found.values[row] == pytest.approx(cosines.max(), abs=6e-8)


def test_duplicates_in_a_set_are_near_copies_of_each_other() -> None:
    train = TRAIN.copy()
    train[[7, 90]] = train[350]
    found = Similarity().nearest(train, train, own=np.arange(400))
    assert found.rows[[7, 90, 350]].tolist() == [90, 7, 7]
    assert found.values[[7, 90, 350]].tolist() == pytest.approx([1] * 3, abs=1e-7)
    assert (found.rows != np.arange(400)).all()


@pytest.mark.parametrize(
    ("features", "train", "k", "message"),
    [
        (QUERIES[:0], TRAIN, 1, "^features: expected at least one row"),
        (QUERIES, TRAIN[:0], 1, "training features: expected at least one row"),
        (QUERIES * 2, TRAIN, 1, "^features: row 0 has norm 2"),
        (QUERIES, np.concatenate([TRAIN, TRAIN[:1] * 0]), 1, "training features: row 400 has norm 0"),
        (QUERIES, np.eye(8), 1, "different descriptors"),
        (QUERIES, TRAIN, 0, "k is from 1 to the 400"),
        (QUERIES, TRAIN, 401, "k is from 1 to the 400"),
    ],
)
def test_what_is_refused(features: NDArray, train: NDArray, k: int, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        nearest(features, train, k=k)
