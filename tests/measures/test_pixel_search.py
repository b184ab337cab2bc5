"""The ratio that memorization counts: exact distances, degenerate training sets, the direction of the score."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from reprozoo.base.errors import ContractError, UsageError
from reprozoo.measures.library.distance_ratio import DistanceRatio
from reprozoo.measures.pixel_search import PixelNeighbours, _block, pixel_neighbours
from reprozoo.measures.summaries import beyond, summary
from tests.measures.arrays import flat, images

THIRD = DistanceRatio.threshold
KIND = DistanceRatio.scores[0].kind


def memorization(samples: NDArray, train: NDArray) -> float:
    return summary(DistanceRatio().nearest(samples, train).values, KIND, THIRD)


def brute_force(samples: NDArray, train: NDArray) -> tuple[NDArray, NDArray]:
    difference = samples.reshape(len(samples), 1, -1).astype(np.int64) - train.reshape(1, len(train), -1)
    distance = np.square(difference).sum(2)
    index = np.argsort(distance, axis=1, kind="stable")[:, :2]
    return np.take_along_axis(distance, index, 1), index


@pytest.mark.parametrize("size", [1, 4, 20])  # 20: 1200 values, more than one piece of a sum
@pytest.mark.parametrize("budget_bytes", [0, 200_000, 2**28])
def test_nearest_two_are_brute_force(size: int, budget_bytes: int) -> None:
    samples, train = images(0, 9, size), images(1, 70, size)
    found = pixel_neighbours(samples, train, budget_bytes=budget_bytes)
    distance, index = brute_force(samples, train)
    assert (found.squared_distance == distance).all()
    assert (found.index == index).all()


@pytest.mark.parametrize("pixels", [3, 3072, 3 * 256 * 256])
@pytest.mark.parametrize("budget_bytes", [2**24, 2**28, 2**32])
def test_the_budget_holds(pixels: int, budget_bytes: int) -> None:
    rows, columns = _block(10_000, pixels, budget_bytes)
    distances, product, as_floats = 8 * rows * columns, 4 * rows * columns, (4 + 8) * (rows + columns) * pixels
    assert distances + product + as_floats <= budget_bytes


def test_distances_are_exact_where_float32_is_not() -> None:
    # Large norms, tiny distances: |a|^2 - 2ab + |b|^2 in float32 cancels to noise.
    base = np.full((1, 3, 32, 32), 250, np.uint8)
    train = base + np.random.default_rng(0).integers(2, size=(40, 3, 32, 32), dtype=np.uint8)
    samples = np.repeat(base, 5, 0)
    found = pixel_neighbours(samples, train)
    distance, index = brute_force(samples, train)
    assert (found.squared_distance == distance).all()
    assert (found.index == index).all()
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (samples, train))
    naive = np.sort(np.square(a).sum(1)[:, None] - 2 * a @ b.T + np.square(b).sum(1), axis=1)[:, :2]
    assert not (naive == distance).all()


def test_black_against_white() -> None:
    black, white = flat(0, 0, size=40, channels=3), flat(255, size=40, channels=3)
    assert pixel_neighbours(white, black).squared_distance.tolist() == [[4800 * 255**2] * 2]


@pytest.mark.parametrize("budget_bytes", [0, 2**28])
def test_equal_distances_come_in_the_order_of_the_training_set(budget_bytes: int) -> None:
    found = pixel_neighbours(flat(100), flat(7, 103, 97, 103, 97), budget_bytes=budget_bytes)
    assert found.index.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (10, True),  # a copy: 0 / 90
        (32, True),  # 22 / 68 = 0.324
        (33, False),  # 23 / 67 = 0.343
        (55, False),  # half way
    ],
)
def test_the_criterion(sample: int, expected: bool) -> None:
    found = DistanceRatio().nearest(flat(sample), flat(10, 100))
    first, second = sorted((abs(sample - 10), abs(sample - 100)))
    assert found.values.tolist() == pytest.approx([first / second])
    assert beyond(found.values, KIND, THIRD).tolist() == [expected]


@pytest.mark.parametrize("size", [1, 3, 17, 33])
def test_a_ratio_of_exactly_a_third_is_not_memorized(size: int) -> None:
    found = DistanceRatio().nearest(flat(20, 21, size=size), flat(10, 50, size=size))
    assert found.values.tolist() == pytest.approx([1 / 3, 11 / 29])
    assert beyond(found.values, KIND, THIRD).tolist() == [False, False]
    assert beyond(found.values, KIND, 0.35).tolist() == [True, False]


def test_the_edge_is_exact_for_the_largest_distances() -> None:
    """Nine times the square of one distance is that of the other, give or take one."""
    second = 9 * (3 * 2048 * 2048 * 255**2 // 9)
    squares = np.array([[second // 9 - 1, second], [second // 9, second], [second // 9 + 1, second]])
    ratio = PixelNeighbours(squares, np.zeros((3, 2), np.int64)).ratio
    assert beyond(ratio, KIND, THIRD).tolist() == [True, False, False]
    assert ratio[0] == pytest.approx(math.sqrt((second // 9 - 1) / second), rel=1e-15)


def test_a_copied_duplicate_is_memorized() -> None:
    values = DistanceRatio().nearest(flat(10, 11), flat(10, 10, 200)).values
    assert values.tolist() == [0, 1]  # 0 / 0 is defined as 0; next to a duplicate the ratio says nothing
    assert beyond(values, KIND, THIRD).tolist() == [True, False]


def test_a_collapsed_generator_is_all_memorized_and_a_fresh_one_is_not() -> None:
    train = images(1, 50)
    assert memorization(np.repeat(train[:1], 20, 0), train) == 1
    assert memorization(images(2, 20), train) == 0
    assert memorization(np.concatenate([train[:5], images(2, 15)]), train) == 0.25


def test_order_of_rows() -> None:
    samples, train = np.concatenate([images(1, 8)[:3], images(0, 5)]), images(1, 8)
    found, turned = (DistanceRatio().nearest(*pair) for pair in ((samples, train), (samples[::-1], train[::-1])))
    assert (turned.values[::-1] == found.values).all()
    assert (7 - turned.rows[::-1] == found.rows).all()
    assert found.rows[:3].tolist() == [0, 1, 2]
    assert memorization(samples, train) == 3 / 8


@pytest.mark.parametrize(
    ("samples", "train", "message"),
    [
        (images(0, 2), images(1, 1), "only one"),
        (images(0, 0), images(1, 4), "^images: expected at least one"),
        (images(0, 2), images(1, 0), "training images: expected at least one"),
        (images(0, 2), images(1, 4, size=5), "cannot be compared"),
        (images(0, 2).astype(np.float32), images(1, 4), "^images: expected at least one uint8"),
    ],
)
def test_what_is_refused(samples: NDArray, train: NDArray, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        pixel_neighbours(samples, train)


@pytest.mark.parametrize(
    ("samples", "train", "message"),
    [
        (images(0, 2), images(1, 1), "memorization is the ratio of two, and there is one image"),
        (images(0, 2), images(1, 4, size=5), "the images are 3×4×4 and those of the data set 3×5×5"),
    ],
)
def test_what_cannot_be_searched_is_a_sentence(samples: NDArray, train: NDArray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DistanceRatio().nearest(samples, train)


def test_a_set_among_itself_is_not_asked_for() -> None:
    """Every image is a copy of itself: a search that passed nothing over would say that all is memorized."""
    assert "nearest-other" not in DistanceRatio.pairings()
    with pytest.raises(UsageError, match="of one set with another"):
        DistanceRatio().nearest(images(0, 3), images(0, 3), own=np.arange(3))
