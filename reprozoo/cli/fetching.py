"""What a run needs from elsewhere, fetched ahead with progress, so that a download is never silent."""

from __future__ import annotations

from pathlib import Path

from reprozoo.engine.checking import Workplace
from reprozoo.engine.display import ProgressDisplay
from reprozoo.engine.naming import is_folder
from reprozoo.engine.question import GENERALIZE, Question
from reprozoo.zoo.cards import DescriptorCard, ModelCard

LARGE = 1e9  # bytes of weights that are worth a word


def fetch_ahead(question: Question, place: Workplace, progress: ProgressDisplay) -> None:
    """Fetch the weights of models and descriptors, and a data set, where they are not here yet; say which are large.

    Raises:
        UsageError, PluginError: a spec names no model, or one that cannot run.
        UnavailableError, IntegrityError, PartialError: from fetching.
    """
    from reprozoo.zoo.weights import fetch, status

    zoo, offline = place.with_zoo(), place.offline
    specs = [spec for spec in (*question.sides, *(question.baselines or ())) if not is_folder(spec)]
    cards: list[tuple[str, ModelCard | DescriptorCard]] = []
    if question.inverse is None:
        known = place.resolved_by(zoo)
        of_specs = {spec: known.card(spec, question.dtype) for spec in specs}
        cards += [(spec, card) for spec, card in of_specs.items() if card is not None]
    descriptors = {name: card for card in zoo.registry.descriptors.values() for name in (card.id, *card.aliases)}
    cards += [(name, descriptors[name]) for name in question.descriptor if name in descriptors]
    for name, card in cards:
        size = 0
        for source in card.weights:
            if status(source) in ("downloadable", "gated", "bundled", "cached"):
                size += fetch(source, card_dir=card.home, offline=offline, progress=progress.fetched).bytes_on_disk
        if size > LARGE:
            progress.note(f"{name}: {size / 1e9:.1f} GB of weights to read; models are loaded one at a time")
    _fetch_data(question, [card for _, card in cards if isinstance(card, ModelCard)], place, progress)


def _fetch_data(question: Question, cards: list[ModelCard], place: Workplace, progress: ProgressDisplay) -> None:
    """The data set that the question names or is about, where a card describes it."""
    from reprozoo.zoo.datasets import pull_dataset

    registry = place.with_zoo().registry
    wanted = question.observation.partition(":")[0] if question.observation else question.data
    if question.task == GENERALIZE and wanted is None and cards:
        wanted = str(cards[0].training.get("dataset"))
    names = {name for card in registry.datasets.values() for name in (card.id, *card.aliases)}
    if wanted is not None and wanted in names and not Path(wanted).exists():
        pull_dataset(wanted, registry=registry, offline=place.offline, progress=progress.fetched)
