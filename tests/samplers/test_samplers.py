"""What all samplers promise: counted evaluations, rows by themselves, no random numbers, sentences for bad options."""

import json
import math

import pytest
import torch
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.diffusion import schedules
from reprozoo.diffusion.kernels import EDM, VE, VP, CosineVP, DiscreteVP, Kernel, RectifiedFlow, SubVP, at
from reprozoo.diffusion.sampler_specs import BUILT_IN, SPACINGS, TIME_SPACINGS
from reprozoo.diffusion.samplers import CLASSES, ddim, euler, heun, karras_sigmas, make_sampler
from reprozoo.diffusion.sampling import FixedStepSampler, Sampler
from reprozoo.zoo.plugins import import_object
from tests.gaussian import Counting, Gaussian

DATA = Gaussian.random(rotated=False)  # elementwise, so that rows can be compared bit by bit
KERNELS = [VP(), SubVP(), CosineVP(), VE(), EDM(), RectifiedFlow(), DiscreteVP()]

FIXED = [
    ("euler", {}),
    ("euler", {"spacing": "time_uniform", "steps": 7}),
    ("heun", {}),
    ("heun", {"steps": 1}),
    ("heun", {"spacing": "logsnr", "steps": 5}),
    ("ddim", {"steps": 9}),
    ("ddim", {"steps": 4, "clip_x0": True}),
    ("dpm-solver", {}),
    ("dpm-solver", {"steps": 20, "spacing": "time_uniform", "t_end": 1e-4}),
    ("dpm-solver", {"steps": 11, "order": 2, "spacing": "time_quadratic", "denoise_final": True}),
    ("dpm-solver", {"steps": 6, "order": 1}),
    ("dpm-solver++", {}),
    ("dpm-solver++", {"steps": 5, "order": 3, "denoise_final": True}),
    ("dpm-solver++", {"steps": 12, "spacing": "karras", "sigma_max": 40.0}),
]
each_fixed = pytest.mark.parametrize(("name", "options"), FIXED, ids=lambda value: str(value))


def fixed(name: str, kernel: Kernel, **options: object) -> FixedStepSampler:
    sampler = make_sampler(name, kernel, **options)
    assert isinstance(sampler, FixedStepSampler)
    return sampler


def noises(count: int = 5) -> Tensor:
    return torch.randn(count, 1, 2, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@each_fixed
def test_evaluations_are_as_many_as_nfe_says(name: str, options: dict[str, object]) -> None:
    sampler = make_sampler(name, VP(), **options)
    counting = Counting(DATA)
    images = sampler(counting, VP().initial_state(noises()))
    assert counting.calls == sampler.nfe
    assert counting.rows == 5 * counting.calls
    assert images.shape == (5, 1, 2, 4)
    assert images.dtype == torch.float64
    assert images.isfinite().all()


def test_the_paper_s_numbers_of_evaluations() -> None:
    assert make_sampler("heun", EDM()).nfe == 35  # arXiv:2206.00364, CIFAR-10
    assert make_sampler("dpm-solver", VP(), steps=100).nfe == 100  # arXiv:2310.05264, appendix F
    assert make_sampler("rk45", VP()).nfe is None


@each_fixed
def test_a_row_does_not_depend_on_its_neighbours(name: str, options: dict[str, object]) -> None:
    sampler = make_sampler(name, VP(), **options)
    x = VP().initial_state(noises())
    before = x.clone()
    together = sampler(DATA, x)
    assert x.equal(before), "the sampler modified its input"
    for row in range(len(x)):
        assert sampler(DATA, x[row : row + 1])[0].equal(together[row])
    order = [4, 2, 0, 3, 1]
    assert sampler(DATA, x[order]).equal(together[order])


@each_fixed
def test_the_row_check_notices_a_denoiser_that_mixes_rows(name: str, options: dict[str, object]) -> None:
    sampler = make_sampler(name, VP(), **options)
    x = VP().initial_state(noises())
    together = sampler(lambda x, sigma: DATA(x, sigma) + 1e-6 * x.mean(), x)
    assert not sampler(lambda x, sigma: DATA(x, sigma) + 1e-6 * x.mean(), x[:1])[0].equal(together[0])


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_sampler_touches_the_global_random_state(name: str) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = make_sampler(name, VP())(DATA, VP().initial_state(noises()))
    assert torch.get_rng_state().equal(before)
    torch.manual_seed(8)
    assert make_sampler(name, VP())(DATA, VP().initial_state(noises())).equal(first)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_sampler_solves_every_kernel(name: str, kernel: Kernel) -> None:
    enough = {} if name == "rk45" else {"steps": 200}
    sampler = make_sampler(name, kernel, **enough, **({"spacing": "logsnr"} if name == "dpm-solver++" else {}))
    start = at(kernel.sigma, kernel.t_max)
    x = DATA.noisy(3, start)
    if isinstance(sampler, FixedStepSampler):
        end = float(sampler.sigmas[-1])
    else:
        end = at(kernel.sigma, sampler.config()["t_end"])
    # First-order methods of 200 steps are within 0.05 of images in [-2, 2], whatever the kernel; a wrong scale of the
    # state or of the noise would be off by its whole size. A schedule that begins at 80 skips what the exact flow does
    # above, a shift of the mean by less than 1 / 80.
    assert (sampler(DATA, x) - DATA.flow(x, start, end)).abs().max() < 0.05


@pytest.mark.parametrize("name", ["euler", "heun", "ddim"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_samplers_that_end_at_zero_end_at_zero(name: str, spacing: str) -> None:
    sigmas = fixed(name, VP(), steps=6, spacing=spacing).sigmas
    assert len(sigmas) == 7
    assert (sigmas.diff() < 0).all()
    assert sigmas[-1] == 0


def test_the_schedule_follows_the_kernel_s_range() -> None:
    assert fixed("heun", EDM()).config() == {
        "name": "heun",
        "steps": 18,
        "spacing": "karras",
        "sigma_min": 0.002,
        "sigma_max": 80.0,
        "rho": 7.0,
    }
    assert fixed("heun", VE()).sigmas[0] == 50
    assert fixed("heun", VP()).sigmas[0] == 80  # as EDM's script: the schedule's 80, not VP's 152
    assert fixed("heun", VP()).config()["sigma_min"] == at(VP().sigma, 1e-3)
    assert fixed("dpm-solver", VP()).sigmas[0] == at(VP().sigma, 1.0)


def test_times_that_are_sigmas_are_not_spaced_uniformly() -> None:
    for name in ("ddim", "dpm-solver++"):
        assert fixed(name, EDM()).config()["spacing"] == "karras"
        assert fixed(name, VP()).config()["spacing"] == "time_uniform"
        assert fixed(name, EDM(), spacing="time_uniform", steps=4, t_end=20.0).sigmas[1] == 65


def test_a_schedule_that_starts_lower_scales_the_state() -> None:
    kernel = EDM()
    seen: list[Tensor] = []

    def watching(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append(x / sigma.reshape(-1, 1, 1, 1))
        return DATA(x, sigma)

    make_sampler("heun", kernel, sigma_max=20.0)(watching, kernel.initial_state(noises()))
    torch.testing.assert_close(seen[0], noises(), rtol=1e-14, atol=0)


def test_euler_on_a_rectified_flow_is_euler_in_its_own_time() -> None:
    kernel, steps = RectifiedFlow(), 10
    noise = noises()
    state = noise.clone()
    for i in range(steps, 0, -1):
        t = min(i / steps, kernel.t_max)
        sigma = torch.full((len(noise),), t / (1 - t), dtype=torch.float64)
        x0 = DATA(state / (1 - t), sigma)
        velocity = (state - (1 - t) * x0) / t - x0
        state = state - velocity / steps
    images = make_sampler("euler", kernel, steps=steps, spacing="time_uniform")(DATA, kernel.initial_state(noise))
    torch.testing.assert_close(images, state, rtol=0, atol=1e-6)  # 1e9, the first sigma, has seven decimals left


def test_ddim_is_the_formula_of_progressive_distillation() -> None:
    # google-research@1d4d2f1a diffusion_distillation/dpm.py ddim_step, on the VP state z
    kernel, steps = CosineVP(), 4
    z = noises()
    for i in range(steps - 1, -1, -1):
        now, following = (torch.tensor(j / steps, dtype=torch.float64) for j in (i + 1, i))
        x0 = DATA(z / kernel.alpha(now), kernel.sigma(now).expand(len(z))).clamp(-1, 1)
        eps = (z - kernel.alpha(now) * x0) / kernel.std(now)
        z = x0 if i == 0 else kernel.alpha(following) * x0 + kernel.std(following) * eps
    images = make_sampler("ddim", kernel, steps=steps, clip_x0=True)(DATA, kernel.initial_state(noises()))
    torch.testing.assert_close(images, z, rtol=0, atol=1e-10)
    assert not images.equal(make_sampler("ddim", kernel, steps=steps)(DATA, kernel.initial_state(noises())))


def test_ddim_without_clipping_is_euler() -> None:
    sigmas = karras_sigmas(10, sigma_min=0.01, sigma_max=50.0)
    x = DATA.noisy(3, 50.0)
    assert ddim(DATA, x, sigmas).equal(euler(DATA, x, sigmas))


def test_a_step_to_zero_is_the_estimate_itself() -> None:
    x = DATA.noisy(3, 0.5)
    estimate = DATA(x, torch.full((3,), 0.5, dtype=torch.float64))
    assert euler(DATA, x, [0.5, 0.0]).equal(estimate)
    torch.testing.assert_close(heun(DATA, x, [0.5, 0.0]), estimate, rtol=0, atol=1e-15)


def test_denoise_final_is_the_estimate_at_the_end() -> None:
    x = VP().initial_state(noises())
    for name in ("dpm-solver", "dpm-solver++"):
        end = make_sampler(name, VP())(DATA, x)
        sigma = torch.full((5,), at(VP().sigma, 1e-3), dtype=torch.float64)
        assert make_sampler(name, VP(), denoise_final=True)(DATA, x).equal(DATA(end, sigma))


# --- options -------------------------------------------------------------------------------------------------------


@each_fixed
def test_config_is_resolved_json_and_builds_the_same_sampler(name: str, options: dict[str, object]) -> None:
    sampler = make_sampler(name, VP(), **options)
    config = json.loads(json.dumps(sampler.config()))
    assert config["name"] == name
    assert options.items() <= config.items()
    again = make_sampler(config.pop("name"), VP(), **config)
    assert again == sampler
    assert again.config() == sampler.config()


def test_rk45_config_is_resolved() -> None:
    expected = {"name": "rk45", "t_end": 1e-3, "rtol": 1e-5, "atol": 1e-5, "denoise_final": False}
    assert make_sampler("rk45", VP()).config() == expected
    assert make_sampler("rk45", EDM()).config()["t_end"] == 0.002


def test_whole_numbers_and_decimals_have_one_config() -> None:
    whole = make_sampler("heun", EDM(), sigma_max=50).config()
    assert json.dumps(whole) == json.dumps(make_sampler("heun", EDM(), sigma_max=50.0).config())


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_accepted_option_changes_what_runs(name: str) -> None:
    other = {
        "steps": 12,
        "order": 1,
        "spacing": "time_quadratic",
        "sigma_min": 0.05,
        "sigma_max": 30.0,
        "rho": 3.0,
        "t_end": 0.05,
        "rtol": 1e-3,
        "atol": 1e-3,
        "denoise_final": True,
        "clip_x0": True,
        "estimate": "image",
    }
    x = VP().initial_state(3 * noises())
    for option in BUILT_IN[name].options:
        base: dict[str, object] = {}
        if option in ("sigma_min", "sigma_max", "rho"):
            base = {"spacing": "karras"}
        if option == "t_end" and "spacing" in BUILT_IN[name].options:
            base = {"spacing": "time_uniform"}
        plain, changed = make_sampler(name, VP(), **base), make_sampler(name, VP(), **base, **{option: other[option]})
        assert plain.config() != changed.config()
        assert not plain(DATA, x).equal(changed(DATA, x)), f"{option} of {name} changes nothing"


@pytest.mark.parametrize("name", BUILT_IN)
def test_options_say_what_they_are(name: str) -> None:
    for option in BUILT_IN[name].options.values():
        assert option.kind in (int, float, bool, str)
        assert option.default is None or type(option.default) is option.kind
        assert option.help
        assert not option.choices or option.default is None or option.default in option.choices


def test_what_is_said_of_samplers_is_what_they_are() -> None:
    assert list(CLASSES) == list(BUILT_IN)
    for name, made in CLASSES.items():
        assert made.spec is BUILT_IN[name]
        assert import_object(made.spec.load) is made
        assert set(made.spec.options) == set(vars(make_sampler(name, VP()))) - {"kernel", "sigmas", "orders"}
    assert tuple(schedules.TIME_SPACINGS) == TIME_SPACINGS


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("huen", {}, r"unknown sampler 'huen' \(did you mean 'heun'\?\); there are: euler, heun, ddim, dpm-solver"),
        ("plms", {}, "unknown sampler 'plms'; there are: euler"),
        ("heun", {"step": 3}, r"sampler heun has no option 'step' \(did you mean 'steps'\?\); it has: steps, spacing"),
        ("rk45", {"steps": 3}, "sampler rk45 has no option 'steps'; it has: t_end, rtol, atol, denoise_final"),
        ("dpm-solver", {"rho": 3.0}, "sampler dpm-solver has no option 'rho'"),
        ("heun", {"steps": 0}, "expected steps to be at least 1 and finite, got 0"),
        ("heun", {"steps": 2.5}, "expected int for steps, got 2.5"),
        ("heun", {"steps": True}, "expected int for steps, got True"),
        ("heun", {"steps": None}, "expected int for steps, got None"),
        ("heun", {"sigma_min": "0.1"}, "expected float for sigma_min, got '0.1'"),
        ("heun", {"sigma_max": 0.0}, "expected sigma_max to be more than 0 and finite, got 0"),
        ("heun", {"sigma_max": math.nan}, "expected sigma_max to be more than 0 and finite, got nan"),
        ("heun", {"rho": math.inf}, "expected rho to be more than 0 and finite, got inf"),
        ("heun", {"sigma_min": 5.0, "sigma_max": 2.0}, "expected sigma_min < sigma_max, got 5 and 2"),
        ("heun", {"sigma_max": 200.0}, "expected sigma_max of at most 152.2, where kernel vp begins, got 200"),
        ("heun", {"spacing": "linear"}, "expected spacing to be one of karras, logsnr, time_uniform, time_quadratic"),
        ("heun", {"spacing": "logsnr", "rho": 3.0}, "rho has no effect with spacing=logsnr, which takes t_end"),
        ("heun", {"t_end": 0.1}, "t_end has no effect with spacing=karras, which takes sigma_min, sigma_max, rho"),
        ("ddim", {"clip_x0": 1}, "expected bool for clip_x0, got 1"),
        ("ddim", {"t_end": 1.0}, "expected t_end from 0.001 and below 1, the times of kernel vp, got 1"),
        ("dpm-solver", {"t_end": 0.0}, "expected t_end from 0.001 and below 1, the times of kernel vp, got 0"),
        ("dpm-solver", {"order": 4}, "expected order to be one of 1, 2, 3, got 4"),
        ("dpm-solver", {"spacing": "karras"}, "expected spacing to be one of logsnr, time_uniform, time_quadratic"),
        ("dpm-solver++", {"steps": 2, "order": 3}, "needs as many steps, got order=3, steps=2"),
        ("dpm-solver++", {"spacing": "karras", "denoise_final": True}, "already ends at sigma 0"),
        ("rk45", {"rtol": 1e-20}, "expected rtol to be at least 2.22045e-14 and finite"),
        ("rk45", {"atol": 0.0}, "expected atol to be more than 0"),
    ],
)
def test_a_request_that_makes_no_sense_is_a_sentence(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_sampler(name, VP(), **options)


def test_times_outside_a_discrete_kernel_are_refused() -> None:
    with pytest.raises(UsageError, match=r"expected t_end from 0\.001 and below 1, the times of kernel discrete-vp"):
        make_sampler("dpm-solver", DiscreteVP(), t_end=0.0)


@pytest.mark.parametrize(
    ("name", "options"), [("heun", {"spacing": "time_uniform"}), ("dpm-solver", {"spacing": "time_uniform"})]
)
def test_a_first_step_that_would_destroy_the_image_is_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"the first step, from sigma 1e\+09 to .* is too long for this method"):
        make_sampler(name, RectifiedFlow(), **options)
    make_sampler("euler", RectifiedFlow(), **options)


def test_samplers_are_frozen_and_hashable() -> None:
    sampler: Sampler = make_sampler("heun", EDM())
    with pytest.raises(AttributeError, match="a sampler cannot be changed; build another one with steps=3"):
        sampler.steps = 3  # type: ignore[attr-defined]
    assert hash(sampler) == hash(make_sampler("heun", EDM()))


@pytest.mark.parametrize("name", ["heun", "euler", "ddim"])
def test_levels_uniform_in_log_snr_end_before_no_noise(name: str) -> None:
    """Where the kernel goes down to no noise at all, whose log SNR is infinite."""
    sampler = make_sampler(name, RectifiedFlow(), steps=9, spacing="logsnr")
    assert sampler.sigmas[-1] == 0
    assert sampler.sigmas[-2] > 0
