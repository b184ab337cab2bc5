"""Recipes with a solver over them: identity, what they refuse, and the exact posterior of Gaussian data."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from reprozoo_plugins.inverse.catalogue import choose_solver, make_operator
from reprozoo_plugins.inverse.solving import SolverRecipe, SolvingZoo
from reprozoo_plugins.theory.gaussian import Gaussian
from reprozoo_plugins.theory.posterior import PosteriorGain
from torch import Tensor

from reprozoo import __version__
from reprozoo.base.errors import ContractError, PluginError, UsageError
from reprozoo.diffusion.denoisers import DenoiserMap
from reprozoo.diffusion.observations import Observation
from reprozoo.maps.condition import Condition
from reprozoo.maps.contract import NoiseToImageMap
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.zoo.plugins import Option, SolverSpec
from reprozoo.zoo.resolving import content_digests, default_zoo

IMAGES = (3, 32, 32)
THEIRS = {"name": "theirs", "distribution": "theirs", "version": "1", "gave": "solver dps"}


def observation(name: str = "inpaint-16") -> Observation:
    operator = make_operator(name, IMAGES)
    truth = torch.tanh(NoiseBank(3).noise([0], IMAGES))
    return Observation(operator.forward(truth)[0], operator)


def test_identity_is_model_solver_and_every_option() -> None:
    zoo = SolvingZoo(default_zoo())
    first = zoo.resolve("theory-gaussian")
    assert first.identity() == SolvingZoo(default_zoo(), "dps+steps=100").resolve("gaussian-cifar10").identity()
    solvers = ("dps+steps=10", "dps+zeta=0.4", "dps+norm=plain", "dps+update=ddpm", "projection", "gaussian-posterior")
    others = [SolvingZoo(default_zoo(), solver).resolve("theory-gaussian").identity() for solver in solvers]
    others += [zoo.resolve("theory-gaussian+flow=sampler").identity(), zoo.resolve("tiny-edm").identity()]
    others += [replace(first, solver=replace(first.solver, output_version=2)).identity()]
    assert all(other != first.identity() for other in others)
    assert all(one != two for i, one in enumerate(others) for two in others[:i])


def test_a_model_may_have_a_precision_of_its_own() -> None:
    assert SolvingZoo(default_zoo(), "dps").resolve("tiny-edm+dtype=bf16").base.dtype == "bfloat16"


def test_a_recipe_is_plain_data_that_says_what_it_is() -> None:
    recipe = SolvingZoo(default_zoo(), "dps+steps=10").resolve("tiny-edm")
    assert pickle.loads(pickle.dumps(recipe)).identity() == recipe.identity()
    assert (recipe.display_id, recipe.noise_shape, recipe.image_shape, recipe.num_classes) == (
        "tiny-edm", IMAGES, IMAGES, None,
    )  # fmt: skip
    described = recipe.facts()
    assert described["solver"] == {"name": "dps", **recipe.options}
    assert "sampler" not in described
    assert described["other_plugins"][-1]["gave"] == "solver dps"
    assert recipe.memory > 1


def test_a_spec_may_name_its_own_solver() -> None:
    recipe = SolvingZoo(default_zoo(), "dps+steps=10").resolve("theory-gaussian+flow=sampler+solver=gaussian-posterior")
    assert recipe.solver.name == "gaussian-posterior"
    assert recipe.base.spec == "theory-gaussian+flow=sampler"
    assert recipe.display_id == "theory-gaussian+flow=sampler+solver=gaussian-posterior"


def test_a_spec_may_have_options_of_its_own_solver() -> None:
    zoo = SolvingZoo(default_zoo(), "dps+steps=10")
    recipe = zoo.resolve("tiny-edm+dtype=bf16+solver=dps+zeta=0.1+steps=5")
    assert (recipe.options["zeta"], recipe.options["steps"]) == (0.1, 5)
    assert (recipe.base.spec, recipe.base.dtype) == ("tiny-edm+dtype=bf16", "bfloat16")
    assert zoo.resolve("tiny-edm+solver=dps").options["steps"] == 100  # its own defaults, not the run's
    behind = zoo.resolve("theory-gaussian+solver=gaussian-posterior+flow=sampler+estimate=mean")
    assert (behind.base.options["flow"], behind.options) == ("sampler", {"estimate": "mean"})
    alone = SolvingZoo(default_zoo(), "dps+zeta=0.1+steps=5").resolve("tiny-edm+dtype=bf16")
    assert alone.identity() == recipe.identity()  # one question, one key


def test_keys_are_those_of_the_first_version() -> None:
    """Images that were stored when this plugin was called dps are found again."""
    solver = SolvingZoo(default_zoo()).resolve("theory-gaussian").identity()["solver"]
    assert solver["plugin"] == {"name": "dps", "distribution": "reprozoo", "version": __version__, "gave": "solver dps"}
    options = {
        "steps": 100, "zeta": None, "update": "dpm-solver", "order": None, "norm": "squared", "scale": "data",
        "schedule": "constant", "data_std": None, "clip": False,
    }  # fmt: skip
    rest = {name: value for name, value in solver.items() if name != "plugin"}
    assert rest == {"name": "dps", "options": options, "digests": {}, "output_version": 1}
    exact = SolvingZoo(default_zoo(), "gaussian-posterior").resolve("theory-gaussian").identity()["solver"]
    assert exact["plugin"]["name"] == "theory"
    theirs = replace(SolvingZoo(default_zoo()).resolve("theory-gaussian"), plugin={**THEIRS, "name": "inverse"})
    assert theirs.identity()["solver"]["plugin"]["name"] == "inverse"


def test_offline_reaches_the_data_of_a_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def digest(name: str, split: str | None = None, *, offline: bool = False) -> str:
        asked.append((name, split, offline))
        return "0" * 64

    monkeypatch.setattr("reprozoo.zoo.datasets.dataset_digest", digest)
    zoo = SolvingZoo(default_zoo())
    options = {"prior": Option("dataset", "a data set"), "split": Option(str, "of it", "test")}
    spec = SolverSpec("learnt", "", f"{__name__}:broken", options)
    zoo.solver = replace(zoo.solver, spec=spec, options={"prior": "cifar10", "split": "test"})
    for offline in (True, False):
        assert zoo.resolve("theory-gaussian", offline=offline).digests == {"prior": "0" * 64}
    assert asked == [("cifar10", "test", True), ("cifar10", "test", False)]


def test_content_of_an_option_counts_and_not_its_place(tmp_path: Path) -> None:
    recipe = SolvingZoo(default_zoo()).resolve("theory-gaussian")
    for name, content in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / name).write_text(content)
    options = {"prior": Option("file", "a file")}
    identities = []
    for name in "abc":
        chosen = {"prior": str(tmp_path / name)}
        solver = replace(recipe.solver, options=options)
        digests = content_digests(options, chosen, {})
        identities.append(replace(recipe, solver=solver, options=chosen, digests=digests).identity())
    assert identities[0] == identities[1] != identities[2]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("cd", "cd has no denoiser of pixels"),
        ("dit-xl-2-256", "dit-xl-2-256 has no denoiser of pixels"),
        ("tiny-edm+steps=5", r"\+steps is for the model's sampler, .* its name: tiny-edm\+solver=dps\+steps=5$"),
        ("tiny-edm+rho=5", r"\+rho is for the model's sampler, .* the solver dps has: steps, zeta, "),
        ("tiny-edm+steps=5+solver=dps", r"\+steps is for the model's sampler"),
        ("tiny-edm+solver=projection+zeta=1", r"\+solver=projection: there is no option 'zeta'; it has: steps, order"),
        ("tiny-edm+solver=dps+zetta=1", "no option 'zetta' .did you mean 'zeta'"),
        ("tiny-edm+solver=dps+zeta=x", "zeta=x: expected a number"),
        ("tiny-edm+solver=dsp", "no solver is called 'dsp' .did you mean 'dps'"),
        ("tiny-edn", "did you mean 'tiny-edm'"),
    ],
)
def test_models_that_cannot_be_solved(spec: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        SolvingZoo(default_zoo()).resolve(spec, offline=True)


@pytest.mark.parametrize(
    ("solver", "sentence"),
    [
        ("dsp", "no solver is called 'dsp' .did you mean 'dps'..; there are: dps"),
        ("dps+zetta=1", "no option 'zetta' .did you mean 'zeta'"),
        ("dps+zeta=x", "expected a number"),
        ("dps+norm=cubed", "expected one of squared, plain"),
        ("dps+zeta=-1", "expected zeta to be at least 0"),
        ("dps+data_std=0", "expected data_std to be more than 0"),
        ("projection+steps=0", "expected steps to be at least 1"),
    ],
)
def test_solvers_that_do_not_exist(solver: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        choose_solver(solver)


class NoSolvers:
    solvers: dict[str, Any] = {}  # noqa: RUF012  # what the loader has where nothing is registered


def test_no_solver_at_all() -> None:
    with pytest.raises(PluginError, match="no plugin provides a solver"):
        choose_solver("dps", NoSolvers())  # type: ignore[arg-type]


def test_conditions_are_checked_before_loading() -> None:
    recipe = SolvingZoo(default_zoo()).resolve("theory-gaussian")
    recipe.check_conditions([Condition(observation=observation())])
    for wrong, sentence in (
        ([], "needs an observation for every sample"),
        ([Condition(observation=observation(), class_label=3)], "would ignore the class label"),
        ([Condition(observation=observation(), prompt="a cat")], "would ignore the prompt"),
    ):
        with pytest.raises(UsageError, match=sentence):
            recipe.check_conditions(wrong)


def broken(base: DenoiserMap, options: dict[str, Any]) -> NoiseToImageMap:
    raise RuntimeError("no luck")


def forgetful(base: DenoiserMap, options: dict[str, Any]) -> NoiseToImageMap:
    return base


@pytest.mark.parametrize(
    ("function", "sentence"),
    [("broken", "could not be set up over theory-gaussian: RuntimeError: no luck"), ("forgetful", "does not require")],
)
def test_solvers_that_break_their_contract(function: str, sentence: str) -> None:
    recipe = SolvingZoo(default_zoo()).resolve("theory-gaussian")
    other = SolverSpec("other", "", f"{__name__}:{function}")
    with pytest.raises(ContractError, match=sentence):
        SolverRecipe(recipe.spec, recipe.base, other, {}, recipe.plugin).load()


def test_the_posterior_is_for_gaussian_data() -> None:
    with pytest.raises(UsageError, match=r"for Gaussian data \(theory-gaussian\) alone, and tiny-edm is none"):
        SolvingZoo(default_zoo(), "gaussian-posterior").resolve("tiny-edm").load()


# --- the exact posterior ----------------------------------------------------------------------------------------------

SMALL = (3, 4, 4)
DIM = 48


def small_gaussian() -> Gaussian:
    vectors, _ = torch.linalg.qr(NoiseBank(1).noise(range(20), (DIM,)).double().T)
    values = torch.linspace(0.1, 1.5, 20, dtype=torch.float64)
    return Gaussian(NoiseBank(1).noise([99], (DIM,))[0].double(), vectors, values, 0.05)


def matrix(name: str) -> Tensor:
    """(measurements, DIM): the operator written out."""
    identity = torch.eye(DIM, dtype=torch.float64).unflatten(1, SMALL)
    return make_operator(name, SMALL).forward(identity).flatten(1).T


@pytest.mark.parametrize("name", ["inpaint-2", "super-resolution-2", "grayscale", "gaussian-blur"])
def test_the_gain_is_that_of_the_information_form(name: str) -> None:
    """Precisions add: (C^-1 + A^T A / s^2)^-1, and the mean is that times C^-1 m + A^T y / s^2."""
    prior, a, noise_std = small_gaussian(), matrix(name), 0.3
    y = a @ (prior.mean + 0.7) + 0.1
    precision = torch.linalg.inv(prior.covariance())
    covariance = torch.linalg.inv(precision + a.T @ a / noise_std**2)
    mean = covariance @ (precision @ prior.mean + a.T @ y / noise_std**2)
    operator = make_operator(name, SMALL)
    found = PosteriorGain(prior, operator, noise_std).given(y.reshape(1, *operator.measurement_shape))
    torch.testing.assert_close(found.mean[0], mean)
    torch.testing.assert_close(found.covariance(), covariance)


@pytest.mark.parametrize("name", ["inpaint-2", "super-resolution-2", "grayscale"])
def test_without_noise_every_sample_fits_the_measurement(name: str) -> None:
    prior, operator = small_gaussian(), make_operator(name, SMALL)
    y = operator.forward(torch.tanh(NoiseBank(2).noise([0], SMALL)).double())
    posterior = PosteriorGain(prior, operator, 0.0).given(y)
    samples = posterior.flow(80 * NoiseBank(3).noise(range(5), (DIM,)).double(), torch.full((5,), 80.0).double())
    seen = operator.forward(samples.unflatten(1, SMALL))
    torch.testing.assert_close(seen, y.expand_as(seen), rtol=0, atol=1e-5)  # sqrt of the smallest variance kept
    assert (samples - posterior.mean).abs().max() > 0.1


def test_the_posterior_of_no_information_is_the_prior() -> None:
    prior, operator = small_gaussian(), make_operator("inpaint-2", SMALL)
    y = operator.forward(torch.zeros(1, *SMALL, dtype=torch.float64))
    found = PosteriorGain(prior, operator, 1e6).given(y)
    torch.testing.assert_close(found.mean[0], prior.mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.covariance(), prior.covariance(), atol=1e-6, rtol=0)
