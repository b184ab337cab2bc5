"""Inverse problems: models and conditions of a run turned into solvers and observations, and how well they did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.engine.results import OBSERVATION, TRUTH, ModelRun, Reconstruction
from reprozoo.engine.sampling import ImageRows, Subject
from reprozoo.engine.scoring import ERROR_EDGES, distribution
from reprozoo.engine.store import SHARD_ROWS
from reprozoo.inverse import DEFAULT_SOLVER, Observations, SolvingZoo, make_operator, observe, operator_giver
from reprozoo.maps.conditions import Conditions
from reprozoo.maps.images import from_uint8, to_uint8
from reprozoo.measures import data_misfits, psnr
from reprozoo.zoo.datasets import dataset_giver

PSNR_EDGES = tuple(float(i) for i in range(101))


def pose(
    zoo: Any,
    specs: Sequence[str],
    conditions: Conditions,
    *,
    inverse: str | None,
    observation: str | Path | None,
    observation_noise: float = 0.0,
    solver: str | None = None,
    offline: bool = False,
) -> tuple[Any, Conditions]:
    """The zoo and the conditions of a run; as they are where there is no inverse problem.

    Args:
        zoo: where models are resolved.
        specs: of the models.
        conditions: besides the observations.
        inverse: spec of the operator; None for no inverse problem.
        observation: what is observed, as ``inverse.observe`` takes it.
        observation_noise: std of its noise, in units of images in [-1, 1].
        solver: spec of the solver; ``dps`` by default.

    Raises:
        UsageError: only a part of a problem, a model without a denoiser, or a problem that does not fit the models.
    """
    solving = problem_zoo(
        zoo, inverse=inverse, observation=observation, observation_noise=observation_noise, solver=solver
    )
    if inverse is None or observation is None:
        return zoo, conditions
    cards = [solving.check(spec, offline=offline) for spec in specs]
    operator = make_operator(inverse, cards[0].image_shape, plugins=solving.plugins)
    observed = observe(observation, operator, noise_std=observation_noise, beside=conditions, offline=offline)
    return solving, observed


def problem_zoo(
    zoo: Any,
    *,
    inverse: str | None,
    observation: str | Path | None,
    observation_noise: float,
    solver: str | None,
) -> Any:
    """The zoo that puts a problem's solver over its models; the zoo itself where there is no problem.

    Raises:
        UsageError: only a part of a problem, or an unknown solver.
    """
    if inverse is None:
        for name, given in (("observation", observation), ("observation noise", observation_noise), ("solver", solver)):
            if given:
                raise UsageError(f"the {name} belongs to an inverse problem: say which, e.g. --inverse inpaint-16")
        return zoo
    if observation is None:
        raise UsageError("an inverse problem needs images to observe: --observation photo.png, or cifar10:test")
    return SolvingZoo(zoo, solver or DEFAULT_SOLVER)


def problem_settings(
    inverse: str | None, observation: str | Path | None, observation_noise: float, solver: str | None
) -> dict[str, Any]:
    """What a result records of the problem; empty where there is none."""
    if inverse is None:
        return {}
    noise = {"observation_noise": observation_noise} if observation_noise else {}
    return {"inverse": inverse, "observation": str(observation), **noise, "solver": solver or DEFAULT_SOLVER}


def problem_plugins(zoo: Any, inverse: str | None, observation: str | Path | None) -> Iterator[Mapping[str, str]]:
    """The plugins that the operator and the observed data set come from; the solver's is in each model's record."""
    if inverse is None:
        return
    if giver := operator_giver(inverse, plugins=zoo.plugins):
        yield giver.provenance(f"operator {inverse}")
    name = str(observation).partition(":")[0]
    if not Path(str(observation)).exists() and (giver := dataset_giver(name, registry=zoo.registry)):
        yield giver.provenance(f"data set {name}")


def reconstructed(
    runs: Sequence[ModelRun], subjects: Sequence[Subject], indices: Sequence[int], conditions: Conditions
) -> list[ModelRun]:
    """The runs with the distances of their images to truth and measurement, where there are observations.

    Args:
        subjects: the images of each run.
        conditions: of the noises.
    """
    if not isinstance(conditions, Observations):
        return list(runs)
    return [
        replace(run, reconstruction=_reconstruction(subject.images, indices, conditions))
        for run, subject in zip(runs, subjects, strict=True)
    ]


def observed_rows(conditions: Conditions) -> dict[str, ImageRows]:
    """Truth and measurement as images, under the names that results give them; empty where there are none."""
    if not isinstance(conditions, Observations):
        return {}
    return {OBSERVATION: _Pictures(conditions), TRUTH: _Truths(conditions)}


class _Truths:
    """The images that were observed, by noise index."""

    key = TRUTH

    def __init__(self, observations: Observations) -> None:
        self.observations = observations

    def rows(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        return self.observations.truths(rows)


class _Pictures(_Truths):
    """The measurements as pictures."""

    key = OBSERVATION

    def rows(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        return to_uint8(self.observations.pictures(rows)).numpy()


def _reconstruction(images: ImageRows, indices: Sequence[int], observations: Observations) -> Reconstruction:
    """One pass over the images, in memory that does not grow."""
    closeness, misfits = [], []
    for start in range(0, len(indices), SHARD_ROWS):
        block = indices[start : start + SHARD_ROWS]
        found = torch.from_numpy(images.rows(block))
        closeness.append(psnr(found, torch.from_numpy(observations.truths(block))))
        measured = observations.operator.forward(from_uint8(found))
        misfits.append(data_misfits(measured, observations.measurements(block)))
    return Reconstruction(
        psnr=distribution(torch.cat(closeness), PSNR_EDGES), misfit=distribution(torch.cat(misfits), ERROR_EDGES)
    )
