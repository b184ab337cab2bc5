"""The l2 memorization ratio: exact distances, degenerate training sets, the direction of the score."""

from fractions import Fraction

import pytest
import torch

from reprozoo.base.errors import ContractError
from reprozoo.measures import PixelNeighbours, memorization_ratio, memorized, pixel_neighbours
from reprozoo.measures.memorization import _block


def images(seed, count, size=4):
    return torch.randint(256, (count, 3, size, size), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def line(*values):
    """One-pixel images."""
    return torch.tensor(values, dtype=torch.uint8).reshape(-1, 1, 1, 1)


def brute_force(samples, train):
    difference = samples.flatten(1).long()[:, None] - train.flatten(1).long()
    distance, index = difference.square().sum(2).sort(dim=1, stable=True)
    return distance[:, :2], index[:, :2]


@pytest.mark.parametrize("size", [1, 4, 20])  # 20: 1200 values, more than one piece of a sum
@pytest.mark.parametrize("budget_bytes", [0, 200_000, 2**28])
def test_nearest_two_are_brute_force(size, budget_bytes):
    samples, train = images(0, 9, size), images(1, 70, size)
    found = pixel_neighbours(samples, train, budget_bytes=budget_bytes)
    distance, index = brute_force(samples, train)
    assert torch.equal(found.squared_distance, distance)
    assert torch.equal(found.index, index)


@pytest.mark.parametrize("pixels", [3, 3072, 3 * 256 * 256])
@pytest.mark.parametrize("budget_bytes", [2**24, 2**28, 2**32])
def test_the_budget_holds(pixels, budget_bytes):
    rows, columns = _block(10_000, pixels, budget_bytes)
    distances, product, as_floats = 8 * rows * columns, 4 * rows * columns, (4 + 8) * (rows + columns) * pixels
    assert distances + product + as_floats <= budget_bytes


def test_distances_are_exact_where_float32_is_not():
    # Large norms, tiny distances: |a|^2 - 2ab + |b|^2 in float32 cancels to noise.
    generator = torch.Generator().manual_seed(0)
    base = torch.full((1, 3, 32, 32), 250, dtype=torch.uint8)
    train = base + torch.randint(2, (40, 3, 32, 32), generator=generator).to(torch.uint8)
    samples = base.expand(5, -1, -1, -1)
    found = pixel_neighbours(samples, train)
    distance, index = brute_force(samples, train)
    assert torch.equal(found.squared_distance, distance)
    assert torch.equal(found.index, index)
    a, b = samples.flatten(1).float(), train.flatten(1).float()
    naive = (a.square().sum(1)[:, None] - 2 * a @ b.T + b.square().sum(1)).sort(dim=1).values[:, :2]
    assert not torch.equal(naive.long(), distance)


def test_black_against_white():
    black, white = torch.zeros(2, 3, 40, 40, dtype=torch.uint8), torch.full((1, 3, 40, 40), 255, dtype=torch.uint8)
    assert pixel_neighbours(white, black).squared_distance.tolist() == [[4800 * 255**2] * 2]


def test_equal_distances_come_in_the_order_of_the_training_set():
    for budget_bytes in (0, 2**28):
        found = pixel_neighbours(line(100), line(7, 103, 97, 103, 97), budget_bytes=budget_bytes)
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
def test_the_criterion(sample, expected):
    assert memorized(pixel_neighbours(line(sample), line(10, 100))).tolist() == [expected]


def test_a_ratio_of_exactly_a_third_is_not_memorized():
    neighbours = pixel_neighbours(line(20), line(10, 50))
    assert neighbours.ratio.tolist() == pytest.approx([1 / 3])
    assert memorized(neighbours).tolist() == [False]
    assert memorized(neighbours, threshold=Fraction(1, 3) + Fraction(1, 500)).tolist() == [True]
    assert memorized(neighbours, threshold=0.4).tolist() == [True]


def test_large_distances_do_not_overflow():
    huge = 3 * 2048 * 2048 * 255**2
    neighbours = PixelNeighbours(torch.tensor([[huge // 2, huge]]), torch.tensor([[0, 1]]))
    assert memorized(neighbours, threshold=Fraction(999, 1000)).tolist() == [True]
    assert memorized(neighbours, threshold=Fraction(1, 1000)).tolist() == [False]


def test_a_copied_duplicate_is_memorized():
    neighbours = pixel_neighbours(line(10, 11), line(10, 10, 200))
    assert neighbours.ratio.tolist() == [0, 1]  # 0 / 0 is defined as 0; next to a duplicate the ratio says nothing
    assert memorized(neighbours).tolist() == [True, False]


def test_a_collapsed_generator_is_all_memorized_and_a_fresh_one_is_not():
    train = images(1, 50)
    assert memorization_ratio(train[:1].expand(20, -1, -1, -1), train) == 1
    assert memorization_ratio(images(2, 20), train) == 0
    assert memorization_ratio(torch.cat([train[:5], images(2, 15)]), train) == 0.25


def test_order_of_rows():
    samples, train = torch.cat([images(1, 8)[:3], images(0, 5)]), images(1, 8)
    assert memorization_ratio(samples.flip(0), train.flip(0)) == memorization_ratio(samples, train) == 3 / 8


@pytest.mark.parametrize(
    ("samples", "train", "message"),
    [
        (images(0, 2), images(1, 1), "only one"),
        (images(0, 0), images(1, 4), "^images: expected at least one"),
        (images(0, 2), images(1, 0), "training images: expected at least one"),
        (images(0, 2), images(1, 4, size=5), "cannot be compared"),
        (images(0, 2).float(), images(1, 4), "^images: expected at least one uint8"),
    ],
)
def test_what_is_refused(samples, train, message):
    with pytest.raises(ContractError, match=message):
        pixel_neighbours(samples, train)
