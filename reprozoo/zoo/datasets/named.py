"""Data sets by name: fetched from the first source that has them, decoded once, kept under their digest."""

from __future__ import annotations

import json
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base import paths
from reprozoo.base.errors import (
    ContractError,
    IntegrityError,
    ReprozooError,
    UnavailableError,
    UsageError,
    did_you_mean,
)
from reprozoo.base.files import whole_file
from reprozoo.zoo.cards import DatasetCard, Registry, WeightsSource, canonical_digest
from reprozoo.zoo.datasets.arrays import ImageDataset, array_sha256
from reprozoo.zoo.datasets.cifar import DECODERS, Arrays
from reprozoo.zoo.datasets.files import read_images
from reprozoo.zoo.plugins import PluginRecord, Registered, import_object, installed_plugins, installed_registry
from reprozoo.zoo.weights import Progress, content_digest, fetch, sha256_of
from reprozoo.zoo.weights.cache import REMEDY, explained, require_room, write_json


def load_dataset(
    name: str | Path,
    split: str | None = None,
    *,
    registry: Registry | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> ImageDataset:
    """A data set by name, or the images of a folder or file.

    Args:
        name: id or alias of a card, name of a plugin's data set, or a path; a name wins over a path (write ./name).
        split: "train" unless said otherwise.
        registry: where cards are looked up; the installed ones by default.
        offline: use only what is on this machine.
        progress: as ``weights.fetch`` calls it.

    Raises:
        UsageError: no such data set, path or split.
        UnavailableError: it is not here, and no source has it.
        IntegrityError: what a source sent, or what is on disk, is not the data set that the card describes.
    """
    if (card := _card(name, registry)) is not None:
        return _load_card(card, split or "train", offline, progress)
    if (registered := installed_plugins().datasets.get(str(name))) is not None:
        return _load_registered(registered, split or "train", offline)
    if not Path(name).exists():
        known = [*(registry or installed_registry()).datasets, *installed_plugins().datasets]
        raise UsageError(
            f"no data set is called {str(name)!r}{did_you_mean(str(name), known)}, and no file or folder either; "
            f"the data sets are: {', '.join(known) or 'none'}"
        )
    return read_images(Path(name), split or "train")


def dataset_digest(
    name: str | Path, split: str | None = None, *, registry: Registry | None = None, offline: bool = False
) -> str:
    """A digest of what ``load_dataset`` would give: of a plugin's data set for that split, of others for all splits.

    Nothing is fetched for what a card describes.
    """
    if (card := _card(name, registry)) is not None:
        return canonical_digest({each: [s.images_sha256, s.labels_sha256] for each, s in card.splits.items()})
    if Path(name).exists() and str(name) not in installed_plugins().datasets:
        return content_digest(Path(name))
    return load_dataset(name, split, registry=registry, offline=offline).digest


def dataset_giver(name: str | Path, *, registry: Registry | None = None) -> PluginRecord | None:
    """The plugin that a data set, or its card, comes from; None for a folder, a file, or a person's own card."""
    if (card := _card(name, registry)) is not None:
        return installed_plugins().giver_of(card.home)
    registered = installed_plugins().datasets.get(str(name))
    return registered.plugin if registered else None


def pull_dataset(
    name: str, *, registry: Registry | None = None, offline: bool = False, progress: Progress | None = None
) -> dict[str, Path]:
    """Fetch and decode all splits of a card's data set, if they are not here; their files by split.

    Raises:
        UsageError, UnavailableError, IntegrityError: as ``load_dataset``.
    """
    card = (registry or installed_registry()).dataset(name)
    if any(_cached(card, split) is None for split in card.splits):
        _fetch(card, offline, progress)
    return {split: _path(card, split) for split in card.splits}


def _load_registered(registered: Registered, split: str, offline: bool) -> ImageDataset:
    """A plugin's data set; whatever the plugin does instead is a sentence."""
    spec = registered.value
    try:
        load = import_object(spec.load)
        loaded = load(split, offline=offline) if "offline" in signature(load).parameters else load(split)
    except ReprozooError:
        raise
    except (Exception, SystemExit) as error:
        raise ContractError(
            f"the data set {spec.id!r} of plugin {registered.plugin.name} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(loaded, ImageDataset):
        raise ContractError(f"{spec.load} returned {type(loaded).__name__}, expected an ImageDataset")
    return loaded


def _card(name: str | Path, registry: Registry | None) -> DatasetCard | None:
    registry = registry or installed_registry()
    try:
        return registry.dataset(name) if isinstance(name, str) else None
    except UsageError:
        return None


def _load_card(card: DatasetCard, split: str, offline: bool, progress: Progress | None) -> ImageDataset:
    if split not in card.splits:
        raise UsageError(f'{card.id} has no split "{split}"; it has: {", ".join(card.splits)}')
    path = _cached(card, split)
    if path is None:
        _fetch(card, offline, progress)
        path = _path(card, split)
    found = read_images(path)
    images, labels = found.images_u8, found.labels
    dataset = ImageDataset(f"{card.id} {split}", images, labels)
    dataset.__dict__["digest"] = card.splits[split].images_sha256  # of the file that was just verified
    return dataset


def _fetch(card: DatasetCard, offline: bool, progress: Progress | None) -> None:
    """Try the sources in order until one has the data set."""
    reasons = []
    for source in card.sources:
        try:
            fetched = fetch(source, card_dir=card.home, offline=offline, progress=progress)
        except UnavailableError as error:
            reasons.append(f"{source.name}: {error}")
            continue
        return _keep(card, source, _decoded(card, source, fetched.path))
    raise UnavailableError(f"{card.id} cannot be had from any of its sources:\n  " + "\n  ".join(reasons or ["none"]))


def _decoded(card: DatasetCard, source: WeightsSource, path: Path) -> dict[str, Arrays]:
    if source.format not in DECODERS:
        raise UsageError(
            f"{card.source_file}: no data set is decoded as {source.format!r}; known: {', '.join(DECODERS)}"
        )
    return DECODERS[source.format](path)


def _keep(card: DatasetCard, source: WeightsSource, splits: dict[str, Arrays]) -> None:
    """Check decoded splits against the card and write them, each whole or not at all."""
    for name, expected in card.splits.items():
        images, labels = splits[name]
        for what, array, digest in (
            ("images", images, expected.images_sha256),
            ("labels", labels, expected.labels_sha256),
        ):
            if (found := array_sha256(array)) != digest:
                raise IntegrityError(
                    f"the {what} of {card.id} {name} from {source.describe()} have sha256 {found}, and the card says "
                    f"{digest}: they are not this data set, and were not kept"
                )
    for name, (images, labels) in splits.items():
        if name in card.splits:
            _write(_path(card, name), np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels.astype(np.int64))


def _write(path: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    from safetensors.numpy import save_file

    with explained(paths.datasets_home()):
        path.parent.mkdir(parents=True, exist_ok=True)
        require_room(path.parent, images.nbytes)
        with whole_file(path, remedy=REMEDY) as temporary:
            save_file({"images": images, "labels": labels}, temporary)
            write_json(_note(path), {"sha256": sha256_of(temporary)})


def _cached(card: DatasetCard, split: str) -> Path | None:
    """The decoded file, if it is here and as it was written."""
    path = _path(card, split)
    try:
        intact = sha256_of(path) == _sha256_written(path)
    except OSError:
        return None
    return path if intact else None


def _sha256_written(path: Path) -> Any:
    try:
        return json.loads(_note(path).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path(card: DatasetCard, split: str) -> Path:
    return paths.datasets_home() / card.id / f"{split}-{card.splits[split].images_sha256[:16]}.safetensors"


def _note(path: Path) -> Path:
    return path.with_suffix(".json")
