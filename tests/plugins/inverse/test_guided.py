"""DPS against the original code, against exact posteriors of Gaussian data, and against what it promises per sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from reprozoo_plugins.inverse.catalogue import make_operator
from reprozoo_plugins.inverse.guidance import Guidance, estimate_and_gradient
from reprozoo_plugins.inverse.guided import PosteriorSampling, load_posterior_sampling, load_projection
from reprozoo_plugins.inverse.units import Units, units_of
from reprozoo_plugins.inverse.updates import Ancestral, ancestral_steps, dpm_solver_steps
from reprozoo_plugins.theory.adapter import TheoryMap
from reprozoo_plugins.theory.gaussian import Gaussian
from reprozoo_plugins.theory.posterior import GaussianPosteriorMap
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.denoisers import DenoiserMap
from reprozoo.diffusion.kernels import EDM, VE, VP, DiscreteVP, Kernel, RectifiedFlow, SubVP, at, x0_from_eps
from reprozoo.diffusion.observations import LinearOperator, Observation, ObservedBatch
from reprozoo.diffusion.samplers import make_sampler
from reprozoo.maps.condition import Condition
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.testing import assert_map_contract
from reprozoo.zoo.plugins import installed_plugins
from tests.families import relative
from tests.plugins.inverse.original import SHAPE, eps_network
from tests.seeded import Golden

KERNELS: list[Kernel] = [VP(), SubVP(), VE(), EDM(), RectifiedFlow()]
DIM = math.prod(SHAPE)


class OriginalDenoiser(DenoiserMap):
    """The golden file's network as a denoiser: a discrete variance-preserving model of 1000 linear betas."""

    def __init__(self) -> None:
        kernel = DiscreteVP()
        sampler = make_sampler("ddim", kernel)
        super().__init__(noise_shape=SHAPE, image_shape=SHAPE, kernel=kernel, sampler=sampler)
        self.network = eps_network()

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        t = self.kernel.time(sigma)
        eps = self.network(x * self.kernel.alpha(t).reshape(-1, 1, 1, 1), (1000 * t - 1).round())
        return x0_from_eps(x, sigma, eps)


def defaults(solver: str, **given: Any) -> dict[str, Any]:
    """The options of a solver, with those that are given."""
    options = installed_plugins().solvers[solver].value.options
    return {name: option.default for name, option in options.items()} | given


def observed(truth: Tensor, operator: LinearOperator, noise_std: float = 0.0) -> Condition:
    return Condition(observation=Observation(operator.forward(truth[None])[0].float(), operator, noise_std))


def gaussian_map(gaussian: Gaussian, kernel: Kernel | None = None) -> TheoryMap:
    kernel = kernel or EDM()
    sampler = make_sampler("dpm-solver", kernel, steps=20)
    return TheoryMap(
        gaussian.denoise, gaussian=gaussian, noise_shape=SHAPE, image_shape=SHAPE, kernel=kernel, sampler=sampler
    )


def image_gaussian(largest: float = 1.0, smallest: float = 1e-3) -> Gaussian:
    """Random directions with variances that fall as those of images do, around a small mean."""
    directions = NoiseBank(5).noise(range(DIM), (DIM,)).double()
    vectors, _ = torch.linalg.qr(directions)
    mean = 0.1 * NoiseBank(5).noise([DIM], (DIM,))[0].double()
    values = torch.logspace(math.log10(largest), math.log10(smallest), DIM, dtype=torch.float64)
    return Gaussian(mean, vectors, values)


# --- the original -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["hard", "clipped", "long"])
def test_the_original_loop_at_batch_1(case: str) -> None:
    """Its update without random numbers, on its levels: x_t there is alpha times the state here; float32 there."""
    golden = Golden.read("dps")
    facts = golden.facts["steps"][case]
    base = OriginalDenoiser()
    times = [(time + 1) / 1000 for time in facts["times"]]
    levels = [*(at(base.kernel.sigma, t) for t in times), 0.0]
    steps = [Ancestral(start, end) for start, end in pairwise(levels)]
    guidance = Guidance(zeta=facts["zeta"], norm="plain", schedule="constant", scale="vp")
    solved = PosteriorSampling(base, steps, guidance=guidance, clip=facts["clip"])
    truth = torch.tanh(NoiseBank(21).noise([1], SHAPE))[0]
    condition = observed(truth, make_operator(f"inpaint-{facts['width']}", SHAPE))
    with torch.no_grad():
        state = solved.integrate(NoiseBank(21).noise([0], SHAPE), [condition])
    assert relative(state, golden.tensors[case]) < 1e-4
    assert relative(state, truth[None]) > 1e-2  # it is no trivial case: the hidden part is the model's


# --- each sample by itself --------------------------------------------------------------------------------------------


class NetworkDenoiser(DenoiserMap):
    """Convolutions in float32, as real networks have them; ``centered`` False puts its data units at [0, 1]."""

    def __init__(self, kernel: Kernel, *, centered: bool = True) -> None:
        sampler = make_sampler("dpm-solver", kernel, steps=4)
        super().__init__(noise_shape=SHAPE, image_shape=SHAPE, kernel=kernel, sampler=sampler)
        self.network, self.centered = eps_network(), centered

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        images = (x if self.centered else 2 * x - 1).float()
        levels = (sigma if self.centered else 2 * sigma).float().reshape(-1, 1, 1, 1)
        bent = self.network(images / (1 + levels**2).sqrt(), torch.zeros(len(x))) / (1 + levels)
        estimate = (0.25 / (0.25 + levels**2) * images + 0.2 * bent).double()
        return estimate if self.centered else (estimate + 1) / 2

    def decode(self, x0: Tensor) -> Tensor:
        return x0 if self.centered else 2 * x0 - 1


def truths(count: int) -> Tensor:
    return torch.tanh(NoiseBank(8).noise(range(count), SHAPE))


@pytest.mark.parametrize("norm", ["plain", "squared"])
def test_gradients_do_not_leak_between_samples(norm: str) -> None:
    """The gradient of sample 0 is the same with neighbours of other operators as it is alone."""
    base, names = NetworkDenoiser(EDM()), ("inpaint-4", "gaussian-blur", "super-resolution-2", "inpaint-4")
    conditions = [observed(x, make_operator(n, SHAPE)) for x, n in zip(truths(4), names, strict=True)]
    observations = [condition.observation for condition in conditions]
    x = 0.7 * NoiseBank(9).noise(range(4), SHAPE).double()

    def gradient(rows: slice) -> Tensor:
        batch = ObservedBatch(observations[rows], SHAPE, torch.device("cpu"))
        denoiser = base.denoiser(conditions[rows])
        return estimate_and_gradient(denoiser, x[rows], 0.7, batch, Units(), norm=norm, clip=False)[1]

    together, alone = gradient(slice(0, 4)), gradient(slice(0, 1))
    assert together[0].abs().max() > 1e-3
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-6)


def test_a_norm_over_the_batch_would_leak() -> None:
    """What the original does with a batch, so that the test above is known to see it."""
    x = NoiseBank(9).noise(range(2), SHAPE).double().requires_grad_()
    both = torch.autograd.grad(torch.linalg.norm(x), x)[0][0]
    alone = torch.autograd.grad(torch.linalg.norm(x[0]), x)[0][0]
    assert (both - alone).abs().max() > 1e-3


def test_the_gradient_is_that_of_finite_differences() -> None:
    base, operator = gaussian_map(image_gaussian()), make_operator("motion-blur+length=3", SHAPE)
    condition = observed(truths(1)[0], operator)
    batch = ObservedBatch([condition.observation], SHAPE, torch.device("cpu"))
    denoiser, x = base.denoiser([condition]), NoiseBank(9).noise([0], SHAPE).double()
    gradient = estimate_and_gradient(denoiser, x, 0.8, batch, Units(), norm="squared", clip=False)[1]
    direction, step = NoiseBank(9).noise([1], SHAPE).double(), 1e-5

    def misfit(state: Tensor) -> Tensor:
        return batch.misfits(denoiser(state, torch.tensor([0.8], dtype=torch.float64))).square()

    slope = (misfit(x + step * direction) - misfit(x - step * direction)) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum().reshape(1), slope, rtol=1e-7, atol=0)


def test_a_perfect_fit_is_not_moved() -> None:
    """The plain norm has no derivative at 0; the step is 0 there and not NaN."""
    base, operator = gaussian_map(image_gaussian()), make_operator("inpaint-4", SHAPE)
    x, sigma = NoiseBank(9).noise([0], SHAPE).double(), torch.tensor([0.5], dtype=torch.float64)
    condition = observed(base.denoise(x, sigma, [])[0], operator)
    exact = ObservedBatch([condition.observation], SHAPE, torch.device("cpu"))
    exact.groups[0].measurements.copy_(operator.forward(base.denoise(x, sigma, [])))  # float64 where it is float32
    for norm in ("plain", "squared"):
        gradient = estimate_and_gradient(base.denoiser([]), x, 0.5, exact, Units(), norm=norm, clip=False)[1]
        assert torch.equal(gradient, torch.zeros_like(x))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("solver", ["dps", "projection"])
def test_the_contract_of_maps_over_every_kernel(solver: str, kernel: Kernel) -> None:
    load = load_posterior_sampling if solver == "dps" else load_projection
    solved = load(NetworkDenoiser(kernel), defaults(solver, steps=12))
    conditions = [observed(x, make_operator("inpaint-4", SHAPE)) for x in truths(3)]
    assert_map_contract(solved, conditions)


def test_evaluations_are_counted_and_declared() -> None:
    for options, nfe, gradients in ((defaults("dps"), 100, 34), (defaults("dps", update="ddpm", steps=7), 7, 7)):
        base = NetworkDenoiser(VP())
        solved = load_posterior_sampling(base, options)
        calls = {True: 0, False: 0}
        original = base.denoise

        def counted(x: Tensor, sigma: Tensor, conditions: Any, original: Any = original, calls: Any = calls) -> Tensor:
            calls[x.requires_grad] += 1
            return original(x, sigma, conditions)

        base.denoise = counted  # type: ignore[method-assign]
        solved(NoiseBank(0).noise([0], SHAPE), [observed(truths(1)[0], make_operator("inpaint-4", SHAPE))])
        assert (solved.nfe, solved.gradient_nfe) == (nfe, gradients)
        assert (sum(calls.values()), calls[True]) == (nfe, gradients)


def test_units_of_pixels_in_0_1_change_nothing() -> None:
    """A network of pixels in [0, 1] is the same denoiser in other units, and so is what is made of it.

    Their kernels differ by the factor of the units, so that the levels are the same ones.
    """
    condition = observed(truths(1)[0], make_operator("inpaint-4", SHAPE), noise_std=0.1)
    noise = NoiseBank(0).noise([0], SHAPE)
    centered = NetworkDenoiser(EDM(sigma_min=0.02, sigma_max=40.0))
    pixels = NetworkDenoiser(EDM(sigma_min=0.01, sigma_max=20.0), centered=False)
    for options in (
        defaults("dps", steps=30),
        defaults("dps", steps=9, update="ddpm"),
        defaults("dps", steps=30, schedule="posterior"),
        defaults("dps", steps=30, clip=True),
    ):
        first, second = (
            load_posterior_sampling(base, options).integrate(noise, [condition]) for base in (centered, pixels)
        )
        # x = image / 2 + 1/2: the start differs by the offset 1/2, which the data's own spread hides at sigma 20
        torch.testing.assert_close(first, second, rtol=0, atol=0.02)
    assert units_of(pixels) == Units(2.0, -1.0)


# --- Gaussian data: the posterior is known ----------------------------------------------------------------------------


def distance(
    gaussian: Gaussian, operator: str, options: dict[str, Any], *, noise: Tensor, noise_std: float = 0.0
) -> float:
    """Of DPS to the exact posterior's images of the same noise, over that of the prior's mean to the posterior's.

    Without noise (zeros) both are means over all noises, because everything is linear.
    """
    base, measured = gaussian_map(gaussian), make_operator(operator, SHAPE)
    sigma = torch.tensor([80.0], dtype=torch.float64)
    truth = gaussian.flow(80 * NoiseBank(3).noise([7], (DIM,)).double(), sigma).reshape(SHAPE)
    conditions = [observed(truth, measured, noise_std)] * len(noise)
    found = load_posterior_sampling(base, options).integrate(noise, conditions)
    exact = GaussianPosteriorMap(base, gaussian, estimate="sample").integrate(noise, conditions)
    mean = GaussianPosteriorMap(base, gaussian, estimate="mean").integrate(noise[:1], conditions[:1])
    informed = (mean.flatten() - gaussian.mean).norm()
    return float((found - exact).norm() / math.sqrt(len(noise)) / informed)


def test_the_error_of_the_mean_falls_with_steps_and_zeta() -> None:
    """Measured, at 25, 50, 100, 200 evaluations: 0.23, 0.16, 0.10, 0.05 of what is to be learnt; by zeta from 0.1 to
    0.75 at 100: 0.29, 0.17, 0.10, 0.07. A correction at every step makes up for the small variance of each."""
    zeros, gaussian = torch.zeros(1, *SHAPE), image_gaussian()
    by_steps = [distance(gaussian, "inpaint-4", defaults("dps", steps=n), noise=zeros) for n in (25, 50, 100, 200)]
    assert all(1.3 < more / fewer < 2.2 for more, fewer in pairwise(by_steps))
    assert by_steps[-1] < 0.06
    zetas = (0.1, 0.25, 0.5, 0.75)
    by_zeta = [distance(gaussian, "inpaint-4", defaults("dps", zeta=zeta), noise=zeros) for zeta in zetas]
    assert by_zeta == sorted(by_zeta, reverse=True)
    assert by_zeta[0] > 4 * by_zeta[-1]


@pytest.mark.parametrize("operator", ["inpaint-4", "grayscale"])
def test_the_posterior_schedule_converges_to_the_exact_image_of_each_noise(operator: str) -> None:
    """Data of one std in every direction and a noisy observation: twice the steps, half the error (first order).

    Constant step sizes know nothing of the observation's noise and fit it: no number of steps helps them.
    """
    flat = torch.zeros(DIM, dtype=torch.float64)
    isotropic = Gaussian(flat, flat[:, None][:, :0], flat[:0], 0.25)
    noise, known = NoiseBank(0).noise(range(4), SHAPE), {"schedule": "posterior", "zeta": 1.0, "data_std": 0.5}
    errors = [
        distance(isotropic, operator, defaults("dps", steps=n, **known), noise=noise, noise_std=0.2)
        for n in (50, 100, 200)
    ]
    assert all(1.8 < fewer / more < 2.2 for fewer, more in pairwise(errors))
    assert errors[-1] < 0.025
    constant = [distance(isotropic, operator, defaults("dps", steps=n), noise=noise, noise_std=0.2) for n in (100, 200)]
    assert min(constant) > 0.4


def test_twice_zeta_above_1_is_unstable() -> None:
    """2 zeta |A A^T| is the length of a step in steps to the measurement: above 2 the misfit grows."""
    noise, operator = NoiseBank(0).noise([0], SHAPE), make_operator("inpaint-4", SHAPE)
    condition = observed(truths(1)[0], operator)

    def misfit(zeta: float) -> float:
        solved = load_posterior_sampling(gaussian_map(image_gaussian()), defaults("dps", zeta=zeta))
        return float(
            (operator.forward(solved.integrate(noise, [condition])) - condition.observation.measurement).norm()
        )

    assert misfit(0.5) < 1e-2
    assert misfit(1.2) > 1


# --- projection, and what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inpaint-4", "super-resolution-2", "grayscale"])
def test_projection_ends_on_the_measurement(name: str) -> None:
    """Up to the noise of the last level, sigma 0.002 times a few stds."""
    operator = make_operator(name, SHAPE)
    condition = observed(truths(1)[0], operator)
    solved = load_projection(NetworkDenoiser(EDM()), defaults("projection", steps=12))
    with torch.no_grad():
        image = solved.integrate(NoiseBank(0).noise([0], SHAPE), [condition])
    difference = operator.forward(image)[0] - condition.observation.measurement
    assert 0 < difference.abs().max() < 5 * 0.002


class Decoding(NetworkDenoiser):
    """A decoder that is more than a change of units."""

    def decode(self, x0: Tensor) -> Tensor:
        return torch.tanh(x0)


def test_what_cannot_be_solved_is_a_sentence() -> None:
    condition, noise = observed(truths(1)[0], make_operator("inpaint-4", SHAPE)), NoiseBank(0).noise([0], SHAPE)
    with pytest.raises(UsageError, match="decodes what its denoiser works on"):
        load_posterior_sampling(Decoding(EDM()), defaults("dps"))
    blurred = observed(truths(1)[0], make_operator("gaussian-blur", SHAPE))
    with pytest.raises(UsageError, match="projection needs an operator with A A"):
        load_projection(NetworkDenoiser(EDM()), defaults("projection", steps=4))(noise, [blurred])
    solved = load_posterior_sampling(NetworkDenoiser(EDM()), defaults("dps", steps=4))
    with pytest.raises(UsageError, match="needs an observation for every sample"):
        solved(noise)
    with pytest.raises(UsageError, match=r"expected an observation .* got 'a photo'"):
        solved(noise, [Condition(observation="a photo")])
    other = observed(torch.zeros(3, 16, 16), make_operator("inpaint-4", (3, 16, 16)))
    with pytest.raises(UsageError, match=r"of images of shape \(3, 16, 16\), the model makes \(3, 8, 8\)"):
        solved(noise, [other])
    assert solved(noise, [condition]).shape == (1, *SHAPE)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"schedule": "posterior", "norm": "plain"}, "schedule=posterior has its own step sizes"),
        ({"data_std": 0.5}, "for schedule=posterior alone"),
        ({"update": "ddpm", "order": 2}, "order is that of update=dpm-solver"),
    ],
)
def test_options_without_effect_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        load_posterior_sampling(NetworkDenoiser(EDM()), defaults("dps", **given))


def test_every_option_changes_the_image() -> None:
    base, noise = NetworkDenoiser(SubVP()), NoiseBank(0).noise([0], SHAPE)
    condition = observed(truths(1)[0], make_operator("inpaint-4", SHAPE))
    chosen: list[dict[str, Any]] = [
        {}, {"steps": 13}, {"zeta": 0.2}, {"order": 2}, {"norm": "plain"}, {"norm": "plain", "scale": "vp"},
        {"norm": "plain", "scale": "kernel"}, {"update": "ddpm"}, {"clip": True}, {"schedule": "posterior"},
        {"schedule": "posterior", "data_std": 0.5},
    ]  # fmt: skip
    with torch.no_grad():
        images = [
            load_posterior_sampling(base, defaults("dps", **({"steps": 12} | given))).integrate(noise, [condition])
            for given in chosen
        ]
    for i, first in enumerate(images):
        assert all(not torch.equal(first, second) for second in images[:i])


def test_vp_scale_is_the_kernel_scale_of_a_vp_model() -> None:
    base, noise = NetworkDenoiser(VP()), NoiseBank(0).noise([0], SHAPE)
    condition = observed(truths(1)[0], make_operator("inpaint-4", SHAPE))
    with torch.no_grad():
        first, second = (
            load_posterior_sampling(base, defaults("dps", steps=12, norm="plain", scale=scale)).integrate(
                noise, [condition]
            )
            for scale in ("vp", "kernel")
        )
    torch.testing.assert_close(first, second)


def test_steps_begin_and_end_where_the_samplers_do() -> None:
    for kernel in KERNELS:
        steps = dpm_solver_steps(kernel, evaluations=100, order=3)
        assert [1 + step.further_calls for step in steps] == [3] * 33 + [1]
        assert steps[0].start == pytest.approx(at(kernel.sigma, kernel.t_max))
        assert all(first.end == second.start for first, second in pairwise(steps))
        assert ancestral_steps(kernel, evaluations=5)[-1].end == 0


def test_the_default_step_is_a_full_one_whatever_the_operator_weakens() -> None:
    """Means of 2×2 blocks have A A^T = I / 4: their gradient is a quarter, and the default step four times as long."""
    zeros, gaussian = torch.zeros(1, *SHAPE), image_gaussian()
    default, same, short = (
        distance(gaussian, "super-resolution-2", defaults("dps", **given), noise=zeros)
        for given in ({}, {"zeta": 2.0}, {"zeta": 0.5})
    )
    assert default == pytest.approx(same)
    assert default < 0.6 * short
