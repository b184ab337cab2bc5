"""DPM-Solver in data units is DPM-Solver in the VP space of the papers, for any alpha."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.kernels import VP, DiscreteVP, Kernel, at
from reprozoo.diffusion.samplers import dpm_solver_pp_multistep, dpm_solver_singlestep
from reprozoo.diffusion.schedules import TIME_SPACINGS, singlestep_sigmas
from tests.gaussian import Gaussian

DATA = Gaussian.random()
Predict = Callable[[Tensor, "Level"], Tensor]


Step = Callable[[Tensor, list["Level"], int], Tensor]


def bent(x: Tensor, sigma: Tensor) -> Tensor:
    """A denoiser that is not linear in ``x``."""
    return torch.tanh(1.3 * DATA(x, sigma) + 0.2)


@dataclass(frozen=True)
class Level:
    """alpha, noise std and half logSNR of a VP state, in the notation of arXiv:2206.00927."""

    alpha: float
    std: float

    @property
    def lam(self) -> float:
        return math.log(self.alpha / self.std)


def level(kernel: Kernel, sigma: float) -> Level:
    t = kernel.time(torch.tensor(sigma, dtype=torch.float64))
    return Level(alpha=float(kernel.alpha(t)), std=float(kernel.std(t)))


def predict_x0(x: Tensor, at_level: Level) -> Tensor:
    return bent(x / at_level.alpha, x.new_full((len(x),), at_level.std / at_level.alpha))


def predict_eps(x: Tensor, at_level: Level) -> Tensor:
    return (x - at_level.alpha * predict_x0(x, at_level)) / at_level.std


def textbook_singlestep(x: Tensor, levels: list[Level], order: int) -> Tensor:
    """One step on the VP state ``x``: arXiv:2206.00927, equation 4.1 and algorithms 1 and 2."""
    s, t = levels[0], levels[-1]
    h = t.lam - s.lam
    eps = predict_eps(x, s)
    drift = t.alpha / s.alpha * x
    if order == 1:
        return drift - t.std * math.expm1(h) * eps
    s1 = levels[1]
    r1 = (s1.lam - s.lam) / h
    u1 = s1.alpha / s.alpha * x - s1.std * math.expm1(r1 * h) * eps
    change = predict_eps(u1, s1) - eps
    if order == 2:
        return drift - t.std * math.expm1(h) * eps - t.std / (2 * r1) * math.expm1(h) * change
    s2 = levels[2]
    r2 = (s2.lam - s.lam) / h
    u2 = s2.alpha / s.alpha * x - s2.std * math.expm1(r2 * h) * eps
    u2 = u2 - s2.std * r2 / r1 * (math.expm1(r2 * h) / (r2 * h) - 1) * change
    change = predict_eps(u2, s2) - eps
    return drift - t.std * math.expm1(h) * eps - t.std / r2 * (math.expm1(h) / h - 1) * change


def textbook_image_step(x: Tensor, levels: list[Level], order: int) -> Tensor:
    """One step on the VP state ``x``: arXiv:2211.01095, algorithm 1, and the original code's order 3."""
    s, t = levels[0], levels[-1]
    h = t.lam - s.lam
    x0 = predict_x0(x, s)
    drift = t.std / s.std * x - t.alpha * math.expm1(-h) * x0
    if order == 1:
        return drift
    s1 = levels[1]
    r1 = (s1.lam - s.lam) / h
    change = predict_x0(s1.std / s.std * x - s1.alpha * math.expm1(-r1 * h) * x0, s1) - x0
    if order == 2:
        return drift - t.alpha / (2 * r1) * math.expm1(-h) * change
    s2 = levels[2]
    r2 = (s2.lam - s.lam) / h
    u2 = s2.std / s.std * x - s2.alpha * math.expm1(-r2 * h) * x0
    u2 = u2 + s2.alpha * r2 / r1 * (math.expm1(-r2 * h) / (r2 * h) + 1) * change
    return drift + t.alpha / r2 * (math.expm1(-h) / h + 1) * (predict_x0(u2, s2) - x0)


@pytest.mark.parametrize("kernel", [VP(), DiscreteVP()], ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("spacing", ["logsnr", "time_uniform", "time_quadratic"])
@pytest.mark.parametrize("orders", [[1] * 6, [2] * 3, [3, 3, 1], [3, 2, 1], [3, 3, 2]], ids=str)
@pytest.mark.parametrize(("estimate", "step"), [("noise", textbook_singlestep), ("image", textbook_image_step)])
def test_singlestep_is_the_textbook_formula(
    kernel: Kernel, spacing: str, orders: list[int], estimate: str, step: Step
) -> None:
    sigmas = singlestep_sigmas(kernel, orders, spacing=spacing, t_end=2e-3)
    levels = [level(kernel, sigma) for sigma in sigmas.tolist()]
    noise = torch.randn(3, 1, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected, first = noise, 0
    for order in orders:
        expected = step(expected, levels[first : first + order + 1], order)
        first += order
    x = dpm_solver_singlestep(bent, kernel.initial_state(noise), sigmas, orders, estimate=estimate)
    # Rounding only: starting states of 150 and differences of nearly equal noise estimates cost some four digits.
    torch.testing.assert_close(x * levels[-1].alpha, expected, rtol=1e-9, atol=1e-11)


def textbook_multistep(x: Tensor, levels: list[Level], order: int) -> Tensor:
    """arXiv:2211.01095, equations 8 and 9 (and the third-order update of the authors' code), orders rising from 1."""
    estimates: list[Tensor] = []
    for i, (s, t) in enumerate(pairwise(levels)):
        estimates.append(predict_x0(x, s))
        k = min(order, i + 1)
        h = t.lam - s.lam
        phi1 = math.expm1(-h)
        x = t.std / s.std * x - t.alpha * phi1 * estimates[-1]
        if k == 1:
            continue
        r0 = (s.lam - levels[i - 1].lam) / h
        d10 = (estimates[-1] - estimates[-2]) / r0
        if k == 2:
            x = x - 0.5 * t.alpha * phi1 * d10
            continue
        r1 = (levels[i - 1].lam - levels[i - 2].lam) / h
        d11 = (estimates[-2] - estimates[-3]) / r1
        d1 = d10 + r0 / (r0 + r1) * (d10 - d11)
        d2 = (d10 - d11) / (r0 + r1)
        phi2 = phi1 / h + 1
        x = x + t.alpha * phi2 * d1 - t.alpha * (phi2 / h - 0.5) * d2
    return x


@pytest.mark.parametrize("spacing", ["logsnr", "time_uniform", "time_quadratic"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_multistep_is_the_textbook_formula(order: int, spacing: str) -> None:
    kernel = VP()
    sigmas = TIME_SPACINGS[spacing](kernel, 12, t_end=1e-3)
    levels = [level(kernel, sigma) for sigma in sigmas.tolist()]
    noise = torch.randn(3, 1, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = dpm_solver_pp_multistep(bent, kernel.initial_state(noise), sigmas, order=order)
    expected = textbook_multistep(noise, levels, order)
    torch.testing.assert_close(x * levels[-1].alpha, expected, rtol=1e-9, atol=1e-11)


def test_first_order_singlestep_and_multistep_are_the_same_method() -> None:
    kernel = VP()
    sigmas = TIME_SPACINGS["logsnr"](kernel, 12, t_end=1e-3)
    x = DATA.noisy(2, float(sigmas[0]))
    single = dpm_solver_singlestep(bent, x, sigmas, [1] * 12)
    torch.testing.assert_close(dpm_solver_pp_multistep(bent, x, sigmas, order=1), single, rtol=1e-10, atol=1e-10)


def test_a_multistep_step_to_zero_is_the_estimate_itself() -> None:
    x = DATA.noisy(2, 0.5)
    assert at(VP().alpha, 0.0) == 1
    assert dpm_solver_pp_multistep(DATA, x, [0.5, 0.0], order=1).equal(DATA(x, torch.full((2,), 0.5).double()))


@pytest.mark.parametrize(("sigmas", "orders"), [([3.0, 2.0, 1.0], [3]), ([3.0, 2.0], [1, 1]), ([2.0, 1.0], [0, 1])])
def test_levels_that_do_not_fit_the_orders_are_refused(sigmas: list[float], orders: list[int]) -> None:
    with pytest.raises(UsageError, match="expected steps of order 1, 2 or 3 and"):
        dpm_solver_singlestep(DATA, DATA.noisy(1, 3.0), sigmas, orders)
