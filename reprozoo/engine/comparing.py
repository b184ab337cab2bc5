"""``compare``: several models on the same noises."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reprozoo.base.errors import UsageError
from reprozoo.engine.baselines import references
from reprozoo.engine.executors import Executor
from reprozoo.engine.judging import judge, make_rules
from reprozoo.engine.posing import observed_rows, pose, problem_plugins, problem_settings, reconstructed
from reprozoo.engine.progress import Progress
from reprozoo.engine.provenance import provenance, settings
from reprozoo.engine.results import Comparison
from reprozoo.engine.sampling import image_loader, labels_of, sample_models
from reprozoo.engine.setup import descriptor_of, fitted_to, make_setup, zoo_or_default
from reprozoo.engine.store import Store, runs_of
from reprozoo.maps.condition import Condition
from reprozoo.maps.conditions import Conditions
from reprozoo.maps.noise.bank import NoiseSource
from reprozoo.measures.descriptors import Descriptor

MAE_THRESHOLD = 15.0  # of 255; the paper's as remembered, not verified
NOISE_FLOOR = 64


def compare(
    specs: Sequence[str],
    *,
    num_samples: int = 1000,
    seed: int = 0,
    noise: NoiseSource | str | Path | None = None,
    conditions: Conditions | Condition | Sequence[Condition] = (),
    descriptor: str | Descriptor = "sscd",
    threshold: float | None = None,
    mae_threshold: float = MAE_THRESHOLD,
    mirror: bool = False,
    inverse: str | None = None,
    observation: str | Path | None = None,
    observation_noise: float = 0.0,
    solver: str | None = None,
    baselines: Sequence[str] | None = None,
    noise_floor: int = NOISE_FLOOR,
    device: str = "auto",
    dtype: str = "float32",
    batch_size: int | None = None,
    threads: int | None = None,
    offline: bool = False,
    zoo: Any = None,
    store: Store | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Run models on the same noises and score every pair of them.

    What the store holds is not made again: a second call with the same arguments samples nothing and loads no model.

    Args:
        specs: map specs, two or more.
        num_samples: noises, of indices 0 to num_samples - 1, or the first ones of a noise file.
        seed: of the noises, unless ``noise`` is given.
        noise: a source, or a file written by ``export_noise``.
        conditions: one for all noises, several taken in turn (noise i gets conditions[i % len(conditions)]), or a
            source such as ``RandomClasses()``.
        descriptor: by name, or an object.
        threshold: similarity above which two images count as the same; by default the descriptor's own, which is
            another one for images that follow a prompt.
        mae_threshold: mean absolute error, of 255, below which they do.
        mirror: take the larger of the similarities with the second model's image and with its mirror image.
        inverse: what is measured of an image, e.g. "inpaint-16": the models are asked for images that fit observations.
        observation: what is observed, as ``inverse.observe`` takes it: one image for all noises, or one for each.
        observation_noise: std of the noise in an observation, in units of images in [-1, 1].
        solver: how a denoiser fits its images to an observation; "dps" by default.
        baselines: map specs compared with every model; None for the Gaussian theory of each model's training data,
            where the registry has it; empty for none.
        noise_floor: noises on which each model is run a second time, at another batch size; 0 for none.
        device, dtype: where and how precisely the networks run.
        batch_size: the default depends on the size of the images and the kind of device alone.
        threads: CPU threads of the descriptor.
        offline: fetch nothing.
        zoo: where specs are resolved; ``zoo.default_zoo()`` by default.
        store: ``Store()`` by default.
        executor: who samples; this process by default.
        progress: called with a ``ProgressEvent`` after each step.

    Returns:
        The scores; ``Comparison.images`` reads the images from the store.

    Raises:
        UsageError: fewer than two models, models that do not share noise and image shapes, or a value out of range.
        IntegrityError: NaN images, a damaged store, or models of different weights with bit-identical images.
        PartialError: disk or memory is full; the same call continues.
        PluginError, UnavailableError, ContractError: a model cannot be had, or broke its contract.
    """
    started = time.perf_counter()
    _check_request(specs, noise_floor)
    setup = make_setup(
        num_samples=num_samples, seed=seed, noise=noise, conditions=conditions, device=device, batch_size=batch_size,
        store=store, executor=executor, progress=progress,
    )  # fmt: skip
    zoo, posed = pose(
        zoo_or_default(zoo), specs, setup.conditions, inverse=inverse, observation=observation,
        observation_noise=observation_noise, solver=solver, offline=offline,
    )  # fmt: skip
    setup, options = replace(setup, conditions=posed), {"device": setup.device, "dtype": dtype, "offline": offline}
    recipes = [zoo.resolve(spec, **options) for spec in specs]
    setup = fitted_to(recipes, setup)
    rules = make_rules(
        descriptor_of(descriptor, zoo, offline, threads), threshold, mae_threshold, conditions=setup.conditions,
        mirror=mirror,
    )  # fmt: skip
    found, notes = references(baselines, recipes, zoo, setup, **options)
    every = [*recipes, *(reference.recipe for reference in found)]
    repeats = [min(noise_floor, len(setup.indices))] * len(recipes) + [0] * len(found)
    subjects = sample_models(every, labels_of([recipe.display_id for recipe in every]), setup, repeats=repeats)
    extra = [(subject, reference.against) for subject, reference in zip(subjects[len(recipes) :], found, strict=True)]
    verdict = judge(
        subjects[: len(recipes)], extra, setup.indices, rules, setup.store,
        conditions=setup.conditions, progress=progress,
    )  # fmt: skip
    runs = reconstructed(verdict.runs, subjects, setup.indices, setup.conditions)
    return Comparison(
        models=runs[: len(recipes)],
        pairs=verdict.pairs,
        baselines=[replace(b, run=run) for b, run in zip(verdict.baselines, runs[len(recipes) :], strict=True)],
        tests=verdict.tests,
        settings=settings(
            specs, setup, rules, descriptor=descriptor, dtype=dtype,
            mae_threshold=mae_threshold, mirror=mirror, noise_floor=noise_floor,
            baselines=[reference.recipe.display_id for reference in found], automatic_baselines=baselines is None,
            **problem_settings(inverse, observation, observation_noise, solver),
        ),
        indices=[list(run) for run in runs_of(setup.indices)],
        score_names=rules.score_names,
        warnings=[*notes, *verdict.warnings],
        image_loader=image_loader(subjects, observed_rows(setup.conditions)),
        **provenance(
            setup, recipes[0].noise_shape, rules, runs, started=started,
            others=problem_plugins(zoo, inverse, observation),
        ),
    )  # fmt: skip


def _check_request(specs: Sequence[str], noise_floor: int) -> None:
    if len(specs) < 2:
        raise UsageError(
            f"a comparison takes two or more models, got {len(specs)}; for one model against its data: generalize"
        )
    if noise_floor < 0:
        raise UsageError(f"the noise floor is measured on 0 or more noises, got {noise_floor}")
