"""RK45 against scipy's, one sample at a time, and against the exact flow of Gaussian data."""

import numpy as np
import pytest
import torch
from torch import Tensor

from reprozoo.base.errors import IntegrityError
from reprozoo.diffusion.kernels import EDM, VE, VP, CosineVP, Kernel, RectifiedFlow, SubVP, at
from reprozoo.diffusion.samplers import RK45, make_sampler, rk45
from reprozoo.diffusion.samplers.rk45 import A, C, E
from tests.gaussian import Counting, Gaussian

KERNELS = [VP(), SubVP(), VE(), EDM(), CosineVP(), RectifiedFlow()]
each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
DATA = Gaussian.random(rotated=False)  # elementwise, so that rows can be compared bit by bit


def noises(count: int = 5) -> Tensor:
    """Noises of which one is ten times too large: it needs other steps than its neighbours."""
    noise = torch.randn(count, 1, 2, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noise[3 % count] *= 10
    return noise


def bent(x: Tensor, sigma: Tensor) -> Tensor:
    """A denoiser that is not linear in ``x``."""
    return torch.tanh(1.3 * DATA(x, sigma) + 0.2)


def scipy_alone(kernel: Kernel, x: Tensor, sampler: RK45) -> tuple[np.ndarray, int]:
    """One sample by scipy, on the textbook form f x - g^2/2 score of arXiv:2011.13456, equation 13."""
    integrate = pytest.importorskip("scipy.integrate", reason="scipy is a test dependency: pip install scipy")
    shape = x.shape

    def drift(t: float, y: np.ndarray) -> np.ndarray:
        alpha, sigma = at(kernel.alpha, t), at(kernel.sigma, t)
        state = torch.from_numpy(y).reshape(1, *shape)
        x0 = bent(state / alpha, torch.tensor([sigma], dtype=torch.float64))
        score = (alpha * x0 - state) / (alpha * sigma) ** 2
        half_g2 = alpha**2 * sigma * at(kernel.dsigma_dt, t)
        return (at(kernel.dlog_alpha_dt, t) * state - half_g2 * score).numpy().ravel()

    start = (x * at(kernel.alpha, kernel.t_max)).numpy().ravel()
    span = (kernel.t_max, sampler.t_end)
    found = integrate.solve_ivp(drift, span, start, method="RK45", rtol=sampler.rtol, atol=sampler.atol)
    return found.y[:, -1].reshape(shape) / at(kernel.alpha, sampler.t_end), found.nfev


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k.name != "rectified-flow"], ids=lambda kernel: kernel.name)
def test_each_row_is_what_scipy_makes_of_it_alone(kernel: Kernel) -> None:
    sampler = RK45(kernel=kernel)
    x = kernel.initial_state(noises())
    solution = sampler.solve(bent, x)
    for row, nfe, start in zip(solution.x, solution.nfe.tolist(), x, strict=True):
        expected, evaluations = scipy_alone(kernel, start, sampler)
        assert nfe == evaluations
        # The same steps; what differs is rounding (1e-16) times the flow's condition and the textbook drift's
        # cancellation between two terms of up to 1e4 at the ends of the time range.
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-9)


def test_a_rectified_flow_is_what_scipy_makes_of_its_velocity() -> None:
    # In the textbook form alpha' / alpha is 1e9 at the start and cancels; the velocity eps - x0 has no such term.
    integrate = pytest.importorskip("scipy.integrate", reason="scipy is a test dependency: pip install scipy")
    kernel = RectifiedFlow()
    sampler = RK45(kernel=kernel)
    x = kernel.initial_state(noises())
    solution = sampler.solve(bent, x)

    def velocity(t: float, y: np.ndarray) -> np.ndarray:
        state = torch.from_numpy(y).reshape(1, *x.shape[1:])
        x0 = bent(state / (1 - t), torch.tensor([t / (1 - t)], dtype=torch.float64))
        return ((state - (1 - t) * x0) / t - x0).numpy().ravel()

    for row, nfe, start in zip(solution.x, solution.nfe.tolist(), x, strict=True):
        y = (start * (1 - kernel.t_max)).numpy().ravel()
        found = integrate.solve_ivp(velocity, (kernel.t_max, sampler.t_end), y, rtol=1e-5, atol=1e-5)
        assert nfe == found.nfev
        # alpha' and (alpha sigma)' are exact to 1e-7 at t = 1 - 1e-9, where alpha has nine digits fewer than t
        np.testing.assert_allclose(row.numpy().ravel(), found.y[:, -1] / (1 - sampler.t_end), rtol=0, atol=1e-6)


@each_kernel
def test_it_follows_the_exact_flow_within_its_tolerance(kernel: Kernel) -> None:
    start = at(kernel.sigma, kernel.t_max)
    x = DATA.noisy(4, start)
    errors = []
    for tolerance in (1e-5, 1e-8):
        sampler = RK45(kernel=kernel, rtol=tolerance, atol=tolerance)
        exact = DATA.flow(x, start, at(kernel.sigma, sampler.t_end))
        errors.append(float((sampler(DATA, x) - exact).abs().max()))
    # The tolerance is for each of some 20 to 50 steps, and the error of a step is relative to a state of up to 200
    # where alpha is 1; measured 4e-6 to 2e-4, and 1e-8 to 4e-7.
    assert errors[0] < 1e-3
    assert errors[1] < 2e-6


@each_kernel
def test_a_row_does_not_depend_on_its_neighbours(kernel: Kernel) -> None:
    sampler = RK45(kernel=kernel, denoise_final=True)
    x = kernel.initial_state(noises())
    together = sampler.solve(bent, x)
    assert len(set(together.nfe.tolist())) > 1, "all rows took the same steps: this shows nothing"
    for row in range(len(x)):
        alone = sampler.solve(bent, x[row : row + 1])
        assert alone.x[0].equal(together.x[row])
        assert alone.nfe[0] == together.nfe[row]
    order = [4, 2, 0, 3, 1]
    assert sampler(bent, x[order]).equal(together.x[order])


def test_evaluations_are_counted_for_each_row() -> None:
    kernel = VP()
    x = kernel.initial_state(noises())
    for denoise_final in (False, True):
        sampler = RK45(kernel=kernel, denoise_final=denoise_final)
        assert sampler.nfe is None
        together = Counting(bent)
        nfe = sampler.solve(together, x).nfe.tolist()
        assert together.calls == max(nfe)  # the network sees the batch until its last row has arrived
        for row, expected in enumerate(nfe):
            alone = Counting(bent)
            sampler(alone, x[row : row + 1])
            assert alone.calls == alone.rows == expected


def test_denoise_final_is_the_estimate_at_the_end() -> None:
    kernel = VP()
    x = kernel.initial_state(noises())
    end = RK45(kernel=kernel)(DATA, x)
    sigma = torch.full((5,), at(kernel.sigma, 1e-3), dtype=torch.float64)
    assert RK45(kernel=kernel, denoise_final=True)(DATA, x).equal(DATA(end, sigma))


def test_it_integrates_towards_noise_too() -> None:
    kernel = VP()
    tight = {"rtol": 1e-9, "atol": 1e-9}
    x = DATA.noisy(3, at(kernel.sigma, 0.1))
    noisy = rk45(DATA, x, kernel, t_start=0.1, t_end=0.9, **tight).x
    torch.testing.assert_close(noisy, DATA.flow(x, at(kernel.sigma, 0.1), at(kernel.sigma, 0.9)), rtol=1e-7, atol=1e-7)
    back = rk45(DATA, noisy, kernel, t_start=0.9, t_end=0.1, **tight).x
    torch.testing.assert_close(back, x, rtol=1e-7, atol=1e-7)


def test_the_tableau_is_consistent() -> None:
    assert [sum(row) for row in A] == pytest.approx(C)
    assert sum(E) == pytest.approx(0)
    for power in range(1, 5):  # the weights of the solution integrate t^power exactly, up to order 5
        assert sum(b * c**power for b, c in zip(A[-1], (0.0, *C[:-1]), strict=True)) == pytest.approx(1 / (power + 1))


def test_values_that_are_not_finite_name_their_row() -> None:
    def broken(x: Tensor, sigma: Tensor) -> Tensor:
        x0 = DATA(x, sigma)
        x0[2] = torch.where(sigma[2] < 5, torch.nan, x0[2])
        return x0

    sampler = make_sampler("rk45", VP())
    with pytest.raises(IntegrityError, match=r"row 2 of the batch became NaN or infinite near t = 0\.\d+"):
        sampler(broken, VP().initial_state(noises()))


def test_a_denoiser_with_a_pole_is_given_up() -> None:
    def pole(x: Tensor, sigma: Tensor) -> Tensor:
        return DATA(x, sigma) + 1 / (sigma - 5).reshape(-1, 1, 1, 1)

    with pytest.raises(IntegrityError, match=r"row \d of the batch needs steps shorter than floats can express"):
        make_sampler("rk45", VP())(pole, VP().initial_state(noises()))
