"""Schedules against their formulas and the orders that the original DPM-Solver takes."""

import math

import pytest
import torch

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.kernels import EDM, VP, CosineVP, RectifiedFlow, at
from reprozoo.diffusion.schedules import (
    karras_sigmas,
    logsnr_sigmas,
    multistep_orders,
    singlestep_orders,
    singlestep_sigmas,
    time_quadratic_sigmas,
    time_uniform_sigmas,
)


def test_karras_levels_are_those_of_edm() -> None:
    sigmas = karras_sigmas(18, sigma_min=0.002, sigma_max=80.0).tolist()
    assert (len(sigmas), sigmas[0], sigmas[-1]) == (19, 80.0, 0.0)
    # arXiv:2206.00364, equation 5, worked out by hand for i = 1 and i = 17
    assert sigmas[1] == pytest.approx(57.586, abs=1e-3)
    assert sigmas[17] == pytest.approx(0.002, rel=1e-12)
    assert karras_sigmas(1, sigma_min=0.002, sigma_max=80.0).tolist() == [80.0, 0.0]


def test_rho_one_is_uniform() -> None:
    assert karras_sigmas(5, sigma_min=1.0, sigma_max=5.0, rho=1.0).tolist() == pytest.approx([5, 4, 3, 2, 1, 0])


def test_logsnr_levels_have_equal_ratios_and_exact_ends() -> None:
    sigmas = logsnr_sigmas(4, sigma_min=0.01, sigma_max=100.0)
    assert sigmas.tolist() == pytest.approx([100, 10, 1, 0.1, 0.01])
    assert sigmas[[0, -1]].tolist() == [100, 0.01]


def test_time_spacings_are_uniform_in_time_and_in_its_root() -> None:
    kernel = VP()
    t = kernel.time(time_uniform_sigmas(kernel, 10, t_end=1e-3))
    torch.testing.assert_close(t.diff(), torch.full((10,), -0.0999, dtype=torch.float64))
    roots = kernel.time(time_quadratic_sigmas(kernel, 10, t_end=1e-3)).sqrt()
    torch.testing.assert_close(roots.diff(), torch.full((10,), (math.sqrt(1e-3) - 1) / 10, dtype=torch.float64))


def test_progressive_distillation_steps_are_at_i_over_n() -> None:
    kernel = CosineVP()
    t = kernel.time(time_uniform_sigmas(kernel, 8, t_end=0.0))
    torch.testing.assert_close(t, torch.arange(8, -1, -1, dtype=torch.float64) / 8, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("steps", "order", "orders"),
    [
        (100, 3, [3] * 33 + [1]),  # arXiv:2310.05264, appendix F: 33 iterations of 3rd order, 1 of 1st, 100 evaluations
        (99, 3, [3] * 32 + [2, 1]),
        (101, 3, [3] * 33 + [2]),
        (3, 3, [2, 1]),
        (2, 3, [2]),
        (1, 3, [1]),
        (10, 2, [2] * 5),
        (11, 2, [2] * 5 + [1]),
        (1, 2, [1]),
        (4, 1, [1] * 4),
    ],
)
def test_singlestep_orders_are_those_of_the_original(steps: int, order: int, orders: list[int]) -> None:
    assert singlestep_orders(steps, order) == orders
    assert sum(orders) == steps


@pytest.mark.parametrize(
    ("steps", "order", "orders"),
    [
        (20, 3, [1, 2] + [3] * 18),
        (10, 2, [1] + [2] * 9),  # the original lowers the last orders only below 10 steps
        (9, 2, [1] + [2] * 7 + [1]),
        (9, 3, [1, 2, 3, 3, 3, 3, 3, 2, 1]),
        (4, 3, [1, 2, 2, 1]),
        (3, 3, [1, 2, 1]),
        (5, 1, [1] * 5),
    ],
)
def test_multistep_orders_are_those_of_the_original(steps: int, order: int, orders: list[int]) -> None:
    assert multistep_orders(steps, order) == orders


@pytest.mark.parametrize(("steps", "order"), [(0, 1), (5, 4), (5, 0)])
def test_orders_that_do_not_exist_are_refused(steps: int, order: int) -> None:
    with pytest.raises(UsageError, match="orders 1, 2 and 3"):
        singlestep_orders(steps, order)
    with pytest.raises(UsageError, match="orders 1, 2 and 3"):
        multistep_orders(steps, order)


def test_fewer_multistep_steps_than_their_order_are_refused() -> None:
    with pytest.raises(UsageError, match="needs as many steps, got order=3, steps=2"):
        multistep_orders(2, 3)


def test_logsnr_divides_steps_and_their_insides_equally() -> None:
    kernel, orders = VP(), [3, 3, 1]
    sigmas = singlestep_sigmas(kernel, orders, spacing="logsnr", t_end=1e-3)
    assert len(sigmas) == 8
    half_log_snr = -sigmas.log()
    outer = half_log_snr[[0, 3, 6, 7]].diff()
    torch.testing.assert_close(outer, outer.mean().expand(3))
    torch.testing.assert_close(half_log_snr.diff()[:6], (outer[0] / 3).expand(6))  # r1 = 1/3, r2 = 2/3
    assert sigmas[[0, -1]].tolist() == [at(kernel.sigma, 1.0), at(kernel.sigma, 1e-3)]


@pytest.mark.parametrize("spacing", ["time_uniform", "time_quadratic"])
def test_time_spacings_give_every_evaluation_an_equal_interval(spacing: str) -> None:
    # The original takes its outer times from a grid of ``steps`` intervals and divides each step again: the same times.
    kernel, orders = VP(), [3, 3, 2, 1]
    t = kernel.time(singlestep_sigmas(kernel, orders, spacing=spacing, t_end=1e-3))
    intervals = (t if spacing == "time_uniform" else t.sqrt()).diff()
    torch.testing.assert_close(intervals, intervals.mean().expand(9), rtol=1e-9, atol=0)


@pytest.mark.parametrize("kernel", [VP(), EDM(), RectifiedFlow(), CosineVP()], ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("spacing", ["logsnr", "time_uniform", "time_quadratic"])
def test_every_schedule_decreases(kernel: VP, spacing: str) -> None:
    sigmas = singlestep_sigmas(kernel, [3, 2, 1], spacing=spacing, t_end=0.01)
    assert sigmas.dtype == torch.float64
    assert (sigmas.diff() < 0).all()
