"""``generalize``: one model against its training set."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.engine.cautions import FEW_SAMPLES
from reprozoo.engine.describing import describe_all
from reprozoo.engine.executors import Executor, Recipe
from reprozoo.engine.judging import Rules, make_rules
from reprozoo.engine.pixels import pass_over_pixels
from reprozoo.engine.progress import Meter, Progress
from reprozoo.engine.provenance import provenance, settings
from reprozoo.engine.results import Distribution, Generalization, ImageLoader, Neighbour, Proportion
from reprozoo.engine.sampling import ArrayRows, ImageRows, Subject, image_loader, sample_models
from reprozoo.engine.scoring import SIMILARITY_EDGES, distribution, proportion
from reprozoo.engine.setup import descriptor_of, fitted_to, make_setup, zoo_or_default
from reprozoo.engine.store import Store
from reprozoo.maps.condition import Condition
from reprozoo.maps.conditions import Conditions
from reprozoo.maps.noise.bank import NoiseSource
from reprozoo.measures import above, memorized, nearest, pixel_neighbours
from reprozoo.measures.descriptors import Descriptor
from reprozoo.zoo.datasets import ImageDataset, dataset_giver, load_dataset

RATIO_EDGES = tuple(i / 40 for i in range(41))
BLOCK_ROWS = 256
TRAIN_SUBSET = 1000
UNUSED_MAE_THRESHOLD = 15.0


def generalize(
    spec: str,
    dataset: str | Path | None = None,
    *,
    split: str | None = None,
    num_samples: int = 1000,
    seed: int = 0,
    noise: NoiseSource | str | Path | None = None,
    conditions: Conditions | Condition | Sequence[Condition] = (),
    descriptor: str | Descriptor = "sscd",
    threshold: float | None = None,
    device: str = "auto",
    dtype: str = "float32",
    batch_size: int | None = None,
    threads: int | None = None,
    offline: bool = False,
    zoo: Any = None,
    store: Store | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Generalization:
    """Find the training image nearest to each image of a model, by descriptor and by pixels.

    Args:
        spec: map spec.
        dataset: name, folder or file; by default the training data that the model's card names.
        split: of the data set; by default the card's where the card names the data set, "train" otherwise.
        num_samples, seed, noise, conditions, descriptor, threshold, device, dtype, batch_size, threads, offline, zoo,
            store, executor, progress: as in ``compare``.

    Returns:
        GL score, memorization ratio and neighbours; ``Generalization.images`` reads images of the model and of "train".

    Raises:
        UsageError: the card does not say what the model was trained on, or a value is out of range.
        UnavailableError, IntegrityError, PartialError, PluginError, ContractError: as in ``compare``.
    """
    started = time.perf_counter()
    setup = make_setup(
        num_samples=num_samples, seed=seed, noise=noise, conditions=conditions, device=device, batch_size=batch_size,
        store=store, executor=executor, progress=progress,
    )  # fmt: skip
    zoo = zoo_or_default(zoo)
    recipe = zoo.resolve(spec, device=setup.device, dtype=dtype, offline=offline)
    setup = fitted_to([recipe], setup)
    rules = make_rules(descriptor_of(descriptor, zoo, offline, threads), threshold, UNUSED_MAE_THRESHOLD)
    data = _training_set(recipe, dataset, split, registry=getattr(zoo, "registry", None), offline=offline)
    (subject,) = sample_models([recipe], [recipe.display_id], setup, repeats=[0])
    digests = pass_over_pixels([subject.images], setup.indices, []).digests
    run = replace(subject.run, images_sha256=digests[0])
    found = _search(subject, data.images, setup.indices, rules, setup.store, progress)
    return Generalization(
        model=run,
        **vars(found),
        train_count=len(data.images),
        dataset=data.record,
        settings=settings(
            [spec], setup, rules, descriptor=descriptor, dtype=dtype, dataset=data.name, split=data.split,
        ),
        score_names={
            "gl": f"gl[{rules.descriptor.id}, >{rules.threshold:g}]",
            "memorization": "memorization[l2 nearest/second < 1/3]",
        },
        warnings=[*_warnings(found, len(setup.indices), run.image_shape, data.images), *data.warnings],
        image_loader=_loader(subject, data.images),
        **provenance(setup, recipe.noise_shape, rules, [run], started=started, others=data.plugins),
    )  # fmt: skip


@dataclass(frozen=True)
class _TrainingSet:
    """What a model's images are compared with.

    Attributes:
        name, split: as it was asked for, or as the model's card says.
        plugins: those that gave it.
        warnings: sentences about it that a reader must see.
    """

    name: str
    split: str | None
    images: ImageDataset
    plugins: Sequence[Mapping[str, str]]
    warnings: list[str]

    @property
    def record(self) -> dict[str, Any]:
        """What a result says of it."""
        return {
            "id": self.name,
            "name": self.images.name,
            "split": self.split or "train",
            "count": len(self.images),
            "images_sha256": self.images.digest,
        }


def _training_set(
    recipe: Recipe, dataset: str | Path | None, split: str | None, *, registry: Any, offline: bool
) -> _TrainingSet:
    """The data set that was asked for, or that of the model's card."""
    training = recipe.describe().get("card", {}).get("training", {})
    name, split = (dataset, split) if dataset is not None else _named_by(training, split, recipe.display_id)
    images = load_dataset(name, split, registry=registry, offline=offline)
    giver = dataset_giver(name, registry=registry)
    plugins = [giver.provenance(f"data set {name}")] if giver else []
    return _TrainingSet(
        str(name), split, images, plugins, _other_images(training, split, images) if dataset is None else []
    )


@dataclass(frozen=True)
class _Found:
    """What the search found; fields as in ``Generalization``."""

    gl: Proportion
    memorization: Proportion | None
    similarity: Distribution
    distance_ratio: Distribution | None
    train: Distribution | None
    train_gl: Proportion | None
    neighbours: list[Neighbour]


def _search(
    subject: Subject, train: ImageDataset, indices: Sequence[int], rules: Rules, store: Store, progress: Progress | None
) -> _Found:
    train_rows = ArrayRows(train.images_u8, f"data set {list(train.images_u8.shape)} {train.digest}")
    wanted: list[tuple[str, ImageRows, Sequence[int]]] = [
        (subject.label, subject.images, indices),
        (train.name, train_rows, range(len(train))),
    ]
    features, train_features = describe_all(wanted, rules.descriptor, store, progress)
    best = nearest(features, train_features)
    values, places = best.similarity[:, 0], best.index[:, 0]
    ratios, copies = _pixel_search(subject.images, train, indices, progress)
    within = _within(train_features)
    return _Found(
        gl=proportion(~above(values, rules.threshold)),
        memorization=proportion(copies) if copies is not None else None,
        similarity=distribution(values, SIMILARITY_EDGES),
        distance_ratio=distribution(ratios, RATIO_EDGES) if ratios is not None else None,
        train=distribution(within, SIMILARITY_EDGES) if within is not None else None,
        train_gl=proportion(~above(within, rules.threshold)) if within is not None else None,
        neighbours=[
            Neighbour(int(index), int(place), float(value))
            for index, place, value in zip(indices, places, values, strict=True)
        ],
    )


def _pixel_search(
    images: ImageRows, train: ImageDataset, indices: Sequence[int], progress: Progress | None
) -> tuple[Tensor | None, Tensor | None]:
    """Distance ratios and which images are memorized; None where pixels cannot be compared."""
    if len(train) < 2 or images.rows(indices[:1]).shape[1:] != train.images_u8.shape[1:]:
        return None, None
    ratios, copies = [], []
    train_images = torch.from_numpy(train.images_u8)
    meter = Meter(progress, "scoring", len(indices))
    for start in range(0, len(indices), BLOCK_ROWS):
        block = indices[start : start + BLOCK_ROWS]
        found = pixel_neighbours(torch.from_numpy(images.rows(block)), train_images)
        ratios.append(found.ratio)
        copies.append(memorized(found))
        meter.add(len(block))
    return torch.cat(ratios), torch.cat(copies)


def _within(train_features: Tensor) -> Tensor | None:
    """Similarity of some training images to the nearest other one: what is usual within the set."""
    if len(train_features) < 2:
        return None
    chosen = torch.linspace(0, len(train_features) - 1, min(TRAIN_SUBSET, len(train_features))).round().long()
    found = nearest(train_features[chosen], train_features, k=2)
    own = found.index[:, 0] == chosen
    return torch.where(own, found.similarity[:, 1], found.similarity[:, 0])


def _warnings(found: _Found, count: int, image_shape: Sequence[int], train: ImageDataset) -> list[str]:
    said = []
    if count < FEW_SAMPLES:
        said.append(f"Only {count} noises were sampled: the intervals are wide; ask for 1000 or more (-n).")
    if found.memorization is None and len(train) < 2:
        said.append("No pixel distances: memorization is the ratio of two, and there is one training image.")
    elif found.memorization is None:
        size = "×".join(map(str, train.images_u8.shape[1:]))
        said.append(
            f"No pixel distances: the images are {'×'.join(map(str, image_shape))} and the training images {size}."
        )
    return said


def _other_images(training: Mapping[str, Any], split: str | None, train: ImageDataset) -> list[str]:
    """A set that a model made is made again where it is missing: by another version of that model, they are others."""
    recorded = training.get("images_sha256")
    if recorded in (None, train.digest) or split != training.get("split"):
        return []
    return [
        f"The card's training images have sha256 {recorded[:16]}…, those that were searched {train.digest[:16]}…: a "
        "copy may not be recognised. Was the model that made them replaced, or were they made on another device?"
    ]


def _named_by(training: Mapping[str, Any], split: str | None, model: str) -> tuple[str, str | None]:
    dataset = training.get("dataset", "unknown")
    if dataset == "unknown":
        raise UsageError(
            f"the card of {model} does not say what it was trained on; "
            "name the data set: --data NAME, or a folder or file of images"
        )
    return str(dataset), split or training.get("split")


def _loader(subject: Subject, train: ImageDataset) -> ImageLoader:
    of_model = image_loader([subject])

    def load(label: str, indices: Sequence[int]) -> Any:
        return train.images_u8[list(indices)] if label == "train" else of_model(label, indices)

    return load
