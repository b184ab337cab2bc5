"""What a run needs from elsewhere, fetched ahead with progress, so that a download is never silent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reprozoo.cli.progress import ProgressDisplay
from reprozoo.zoo.cards import DescriptorCard, ModelCard
from reprozoo.zoo.resolving import default_zoo

LARGE = 1e9  # bytes of weights that are worth a word


def data_name(observation: str | None) -> str | None:
    """The data set that an observation is of, e.g. cifar10 of "cifar10:test:3"; or the file."""
    return observation.partition(":")[0] if observation else None


def fetch_ahead(
    specs: Iterable[str],
    *,
    zoo: Any = None,
    descriptor: str | None,
    dataset: str | Path | None = None,
    offline: bool,
    progress: ProgressDisplay,
) -> None:
    """Fetch the weights of models and descriptor, and a data set, where they are not here yet; say which are large.

    Nothing is fetched before every spec is known to be one that can run. Unknown names of descriptors and data sets
    are left to the engine, which says what is wrong with them.

    Args:
        zoo: where specs are resolved; that of this environment by default.

    Raises:
        UsageError, PluginError: a spec names no model, or one that cannot run.
        UnavailableError, IntegrityError, PartialError: from fetching.
    """
    from reprozoo.zoo.datasets import pull_dataset
    from reprozoo.zoo.weights import fetch, status

    zoo = zoo or default_zoo()
    registry = zoo.registry
    cards: list[tuple[str, ModelCard | DescriptorCard]]
    cards = [(spec, zoo.check(spec, offline=offline)) for spec in specs]
    cards += [(card.id, card) for card in registry.descriptors.values() if descriptor in (card.id, *card.aliases)]
    for name, card in cards:
        size = 0
        for source in card.weights:
            if status(source) in ("downloadable", "gated", "bundled", "cached"):
                size += fetch(source, card_dir=card.home, offline=offline, progress=progress.fetched).bytes_on_disk
        if size > LARGE:
            progress.note(f"{name}: {size / 1e9:.1f} GB of weights to read; models are loaded one at a time")
    names = {name for card in registry.datasets.values() for name in (card.id, *card.aliases)}
    if dataset is not None and str(dataset) in names:
        pull_dataset(str(dataset), registry=registry, offline=offline, progress=progress.fetched)
