"""From a question to its answer: take sides, pair their images, measure each pair, summarise."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reprozoo.base.errors import UsageError
from reprozoo.engine.baselines import Baseline, baselines_of
from reprozoo.engine.cautions import cautions_about_scores, cautions_about_sides, check_canary
from reprozoo.engine.checking import (
    Materials,
    Specs,
    Workplace,
    check_question,
    is_problem,
    map_specs,
    measure_classes,
    problem_part,
)
from reprozoo.engine.measuring import Pass, measure_all
from reprozoo.engine.naming import is_folder, labels_of
from reprozoo.engine.objects import object_recipe
from reprozoo.engine.pairings import NEAREST, NEAREST_OTHER, REPEAT, SAME, SHUFFLED, Groups
from reprozoo.engine.plan import Planned, Taken
from reprozoo.engine.provenance import (
    Givers,
    descriptor_record,
    environment,
    moment,
    noise_record,
    plugins_used,
    resolved_question,
)
from reprozoo.engine.question import GENERALIZE, SAMPLE, SCORE, Question, default_of
from reprozoo.engine.result import Comparison, Role
from reprozoo.engine.sampling import sample_models
from reprozoo.engine.scoring import Thresholds, facts_of, measurement, paired_tests
from reprozoo.engine.setup import Setup, fitted_to, make_setup
from reprozoo.engine.sides import (
    Side,
    check_sizes,
    folder_side,
    image_loader,
    read_side_images,
    reference_side,
    shared_indices,
)
from reprozoo.engine.store import runs_of
from reprozoo.engine.training_set import TrainingSet, data_side, training_set
from reprozoo.maps.condition import EMPTY
from reprozoo.maps.contract import NoiseToImageMap
from reprozoo.measures.base import Measure
from reprozoo.measures.descriptors import Descriptor, load_descriptor
from reprozoo.measures.problems import Posed


def answer(question: Question, materials: Materials | None = None, place: Workplace | None = None) -> Comparison:
    """Answer a question: what the store holds is not made again, and the same question asked again samples nothing.

    Raises:
        UsageError: the question cannot be answered as it is.
        IntegrityError: NaN images, a damaged store, or models of different weights with bit-identical images.
        PartialError: disk or memory is full; the same call continues.
        PluginError, UnavailableError, ContractError: a model cannot be had, or broke its contract.
    """
    started = time.perf_counter()
    materials, place = materials or Materials(), place or Workplace()
    check_question(question, materials, place)
    measures = _measures(question, materials, place)  # what cannot be had is said before anything is sampled
    run = take_sides(question, materials, place)
    thresholds = Thresholds(question.threshold, prompted=_prompted(run.setup))
    groups = Groups.of(run.setup.indices, run.setup.conditions)
    plan = [*_plan(run, measures), *_reference_plan(run, measures)]
    found = measure_all(run.sides, plan, run.setup.indices, groups, run.setup.store, run.setup.progress)
    return _result(question, materials, run, found, groups, thresholds, started)


def images_by_noise(question: Question, materials: Materials, place: Workplace) -> tuple[Side, Sequence[int]]:
    """The one side of a question without measures, and the indices of its noises."""
    check_question(question, materials, place)
    run = take_sides(question, materials, place)
    return run.sides[0], run.setup.indices


@dataclass(frozen=True)
class Run:
    """A question with its sides taken.

    Attributes:
        sides: models, baselines, then data and references.
        baselines: positions of models that each baseline is compared with, by its own position.
        noise_shape: of one noise; None where no side has noise.
        references: by position, the names or measures that are taken against it.
    """

    setup: Setup
    sides: list[Side]
    baselines: Mapping[int, Sequence[int]]
    givers: Givers
    posed: Posed | None = None
    data: TrainingSet | None = None
    noise_shape: tuple[int, ...] | None = None
    references: Mapping[int, Sequence[str | Measure]] | None = None

    @property
    def models(self) -> list[int]:
        return [i for i, side in enumerate(self.sides) if side.record.role == "model"]

    @property
    def datas(self) -> list[int]:
        return [i for i, side in enumerate(self.sides) if side.record.role == "data"]


# --- sides -----------------------------------------------------------------------------------------------------------


def take_sides(question: Question, materials: Materials, place: Workplace) -> Run:
    """Every side of a question, its images made.

    Raises:
        ReprozooError: as ``answer``.
    """
    zoo = place.with_zoo()
    setup = make_setup(question, materials, place)
    posed = _posed(question, materials, zoo, setup, place)
    if posed is not None:
        zoo, setup = posed.zoo, replace(setup, conditions=posed.conditions)
    specs = place.resolved_by(zoo)
    labels = dict(zip(labels_of(question.sides), question.sides, strict=True))
    folders = _folders(labels, materials)
    if folders:
        setup = replace(setup, indices=_indices_of(folders, question))
    recipes = _recipes(labels, folders, question, materials, setup, specs)
    setup = fitted_to(list(recipes.values()), setup)
    check_sizes(_shapes(labels, folders, recipes))
    sides, baselines, shape = _sampled(labels, folders, recipes, question, setup, specs)
    data = None
    if question.task == GENERALIZE:
        data = training_set(sides[0], question, registry=getattr(zoo, "registry", None), offline=place.offline)
        sides.append(data_side(data))
    given = posed.references if posed else ()
    references = {len(sides) + k: reference.measures for k, reference in enumerate(given)}
    sides += [reference_side(reference, sides[0].record.image_shape) for reference in given]
    return Run(setup, _told_apart(sides), baselines, Givers.of(zoo), posed, data, shape, references)


def _told_apart(sides: Sequence[Side]) -> list[Side]:
    """The sides with labels of their own, whatever a model, a baseline or a data set is called."""
    labels = labels_of([side.label for side in sides])
    return [side.with_label(label) for side, label in zip(sides, labels, strict=True)]


def _posed(question: Question, materials: Materials, zoo: Any, setup: Setup, place: Workplace) -> Posed | None:
    """The question as a problem poses it; None where it is none."""
    if not is_problem(question):
        return None
    specs = list(map_specs(question, materials).values())
    asked = replace(question, seed=setup.noise.seed) if materials.noise is not None else question
    posed: Posed = problem_part(zoo, "load")(asked, zoo, specs, setup.conditions, offline=place.offline)
    return posed


def _folders(labels: Mapping[str, str], materials: Materials) -> dict[str, tuple[Side, list[int]]]:
    """Sides of images that are there already, and their indices."""
    found = {}
    for label, spec in labels.items():
        given = materials.sides.get(spec, spec)
        given = given.numpy(force=True) if isinstance(given, torch.Tensor) else given
        if isinstance(given, Path | np.ndarray) or (isinstance(given, str) and is_folder(given)):
            found[label] = folder_side(read_side_images(given), str(spec), label)
    return found


def _indices_of(folders: Mapping[str, tuple[Side, list[int]]], question: Question) -> list[int]:
    """The indices that all folders have, as far as they are asked for."""
    shared = shared_indices({label: indices for label, (_, indices) in folders.items()})
    if question.task == SCORE:
        return shared
    there = [index for index in shared if index >= question.first]
    name, asked = next(iter(folders)), question.num_samples
    if not there:
        raise UsageError(f"{name} has indices up to {shared[-1]}, and --first is {question.first}")
    if asked > len(there) and asked != default_of("num_samples"):
        raise UsageError(f"{name} has {len(there):,} of the images asked for, and {asked:,} are asked for; lower -n")
    return there[:asked]


def _recipes(
    labels: Mapping[str, str],
    folders: Mapping[str, Any],
    question: Question,
    materials: Materials,
    setup: Setup,
    specs: Specs,
) -> dict[str, Any]:
    """By label, the recipes of sides that have to be sampled; functions come last, since others know their noise."""
    options = {"device": setup.device, "dtype": question.dtype}
    objects = {label: spec for label, spec in labels.items() if _is_object(materials.sides.get(spec, spec))}
    found = {}
    for label, spec in labels.items():
        if label not in folders and label not in objects:
            found[label] = specs.recipe(materials.sides.get(spec, spec), **options)
    shape = next((recipe.noise_shape for recipe in found.values()), getattr(setup.noise, "shape", None))
    condition = next(iter(setup.conditions.every()), EMPTY)
    maps_first = sorted(objects, key=lambda label: not isinstance(materials.sides[objects[label]], NoiseToImageMap))
    for label in maps_first:
        found[label] = object_recipe(label, materials.sides[objects[label]], shape, condition)
        shape = shape or found[label].noise_shape
    return {label: found[label] for label in labels if label in found}


def _shapes(
    labels: Mapping[str, str], folders: Mapping[str, tuple[Side, list[int]]], recipes: Mapping[str, Any]
) -> dict[str, Sequence[int]]:
    """By label, the shape of an image."""
    there = {label: side.record.image_shape for label, (side, _) in folders.items()}
    return {label: there.get(label) or list(recipes[label].image_shape) for label in labels}


def _is_object(given: Any) -> bool:
    return not isinstance(given, str | Path | np.ndarray | torch.Tensor)


def _sampled(
    labels: Mapping[str, str],
    folders: Mapping[str, tuple[Side, list[int]]],
    recipes: Mapping[str, Any],
    question: Question,
    setup: Setup,
    specs: Specs,
) -> tuple[list[Side], dict[int, Sequence[int]], tuple[int, ...] | None]:
    """Models in the order given, then baselines; which models each is compared with; the shape of the noise."""
    options = {"device": setup.device, "dtype": question.dtype}
    found: list[Baseline] = []
    if recipes and question.task not in (GENERALIZE, SAMPLE):
        found = baselines_of(question.baselines, list(recipes.values()), specs, setup, **options)
    floor = min(question.noise_floor, len(setup.indices)) if question.task not in (GENERALIZE, SAMPLE) else 0
    every = [*recipes.values(), *(baseline.recipe for baseline in found)]
    names = [*recipes, *(baseline.recipe.display_id for baseline in found)]
    roles: list[Role] = [*["model"] * len(recipes), *["baseline"] * len(found)]  # type: ignore[list-item]
    repeats = [floor] * len(recipes) + [0] * len(found)
    made = sample_models(every, names, setup, repeats=repeats, roles=roles) if every else []
    by_label = {label: side for label, (side, _) in folders.items()} | dict(zip(recipes, made, strict=False))
    models = [by_label[label] for label in labels]
    place_of = {label: i for i, label in enumerate(labels)}
    sampled = [place_of[label] for label in recipes]
    against: dict[int, Sequence[int]] = {
        len(models) + k: [sampled[i] for i in baseline.against] for k, baseline in enumerate(found)
    }
    shape = next((tuple(recipe.noise_shape) for recipe in every), None)
    return [*models, *made[len(recipes) :]], against, shape


# --- plan -----------------------------------------------------------------------------------------------------------


def _measures(question: Question, materials: Materials, place: Workplace) -> list[Taken]:
    """The measures of a question, those of features once for each descriptor."""
    zoo = place.with_zoo()
    found = []
    descriptors = _descriptors(question, materials, place, zoo)
    for kind in measure_classes(question, getattr(zoo, "plugins", None)):
        if kind.reads == "features":
            found += [Taken(kind(), descriptor, question.mirror) for descriptor in descriptors]
        else:
            found.append(Taken(kind()))
    return found


def _descriptors(question: Question, materials: Materials, place: Workplace, zoo: Any) -> list[Descriptor]:
    registry, plugins = getattr(zoo, "registry", None), getattr(zoo, "plugins", None)
    return [
        materials.descriptors.get(name)
        or load_descriptor(name, registry=registry, plugins=plugins, offline=place.offline, threads=place.threads)
        for name in dict.fromkeys(question.descriptor)
    ]


def _plan(run: Run, measures: Sequence[Taken]) -> list[Planned]:
    """Which sides are measured with which, and how."""

    def taken(pairing: str) -> list[Taken]:
        return [m for m in measures if pairing in m.measure.pairings()]

    plan = []
    if not run.datas:
        pairs = list(combinations(run.models, 2))
        plan += [Planned(SAME, a, b, taken(SAME)) for a, b in pairs]
        if len(run.setup.indices) > 1:
            plan += [Planned(SHUFFLED, a, b, taken(SHUFFLED)) for a, b in pairs]
    plan += [Planned(REPEAT, i, i, taken(REPEAT)) for i in run.models if run.sides[i].repeats]
    plan += [Planned(SAME, b, i, taken(SAME)) for b, models in run.baselines.items() for i in models]
    for data in run.datas:
        plan += [Planned(NEAREST, i, data, taken(NEAREST)) for i in run.models]
        plan += [Planned(NEAREST_OTHER, data, data, taken(NEAREST_OTHER))]
    return [planned for planned in plan if planned.measures]


def _reference_plan(run: Run, measures: Sequence[Taken]) -> list[Planned]:
    """Every model against what its problem gives, by the measures that the problem names or makes."""
    by_name = {m.measure.name: m for m in measures}
    plan = []
    for position, wanted in (run.references or {}).items():
        chosen = [
            by_name[m] if isinstance(m, str) else Taken(m) for m in wanted if not isinstance(m, str) or m in by_name
        ]
        sampled = [*run.models, *run.baselines]
        plan += [Planned(SAME, i, position, tuple(chosen)) for i in sampled]
    return plan


# --- result ---------------------------------------------------------------------------------------------------------


def _result(
    question: Question,
    materials: Materials,
    run: Run,
    found: Pass,
    groups: Groups,
    thresholds: Thresholds,
    started: float,
) -> Comparison:
    sides = [
        side.with_digest(digest) if side.record.role in ("model", "baseline") else side
        for side, digest in zip(run.sides, found.digests, strict=True)
    ]
    check_canary(sides)
    labels = [side.label for side in sides]
    taken = {item.taken.id: item.taken for item in found.found}
    facts = {name: facts_of(t, thresholds) for name, t in taken.items()}
    measurements = [measurement(item, facts[item.taken.id], labels, groups) for item in found.found]
    descriptors = {t.descriptor.id: t.descriptor for t in taken.values() if t.descriptor is not None}
    models = [sides[i].label for i in run.models]
    setup, records = run.setup, [side.record for side in sides]
    return Comparison(
        question=resolved_question(question, materials),
        sides=records,
        measures=list(facts.values()),
        measurements=measurements,
        tests=paired_tests(measurements, models),
        indices=[list(run) for run in runs_of(setup.indices)],
        noise=noise_record(setup, run.noise_shape) if run.noise_shape else {},
        conditions=setup.conditions.record(),
        condition_names=groups.names(),
        descriptors=[descriptor_record(d, thresholds) for d in descriptors.values()],
        data=run.data.record if run.data else {},
        problem=run.posed.title if run.posed else "",
        environment=environment(setup.device),
        plugins=plugins_used(
            records,
            list(descriptors.values()),
            run.givers.of_measures(t.measure.name for t in taken.values()),
            run.posed.plugins if run.posed else (),
            run.data.plugins if run.data else (),
        ),
        warnings=[
            *found.notes,
            *(run.data.warnings if run.data else ()),
            *cautions_about_sides(sides),
            *cautions_about_scores(measurements, count=len(setup.indices), noise=run.noise_shape is not None),
        ],
        image_loader=image_loader(sides),
        **moment(started),
    )


def _prompted(setup: Setup) -> bool:
    return any(condition.prompt is not None for condition in setup.conditions.every())
