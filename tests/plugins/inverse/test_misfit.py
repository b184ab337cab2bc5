"""The misfit, on cases that can be done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reprozoo_plugins.inverse.catalogue import make_operator
from reprozoo_plugins.inverse.misfit import Misfit

from reprozoo.base.errors import ContractError

SHAPE = (1, 4, 5)
ALL_BUT_A_CORNER = make_operator("inpaint-1", (1, 2, 3))  # 5 of 6 pixels are seen


def test_misfit_is_a_root_mean_square_in_grey_levels() -> None:
    images = np.full((3, 1, 2, 3), 100, np.uint8)
    measured = np.full((3, 1, 5), 100 / 127.5 - 1, np.float32)
    measured[1] += 2 / 127.5
    measured[2, 0, 0] -= 2 / 127.5  # a fifth of the values is off
    found = Misfit(ALL_BUT_A_CORNER).values(images, measured)
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx([0, 2, 2 / math.sqrt(5)], abs=1e-5)  # float32 measurements


def test_what_was_hidden_does_not_count() -> None:
    images = np.zeros((2, 1, 2, 3), np.uint8)
    images[1, 0, 0, 1] = 255  # the hidden pixel
    values = Misfit(ALL_BUT_A_CORNER).values(images, np.full((2, 1, 5), -1, np.float32))
    assert values.tolist() == [0, 0]


def test_rounding_to_8_bits_is_0_3() -> None:
    """A uniform error of half a level has the std 1 / sqrt(12) = 0.29."""
    rng = np.random.default_rng(0)
    exact = rng.uniform(-0.99, 0.99, (8, 3, 16, 16)).astype(np.float32)
    rounded = np.floor(127.5 * exact + 128).astype(np.uint8)
    operator = make_operator("motion-blur+length=1", (3, 16, 16))  # the image itself
    assert Misfit(operator).values(rounded, exact) == pytest.approx(np.full(8, 0.29), abs=0.02)


def test_a_value_is_of_its_own_row() -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (7, 3, 16, 16), np.uint8)
    for name in ("inpaint-4", "super-resolution-4", "gaussian-blur", "motion-blur", "grayscale"):
        operator = make_operator(name, (3, 16, 16))
        measured = rng.standard_normal((7, *operator.measurement_shape)).astype(np.float32)
        measure = Misfit(operator)
        alone = [measure.values(images[i : i + 1], measured[i : i + 1])[0] for i in range(7)]
        assert measure.values(images, measured).tolist() == pytest.approx(alone, rel=1e-6)
        assert measure.values(images[::-1], measured[::-1]).tolist() == pytest.approx(alone[::-1], rel=1e-6)


def test_shapes_have_to_fit() -> None:
    measure = Misfit(ALL_BUT_A_CORNER)
    with pytest.raises(ContractError, match="paired row by row"):
        measure.values(np.zeros((2, 1, 2, 3), np.uint8), np.zeros((2, 1, 4), np.float32))
    with pytest.raises(ContractError, match="uint8"):
        measure.values(np.zeros((2, 1, 2, 3), np.float32), np.zeros((2, 1, 5), np.float32))
