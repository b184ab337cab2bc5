"""What a run needs from elsewhere, fetched ahead with progress, so that a download is never silent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reprozoo.cards import DescriptorCard, ModelCard
from reprozoo.cli.common import note
from reprozoo.cli.progress import ProgressDisplay
from reprozoo.errors import ReprozooError
from reprozoo.mapspecs import MapSpec
from reprozoo.zoo import default_zoo

LARGE = 1e9  # bytes of weights that are worth a word


def say_weights(specs: Iterable[str], *, quiet: bool) -> None:
    """A note before the run on each model whose weights take long to read, and much memory.

    What cannot be resolved is left to the engine, which says what is wrong with it.
    """
    for spec in specs:
        try:
            size = default_zoo().resolve(spec, offline=True).weights_bytes
        except ReprozooError:
            continue
        if size > LARGE:
            note(f"{spec}: {size / 1e9:.1f} GB of weights to read; models are loaded one at a time", quiet=quiet)


def fetch_ahead(
    specs: Iterable[str],
    *,
    descriptor: str | None,
    dataset: str | Path | None = None,
    offline: bool,
    progress: ProgressDisplay,
) -> None:
    """Fetch the weights of models and descriptor, and a data set, where they are not here yet.

    Unknown names are left to the engine, which says what is wrong with them.

    Raises:
        UsageError: a spec names no model.
        UnavailableError, IntegrityError, PartialError: from fetching.
    """
    from reprozoo.datasets import pull_dataset
    from reprozoo.weights import fetch, status

    registry = default_zoo().registry
    cards: list[ModelCard | DescriptorCard] = [default_zoo().card(MapSpec.parse(spec)) for spec in specs]
    cards += [card for card in registry.descriptors.values() if descriptor in (card.id, *card.aliases)]
    for card in cards:
        for source in card.weights:
            if status(source) in ("downloadable", "gated"):
                fetch(source, card_dir=card.home, offline=offline, progress=progress.fetched)
    names = {name for card in registry.datasets.values() for name in (card.id, *card.aliases)}
    if dataset is not None and str(dataset) in names:
        pull_dataset(str(dataset), registry=registry, offline=offline, progress=progress.fetched)
