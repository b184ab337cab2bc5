"""Kernels against their definitions, their inverses and finite differences; conversions against each other."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.kernels import (
    EDM,
    KERNELS,
    VE,
    VP,
    BetaSchedule,
    CosineVP,
    DiscreteVP,
    F_from_x0,
    Kernel,
    RectifiedFlow,
    SubVP,
    at,
    edm_preconditioning,
    eps_from_x0,
    flow_from_x0,
    kernel_from_config,
    score_from_x0,
    v_from_x0,
    x0_from_eps,
    x0_from_F,
    x0_from_flow,
    x0_from_score,
    x0_from_v,
)

ALL = [
    VP(),
    VP(beta_min=0.2, beta_max=15.0),
    SubVP(),
    CosineVP(),
    VE(),
    EDM(),
    RectifiedFlow(),
    DiscreteVP(),
    DiscreteVP(BetaSchedule("scaled-linear", 0.00085, 0.012)),
    DiscreteVP(tuple(np.linspace(1e-3, 0.2, 50).tolist())),
]
each_kernel = pytest.mark.parametrize("kernel", ALL, ids=lambda kernel: kernel.name)


def times(kernel: Kernel, count: int = 201) -> Tensor:
    """Times strictly inside the kernel's range, off the levels of the discrete ones."""
    inside = torch.linspace(0, 1, count + 2, dtype=torch.float64)[1:-1]
    return kernel.t_min + (kernel.t_max - kernel.t_min) * inside


@each_kernel
def test_time_inverts_sigma(kernel: Kernel) -> None:
    t = times(kernel)
    torch.testing.assert_close(kernel.time(kernel.sigma(t)), t, rtol=1e-11, atol=1e-13)  # float64, a few roundings
    assert at(kernel.time, at(kernel.sigma, kernel.t_max)) == pytest.approx(kernel.t_max, rel=1e-12)


@each_kernel
def test_noise_grows_and_signal_does_not(kernel: Kernel) -> None:
    t = times(kernel)
    assert (kernel.sigma(t).diff() > 0).all()
    assert (kernel.alpha(t).diff() <= 0).all()
    torch.testing.assert_close(kernel.std(t), kernel.alpha(t) * kernel.sigma(t), rtol=0, atol=0)


@each_kernel
def test_derivatives_are_those_of_the_functions(kernel: Kernel) -> None:
    t = times(kernel)
    step = 1e-7 * (kernel.t_max - kernel.t_min)
    ahead, behind = t + step, t - step

    def difference(values: Tensor, earlier: Tensor) -> Tensor:
        return (values - earlier) / (ahead - behind)

    # Central differences: rounding of about 1e-16 / 1e-7 of the value, so 1e-6 with room. A level of a discrete kernel
    # that falls between the two points would show as a larger error: ``times`` keeps away from them.
    log_alpha = difference(kernel.alpha(ahead).log(), kernel.alpha(behind).log())
    torch.testing.assert_close(kernel.dlog_alpha_dt(t), log_alpha, rtol=1e-6, atol=1e-7)
    sigma = difference(kernel.sigma(ahead), kernel.sigma(behind))
    torch.testing.assert_close(kernel.dsigma_dt(t), sigma, rtol=1e-6, atol=1e-7)


@each_kernel
def test_starting_state_has_the_std_of_the_prior(kernel: Kernel) -> None:
    noise = torch.linspace(-2, 2, 6, dtype=torch.float64).reshape(2, 3)
    x = kernel.initial_state(noise)
    torch.testing.assert_close(x * at(kernel.alpha, kernel.t_max), noise * kernel.prior_std, rtol=1e-14, atol=0)
    # The noise of a VP kernel's x_1 has std sqrt(1 - alpha(1)^2): short of 1 by 1e-4 at most, 3e-3 with 50 levels.
    assert at(kernel.std, kernel.t_max) == pytest.approx(kernel.prior_std, rel=3e-3)


@each_kernel
def test_config_round_trip(kernel: Kernel) -> None:
    text = json.dumps(kernel.config())
    again = kernel_from_config(json.loads(text))
    assert again == kernel
    assert hash(again) == hash(kernel)
    assert KERNELS[kernel.config()["name"]] is type(kernel)


def test_vp_is_variance_preserving_and_sub_vp_below() -> None:
    t = times(VP())
    assert VP().alpha(t).equal(SubVP().alpha(t))
    torch.testing.assert_close(VP().alpha(t) ** 2 + VP().std(t) ** 2, torch.ones_like(t), rtol=1e-14, atol=0)
    torch.testing.assert_close(SubVP().std(t), 1 - VP().alpha(t) ** 2, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        CosineVP().alpha(t) ** 2 + CosineVP().std(t) ** 2, torch.ones_like(t), rtol=1e-14, atol=0
    )


def test_known_values() -> None:
    assert at(VP().alpha, 1.0) == pytest.approx(math.exp(-0.25 * 19.9 - 0.05), rel=1e-15)
    assert at(VP().sigma, 1.0) == pytest.approx(math.sqrt(math.expm1(10.05)), rel=1e-14)  # 152, as EDM says of VP
    assert at(VP().sigma, 1e-3) == pytest.approx(math.sqrt(math.expm1(0.5 * 19.9e-6 + 0.1e-3)), rel=1e-15)
    assert at(VE().sigma, 0.0) == pytest.approx(0.01, rel=1e-14)
    assert at(VE().sigma, 1.0) == 50
    assert at(VE().sigma, 0.5) == pytest.approx(math.sqrt(0.5), rel=1e-14)  # the geometric mean
    assert at(EDM().sigma, 3.25) == 3.25
    assert (EDM().t_min, EDM().t_max, EDM().prior_std) == (0.002, 80, 80)
    for t, logsnr in ((0.0, 20), (0.5, 0), (1.0, -20)):
        assert -2 * math.log(at(CosineVP().sigma, t)) == pytest.approx(logsnr, abs=1e-9)
    assert at(RectifiedFlow().sigma, 0.75) == 3


def test_the_flow_starts_at_a_float32_time_of_one_and_a_finite_sigma() -> None:
    flow = RectifiedFlow()
    assert np.float32(flow.t_max) == 1
    assert math.isfinite(at(flow.sigma, flow.t_max))
    assert flow.alpha(torch.tensor(0.25)) + flow.std(torch.tensor(0.25)) == 1


def test_discrete_vp_is_its_definition() -> None:
    betas = np.linspace(1e-4, 0.02, 1000)  # DDPM
    levels = torch.arange(1, 1001, dtype=torch.float64) / 1000
    alpha_bar = np.cumprod(1 - betas)
    assert alpha_bar[-1] == pytest.approx(4.0358e-05, rel=1e-4)  # the published last value of this schedule
    kernel = DiscreteVP()
    assert (kernel.levels, kernel.t_min) == (1000, 1e-3)
    np.testing.assert_allclose(kernel.alpha(levels) ** 2, alpha_bar, rtol=1e-12)
    np.testing.assert_allclose(kernel.sigma(levels), np.sqrt((1 - alpha_bar) / alpha_bar), rtol=1e-11)
    between = times(kernel, 733)
    expected = np.interp(between.numpy(), levels.numpy(), 0.5 * np.log(alpha_bar))
    np.testing.assert_allclose(kernel.alpha(between).log(), expected, rtol=1e-12)
    assert at(kernel.sigma, 1.0) == pytest.approx(at(VP().sigma, 1.0), rel=0.05)  # the continuous limit, roughly


def test_discrete_vp_goes_on_outside_its_levels() -> None:
    kernel = DiscreteVP()
    first, second = (at(kernel.alpha, t) for t in (1e-3, 2e-3))
    expected = math.log(first) - 0.25 * (math.log(second) - math.log(first))
    assert math.log(at(kernel.alpha, 0.75e-3)) == pytest.approx(expected, rel=1e-10)
    assert at(kernel.time, at(kernel.sigma, 0.75e-3)) == pytest.approx(0.75e-3, rel=1e-9)


def test_discrete_vp_drops_levels_of_pure_noise_as_the_original_does() -> None:
    def bar(i: int) -> float:
        return math.cos((i / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = tuple(min(1 - bar(i + 1) / bar(i), 0.999) for i in range(1000))  # improved DDPM's cosine schedule
    kernel = DiscreteVP(betas)
    assert kernel.levels == 996  # LuChengTHU/dpm-solver@52bc3fbc NoiseScheduleVP('discrete', betas).total_N
    assert kernel.t_min == 1 / 996
    assert math.log(at(kernel.sigma, 1.0)) <= 5.1
    assert at(kernel.alpha, 1.0) == pytest.approx(math.sqrt(bar(996) / bar(0)), rel=1e-9)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"beta_min": 0.1}, "unknown kernel None; there are: cosine-vp, discrete-vp, edm"),
        ({"name": "sup-vp"}, r"unknown kernel 'sup-vp' \(did you mean 'sub-vp'\?\); there are"),
        ({"name": "vp", "beta_mim": 0.1}, r"no parameter 'beta_mim' \(did you mean 'beta_min'\?\); it has: beta_min"),
        ({"name": "rectified-flow", "shift": 3}, "no parameter 'shift'; it has: none"),
        ({"name": "vp", "beta_max": "20"}, "expected a number, got '20'"),
        ({"name": "vp", "beta_max": True}, "expected a number, got True"),
        ({"name": "vp", "beta_min": 20, "beta_max": 0.1}, "expected 0 < beta_min < beta_max, got beta_min=20"),
        ({"name": "edm", "sigma_min": 0}, "expected 0 < sigma_min < sigma_max"),
        ({"name": "ve", "sigma_max": math.inf}, "expected 0 < sigma_min < sigma_max"),
        ({"name": "cosine-vp", "logsnr_min": 30}, "expected logsnr_min < logsnr_max"),
        (
            {"name": "discrete-vp", "betas": {"shape": "linea"}},
            r"'linea' \(did you mean 'linear'\?\); there are: linear",
        ),
        ({"name": "discrete-vp", "betas": {"count": 10.5}}, "expected a whole number for count, got 10.5"),
        ({"name": "discrete-vp", "betas": {"steps": 10}}, "the betas of kernel discrete-vp has no parameter 'steps'"),
        ({"name": "discrete-vp", "betas": [0.1]}, "at least two betas"),
        ({"name": "discrete-vp", "betas": [0.1, 1.5]}, "each between 0 and 1"),
        ({"name": "discrete-vp", "betas": [0.99999, 0.99999]}, "fewer than two levels of noise"),
        ({"name": "discrete-vp", "betas": 0.1}, "expected a schedule of betas or a list"),
    ],
)
def test_a_config_that_makes_no_sense_is_a_sentence(config: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        kernel_from_config(config)


def test_integers_of_a_card_are_the_same_kernel() -> None:
    assert kernel_from_config({"name": "vp", "beta_max": 20}) == VP()
    assert kernel_from_config({"name": "vp", "beta_max": 20}).config() == VP().config()
    assert kernel_from_config({"name": "discrete-vp"}) == DiscreteVP()


# --- conversions ---------------------------------------------------------------------------------------------------

PAIRS = {
    "eps": (x0_from_eps, eps_from_x0),
    "score": (x0_from_score, score_from_x0),
    "v": (x0_from_v, v_from_x0),
    "F": (x0_from_F, F_from_x0),
    "flow": (x0_from_flow, flow_from_x0),
}


@pytest.fixture
def sample() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x0, eps, sigma and x of four images at four noise levels."""
    generator = torch.Generator().manual_seed(3)
    x0 = torch.rand(4, 3, 2, 2, generator=generator, dtype=torch.float64) * 2 - 1
    eps = torch.randn(4, 3, 2, 2, generator=generator, dtype=torch.float64)
    sigma = torch.tensor([0.02, 0.5, 3.0, 80.0], dtype=torch.float64)
    return x0, eps, sigma, x0 + sigma.reshape(4, 1, 1, 1) * eps


@pytest.mark.parametrize("name", PAIRS)
def test_conversions_invert_each_other(name: str, sample: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    x0, _, sigma, x = sample
    to_x0, from_x0 = PAIRS[name]
    torch.testing.assert_close(
        to_x0(x, sigma, from_x0(x, sigma, x0)), x0, rtol=0, atol=1e-12
    )  # 80 * 1e-16, a few times


def test_conversions_are_their_definitions(sample: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    x0, eps, sigma, x = sample
    level = sigma.reshape(4, 1, 1, 1)
    alpha = 1 / (1 + level**2).sqrt()
    near: Any = {"rtol": 1e-9, "atol": 1e-11}  # (x - x0) / sigma loses two digits at sigma = 0.02
    torch.testing.assert_close(eps_from_x0(x, sigma, x0), eps, **near)
    torch.testing.assert_close(score_from_x0(x, sigma, x0), -eps / level, **near)
    torch.testing.assert_close(v_from_x0(x, sigma, x0), alpha * eps - level * alpha * x0, **near)
    torch.testing.assert_close(flow_from_x0(x, sigma, x0), eps - x0, **near)
    c = edm_preconditioning(sigma, sigma_data=0.25)
    recombined = c.c_skip.reshape(4, 1, 1, 1) * x + c.c_out.reshape(4, 1, 1, 1) * F_from_x0(
        x, sigma, x0, sigma_data=0.25
    )
    torch.testing.assert_close(recombined, x0, **near)


def test_edm_preconditioning_at_sigma_data() -> None:
    c_skip, c_out, c_in, c_noise = edm_preconditioning(torch.tensor([0.5], dtype=torch.float64))
    assert c_skip.item() == pytest.approx(0.5)
    assert c_out.item() == pytest.approx(0.5 / math.sqrt(2))
    assert c_in.item() == pytest.approx(math.sqrt(2))
    assert c_noise.item() == pytest.approx(math.log(0.5) / 4)


def test_flow_and_v_are_defined_without_noise() -> None:
    x = torch.tensor([[1.0, -0.5]], dtype=torch.float64)
    zero = torch.zeros(1, dtype=torch.float64)
    assert x0_from_flow(x, zero, torch.full_like(x, 9.0)).equal(x)
    assert x0_from_v(x, zero, torch.full_like(x, 9.0)).equal(x)


def test_a_cosine_schedule_of_betas() -> None:
    """Equation 17 of arXiv:2102.09672: alpha_bar is a squared cosine, but for the last levels, whose beta is capped."""
    betas = BetaSchedule("cosine", 0.008, 0.999, 1000).values()
    assert float(betas.max()) == 0.999
    times = torch.arange(1, 900, dtype=torch.float64) / 1000
    expected = torch.cos((times + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert torch.allclose(torch.cumprod(1 - betas, 0)[:899], expected, rtol=1e-12, atol=0)
    kernel = kernel_from_config(
        {"name": "discrete-vp", "betas": {"shape": "cosine", "start": 0.008, "end": 0.999, "count": 1000}}
    )
    assert kernel_from_config(kernel.config()) == kernel
