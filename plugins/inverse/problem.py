"""The problem "inverse": solvers over the models of a run, observations for its noises, truth and measurement beside.

What was asked is checked in the order of what it costs: which parts were given, names and options of operator and
solver, the models' cards; then torch is imported, and the images are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo_plugins.inverse.catalogue import ChosenOperator, choose_operator
from reprozoo_plugins.inverse.solving import DEFAULT_SOLVER, SolvingZoo

from reprozoo import UsageError
from reprozoo.zoo.cards import canonical_digest

if TYPE_CHECKING:
    from reprozoo_plugins.inverse.sources import Observations

    from reprozoo.maps.conditions import Conditions
    from reprozoo.measures.problems import Posed, Reference

TRUTH_MEASURES = ("psnr", "mean_abs")


def pose(question: Any, zoo: Any, specs: Sequence[str], conditions: Conditions, *, offline: bool = False) -> Posed:
    """The run that was asked for as an inverse problem; see ``measures.problems.Problem``.

    Args:
        question: with ``inverse``, ``observation``, ``observation_noise`` and ``solver``; and with ``seed`` and
            ``noise``, since noise in observations has the seed of the run's noises.
        zoo: where models are resolved.
        specs: of the models and baselines.
        conditions: besides the observations.
        offline: fetch nothing.

    Raises:
        UsageError: only a part of a problem, an unknown name or option, a model without a denoiser, or a problem that
            does not fit the models.
        PluginError: no operator or no solver is installed.
        UnavailableError, IntegrityError: the observed data set cannot be had.
    """
    solving, chosen, shapes = _checked(question, zoo, specs, offline=offline)
    solver = question.solver or DEFAULT_SOLVER

    from reprozoo_plugins.inverse.sources import observe

    from reprozoo.measures.problems import Posed

    noise_std = question.observation_noise
    observed = observe(
        question.observation, chosen.make(shapes[0]), noise_std=noise_std,
        seed=_seed(question) if noise_std else None, beside=conditions, offline=offline,
    )  # fmt: skip
    title = f"{question.inverse} of {question.observation}{f', noise {noise_std:g}' if noise_std else ''}, by {solver}"
    givers = tuple(_givers(chosen, str(question.observation), zoo))
    return Posed(solving, observed, (_truth(observed), _measurement(observed)), title, givers)


def check(question: Any, zoo: Any, specs: Sequence[str], *, offline: bool = False) -> None:
    """Refuse what ``pose`` would, as far as names, options and cards say: without torch, and with nothing fetched.

    Raises:
        UsageError, PluginError: as ``pose``.
    """
    _checked(question, zoo, specs, offline=offline)


def _checked(
    question: Any, zoo: Any, specs: Sequence[str], *, offline: bool
) -> tuple[SolvingZoo, ChosenOperator, list[tuple[int, int, int]]]:
    """The zoo with the solver, the operator, and the shapes of the models' images."""
    _check_whole(question)
    solving = SolvingZoo(zoo, question.solver or DEFAULT_SOLVER)
    chosen = choose_operator(question.inverse, zoo.plugins)
    if not specs:
        raise UsageError("an inverse problem is solved by models, and none was given; leave out --inverse, or name one")
    return solving, chosen, [solving.check(spec, offline=offline).image_shape for spec in specs]


def _check_whole(question: Any) -> None:
    """Refuse a part of a problem."""
    if question.inverse is None:
        for name in ("observation", "observation_noise", "solver"):
            if getattr(question, name):
                words = name.replace("_", " ")
                raise UsageError(f"the {words} belongs to an inverse problem: say which, e.g. --inverse inpaint-16")
        raise UsageError("an inverse problem needs an operator: --inverse inpaint-16, or grayscale")
    if question.observation is None:
        raise UsageError("an inverse problem needs images to observe: --observation photo.png, or cifar10:test")


def _seed(question: Any) -> int:
    """That of the run's noises."""
    from reprozoo import NoiseFile

    noise = question.noise
    source = NoiseFile(noise) if isinstance(noise, str | Path) else noise
    return int((question if source is None else source).seed)


def _truth(observed: Observations) -> Reference:
    """The images that were observed."""
    from reprozoo.measures.problems import Reference

    return Reference("truth", f"truth {observed.digest}", observed.truths, observed.truths, TRUTH_MEASURES)


def _measurement(observed: Observations) -> Reference:
    """What was measured of them."""
    from reprozoo_plugins.inverse.misfit import Misfit

    from reprozoo.maps.images import to_uint8
    from reprozoo.measures.problems import Reference

    return Reference(
        "observation",
        f"observation {canonical_digest(observed.identity())}",
        lambda indices: observed.measurements(indices).numpy(),
        lambda indices: to_uint8(observed.pictures(indices)).numpy(),
        (Misfit(observed.operator),),
    )


def _givers(operator: ChosenOperator, observation: str, zoo: Any) -> Iterator[Mapping[str, str]]:
    """The plugins that operator and observed data set come from; the solver's is in each model's facts."""
    from reprozoo.zoo.datasets import dataset_giver

    yield operator.plugin.provenance(f"operator {operator.text}")
    name = observation.partition(":")[0]
    if not Path(observation).exists() and (giver := dataset_giver(name, registry=zoo.registry)):
        yield giver.provenance(f"data set {name}")
