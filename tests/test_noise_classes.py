"""The class of a noise: the same everywhere, uniform, and unrelated to the noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reprozoo.base.errors import UsageError
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.maps.noise.classes import random_class
from tests.test_noise import philox

MASK = 2**64 - 1


@pytest.mark.parametrize(("seed", "index"), [(0, 0), (1, 2), (MASK, 12345), (7, MASK)])
def test_documentation_gives_the_same_class(seed: int, index: int) -> None:
    word = philox((seed, index), (1, 0, 0, 2**63))[0]
    assert [random_class(seed, index, count) for count in (1, 10, 1000)] == [word * n >> 64 for n in (1, 10, 1000)]


def test_golden_values() -> None:
    """A change here changes the images of every model that is sampled with random classes."""
    assert [random_class(0, i, 10) for i in range(12)] == [0, 4, 6, 3, 8, 2, 6, 8, 4, 8, 9, 4]
    assert [random_class(7, i, 1000) for i in range(4)] == [352, 135, 812, 690]


def test_neither_global_generators_nor_types_of_integers_matter() -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    assert random_class(3, 5, 1000) == random_class(np.uint64(3), np.int64(5), 1000)
    assert np.array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.get_rng_state())


def test_classes_are_uniform_and_unrelated_to_the_noise() -> None:
    classes = np.array([random_class(0, i, 10) for i in range(4000)])
    chi2 = float(((np.bincount(classes, minlength=10) - 400) ** 2 / 400).sum())
    assert chi2 < 27.9  # 99.9th percentile with 9 degrees of freedom
    first = NoiseBank(0).noise(range(4000), (1,))[:, 0].numpy()
    assert abs(np.corrcoef(classes, first)[0, 1]) < 0.053  # 3.3 standard errors of 4000 pairs
    assert (classes != [random_class(1, i, 10) for i in range(4000)]).mean() > 0.85  # 0.9 if unrelated


@pytest.mark.parametrize("arguments", [(-1, 0, 10), (0, -1, 10), (0, 2**64, 10), (0, 0, 0)])
def test_arguments_out_of_range_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="a random class needs a seed and an index from 0"):
        random_class(*arguments)
