"""``score``: images made elsewhere, paired by explicit index."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.engine.comparing import MAE_THRESHOLD
from reprozoo.engine.judging import judge, make_rules
from reprozoo.engine.progress import Progress
from reprozoo.engine.provenance import descriptor_record, environment, moment, plugins_used
from reprozoo.engine.results import Comparison, ModelRun
from reprozoo.engine.sampling import ArrayRows, Subject, image_loader, labels_of
from reprozoo.engine.setup import descriptor_of, zoo_or_default
from reprozoo.engine.store import Store, runs_of
from reprozoo.maps.conditions import InTurn
from reprozoo.measures.descriptors import Descriptor
from reprozoo.zoo.datasets import ImageDataset, read_images

Images = str | Path | NDArray[np.uint8]


class _Indexed(ArrayRows):
    """Images in memory, by index."""

    def __init__(self, images_u8: NDArray[np.uint8], indices: Sequence[int]) -> None:
        listed = hashlib.sha256(str(list(indices)).encode())
        listed.update(np.ascontiguousarray(images_u8).data)
        listed.update(str(images_u8.shape).encode())
        super().__init__(images_u8, f"made elsewhere: {listed.hexdigest()}")
        self.place = {index: row for row, index in enumerate(indices)}

    def rows(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        return super().rows([self.place[index] for index in rows])


def score(
    first: Images,
    second: Images,
    *,
    names: Sequence[str] | None = None,
    descriptor: str | Descriptor = "sscd",
    threshold: float | None = None,
    mae_threshold: float = MAE_THRESHOLD,
    mirror: bool = False,
    threads: int | None = None,
    offline: bool = False,
    zoo: object = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Score two sets of images that were made from the same noises, by whatever program.

    Nothing here can check that the noises were the same: a low score may only mean that they were not.

    Args:
        first, second: a folder, a .zip, .npz, .npy or .safetensors file, or (n, channels, height, width) uint8. Each
            image is paired by its index: the array ``indices`` of a file, the last number in each file name, or the
            row of an array without either.
        names: what the two are called; the paths by default.
        descriptor, threshold, mae_threshold, mirror, threads, offline, zoo, store, progress: as in ``compare``.

    Raises:
        UsageError: the indices of the two differ, an image has none, or the images have different sizes.
    """
    started = time.perf_counter()
    store = store or Store()
    sets = [_read(images) for images in (first, second)]
    named = list(names or (_name(first, "first"), _name(second, "second")))
    indices = _shared_indices(sets, named)
    subjects = [_subject(images, label) for images, label in zip(sets, labels_of(named), strict=True)]
    _check_sizes(subjects)
    used = descriptor_of(descriptor, zoo_or_default(zoo), offline, threads)
    rules = make_rules(used, threshold, mae_threshold, mirror=mirror)
    verdict = judge(subjects, [], indices, rules, store, conditions=InTurn(), progress=progress)
    return Comparison(
        models=verdict.models,
        pairs=verdict.pairs,
        baselines=[],
        tests=[],
        settings={
            "specs": named,
            "num_samples": len(indices),
            "descriptor": descriptor if isinstance(descriptor, str) else descriptor.id,
            "threshold": rules.threshold,
            "mae_threshold": mae_threshold,
            "mirror": mirror,
        },
        indices=[list(run) for run in runs_of(indices)],
        noise={},
        conditions={},
        descriptor=descriptor_record(rules),
        score_names=rules.score_names,
        environment=environment("cpu"),
        plugins=plugins_used(rules.descriptor.plugins),
        warnings=verdict.warnings,
        image_loader=image_loader(subjects),
        **moment(started),
    )


def image_indices(images: ImageDataset) -> list[int]:
    """The index of each image: as its file says, or the last number in its own file's name, or its row.

    Raises:
        UsageError: a file without a number in its name, or two images of one index.
    """
    if images.indices is not None:
        indices = [int(index) for index in images.indices]
    elif images.names is not None:
        numbers = [re.findall(r"\d+", PurePosixPath(name).stem) for name in images.names]
        unnumbered = [name for name, found in zip(images.names, numbers, strict=True) if not found]
        if unnumbered:
            raise UsageError(
                f"{images.name}: {unnumbered[0]} has no number in its name; name each image after the index of its "
                "noise, e.g. 000123.png: images are never paired by the order of files"
            )
        indices = [int(found[-1]) for found in numbers]
    else:
        indices = list(range(len(images)))
    if len(set(indices)) < len(indices):
        twice = next(index for index in indices if indices.count(index) > 1)
        raise UsageError(f"{images.name} has two images of index {twice}; keep one of them")
    return indices


def _read(images: Images) -> ImageDataset:
    if isinstance(images, (str, Path)):
        return read_images(Path(images))
    if images.dtype != np.uint8 or images.ndim != 4 or not images.size:
        raise UsageError(f"expected (n, channels, height, width) uint8 images, got {images.shape} {images.dtype}")
    return ImageDataset("an array", images)


def _shared_indices(sets: Sequence[ImageDataset], names: Sequence[str]) -> list[int]:
    first, second = (set(image_indices(images)) for images in sets)
    if len(set(names)) < len(names):
        names = [f"the {place} {name}" for place, name in zip(("first", "second"), names, strict=True)]
    both = ((first, second, names[0], names[1]), (second, first, names[1], names[0]))
    for these, others, name, other in both:
        if only := sorted(these - others):
            raise UsageError(
                f"{name} has {len(these)} images and {other} {len(others)}; index {only[0]} is only in {name}"
                f"{f', and {len(only) - 1} more' if len(only) > 1 else ''}: both need an image of every index"
            )
    return sorted(first)


def _check_sizes(subjects: Sequence[Subject]) -> None:
    sizes = ["×".join(map(str, subject.run.image_shape)) for subject in subjects]
    if len(set(sizes)) > 1:
        raise UsageError(
            f"images of {subjects[0].label} are {sizes[0]}, of {subjects[1].label} {sizes[1]}; nothing is resized: "
            "make them one size"
        )


def _subject(images: ImageDataset, label: str) -> Subject:
    rows = _Indexed(images.images_u8, image_indices(images))
    run = ModelRun(
        label=label,
        spec=label,
        description={"spec": label, "card": {"title": "images made elsewhere"}, "digests": {"images": images.digest}},
        image_shape=list(images.images_u8.shape[1:]),
        images_key=rows.key,
        images_sha256="",
        reused=len(images),
    )
    return Subject(run, rows)


def _name(images: Images, fallback: str) -> str:
    return str(images) if isinstance(images, (str, Path)) else fallback
