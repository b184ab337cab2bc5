"""Every fixed-step sampler converges at its order to the exact flow of Gaussian data.

The error of a method of order p falls by 2^p when the step is halved. ``observed_order`` is the logarithm of that
factor at the finest pair of schedules; it differs from p by the next term of the error's expansion, here up to 0.1
(0.2 where a multistep method still remembers its first-order start). Schedules end above sigma 0, where the flow is
smooth.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from torch import Tensor

from reprozoo.diffusion.kernels import VP, at
from reprozoo.diffusion.samplers import ddim, dpm_solver_pp_multistep, dpm_solver_singlestep, euler, heun, karras_sigmas
from reprozoo.diffusion.schedules import TIME_SPACINGS, singlestep_sigmas
from tests.gaussian import Gaussian

KERNEL = VP()
DATA = Gaussian.random()
Integrate = Callable[[Tensor, int], Tensor]


def observed_order(integrate: Integrate, *, sigma_start: float, sigma_end: float, intervals: int) -> float:
    """log2 of the factor by which twice as many intervals reduce the largest error."""
    x = DATA.noisy(4, sigma_start)
    exact = DATA.flow(x, sigma_start, sigma_end)
    coarse, fine = (float((integrate(x, n) - exact).abs().max()) for n in (intervals, 2 * intervals))
    return math.log2(coarse / fine)


def karras(intervals: int) -> Tensor:
    return karras_sigmas(intervals + 1, sigma_min=0.002, sigma_max=80.0)[:-1]


def singlestep(order: int, spacing: str, estimate: str = "noise") -> Integrate:
    def integrate(x: Tensor, steps: int) -> Tensor:
        orders = [order] * steps
        sigmas = singlestep_sigmas(KERNEL, orders, spacing=spacing, t_end=1e-3)
        return dpm_solver_singlestep(DATA, x, sigmas, orders, estimate=estimate)

    return integrate


def multistep(order: int, spacing: str) -> Integrate:
    def integrate(x: Tensor, steps: int) -> Tensor:
        return dpm_solver_pp_multistep(DATA, x, TIME_SPACINGS[spacing](KERNEL, steps, t_end=1e-3), order=order)

    return integrate


@pytest.mark.parametrize(
    ("integrate", "order"),
    [
        (lambda x, n: euler(DATA, x, karras(n)), 1),
        (lambda x, n: ddim(DATA, x, karras(n)), 1),
        (lambda x, n: heun(DATA, x, karras(n)), 2),
    ],
    ids=["euler", "ddim", "heun"],
)
def test_order_on_karras_levels(integrate: Integrate, order: int) -> None:
    assert observed_order(integrate, sigma_start=80, sigma_end=0.002, intervals=64) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("spacing", ["logsnr", "time_quadratic"])
@pytest.mark.parametrize("estimate", ["noise", "image"])
def test_order_of_dpm_solver(order: int, spacing: str, estimate: str) -> None:
    start, end = at(KERNEL.sigma, 1.0), at(KERNEL.sigma, 1e-3)
    found = observed_order(singlestep(order, spacing, estimate), sigma_start=start, sigma_end=end, intervals=64)
    assert found == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("spacing", ["logsnr", "time_quadratic"])
def test_order_of_dpm_solver_pp(order: int, spacing: str) -> None:
    start, end = at(KERNEL.sigma, 1.0), at(KERNEL.sigma, 1e-3)
    found = observed_order(multistep(order, spacing), sigma_start=start, sigma_end=end, intervals=128)
    assert found == pytest.approx(order, abs=0.2)


def test_order_3_of_dpm_solver_pp_converges_at_2_as_published() -> None:
    # The published formula halves the second derivative (see the module); with its full weight this would be above 3.
    start, end = at(KERNEL.sigma, 1.0), at(KERNEL.sigma, 1e-3)
    found = observed_order(multistep(3, "logsnr"), sigma_start=start, sigma_end=end, intervals=256)
    assert found == pytest.approx(2, abs=0.1)


def test_higher_orders_are_more_accurate_at_the_same_evaluations() -> None:
    start, end = at(KERNEL.sigma, 1.0), at(KERNEL.sigma, 1e-3)
    x = DATA.noisy(4, start)
    exact = DATA.flow(x, start, end)
    errors = [float((singlestep(k, "logsnr")(x, 60 // k) - exact).abs().max()) for k in (1, 2, 3)]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]


def test_the_measurement_tells_a_broken_heun() -> None:
    def forgetful(x: Tensor, n: int) -> Tensor:  # the second slope taken at the first level: of first order
        for sigma, following in pairwise(karras(n).tolist()):
            slope = (x - DATA(x, x.new_full((len(x),), sigma))) / sigma
            straight = x + (following - sigma) * slope
            again = (straight - DATA(straight, x.new_full((len(x),), sigma))) / sigma
            x = x + (following - sigma) * 0.5 * (slope + again)
        return x

    assert observed_order(forgetful, sigma_start=80, sigma_end=0.002, intervals=64) == pytest.approx(1, abs=0.15)
