"""Searches compute in full precision whatever the caller has switched on, and put its settings back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from reprozoo.measures.precision import full_precision


def precision() -> tuple[str, str, str]:
    """All the settings of torch that decide how exact a float32 product is."""
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cuda.matmul.fp32_precision,
        torch.backends.mkldnn.matmul.fp32_precision,
    )


@pytest.fixture
def restored() -> Iterator[None]:
    yield
    torch.set_float32_matmul_precision("highest")
    for switch in (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul):
        switch.fp32_precision = "none"


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("setting", ["medium", "high", "highest", None])
def test_reduced_precision_is_switched_off_and_on_again(setting: str | None) -> None:
    if setting:
        torch.set_float32_matmul_precision(setting)
    before = precision()
    with full_precision(torch.device("cpu")):
        assert precision() == ("highest", "ieee", "ieee")
        assert not torch.backends.cuda.matmul.allow_tf32
    assert precision() == before


@pytest.mark.usefixtures("restored")
def test_reduced_precision_by_the_newer_switch() -> None:
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    with full_precision(torch.device("cpu")):
        assert precision() == ("highest", "ieee", "ieee")
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"


def test_autocast_is_switched_off_and_on_again() -> None:
    a = torch.from_numpy(np.random.default_rng(0).standard_normal((256, 256), np.float32))
    exact = a.double() @ a.double()
    with torch.autocast("cpu", torch.bfloat16):
        with full_precision(a.device):
            product = a @ a
        coarse = a @ a
    assert (coarse.double() - exact).abs().max() > 0.1  # bfloat16: 8 bits of values near 50
    assert (product.double() - exact).abs().max() < 1e-3  # float32: 24 bits
