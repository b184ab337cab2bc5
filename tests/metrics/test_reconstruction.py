"""Likeness to the truth and misfit to the measurement, on cases that can be done by hand."""

from __future__ import annotations

import math

import pytest
import torch

from reprozoo.base.errors import ContractError
from reprozoo.measures import data_misfits, psnr


def test_psnr_by_hand() -> None:
    truth = torch.full((3, 3, 4, 4), 100, dtype=torch.uint8)
    images = truth.clone()
    images[1] += 10  # every pixel is off by 10
    images[2, 0, 0, 0] = 255  # one of 48 values is off by 155
    expected = [100.0, 20 * math.log10(255 / 10), 10 * math.log10(255**2 * 48 / 155**2)]
    assert psnr(images, truth).tolist() == pytest.approx(expected)
    assert torch.equal(psnr(truth, images), psnr(images, truth))
    assert float(psnr(torch.zeros_like(truth), torch.full_like(truth, 255))[0]) == 0


def test_misfit_is_a_root_mean_square_in_grey_levels() -> None:
    measured = torch.zeros(2, 3, 5)
    found = measured.clone()
    found[1] += 2 / 127.5
    assert data_misfits(found, measured).tolist() == pytest.approx([0, 2])
    found[1, :, 1:] = 0  # a fifth of the values is off
    assert float(data_misfits(found, measured)[1]) == pytest.approx(2 / math.sqrt(5))


def test_shapes_have_to_be_equal() -> None:
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(ContractError):
        psnr(images, images[:1])
    with pytest.raises(ContractError):
        data_misfits(torch.zeros(2, 3), torch.zeros(2, 4))
