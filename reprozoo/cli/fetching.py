"""What a run needs from elsewhere, fetched ahead with progress, so that a download is never silent."""

from __future__ import annotations

from pathlib import Path

from reprozoo.engine.checking import Workplace
from reprozoo.engine.display import ProgressDisplay
from reprozoo.engine.naming import is_folder
from reprozoo.engine.question import GENERALIZE, SAMPLE, Question
from reprozoo.zoo.cards import DescriptorCard, ModelCard

LARGE = 1e9  # bytes of weights that are worth a word


def fetch_ahead(question: Question, place: Workplace, progress: ProgressDisplay) -> None:
    """Fetch the weights of models and descriptors, and a data set, where they are not here yet; say which are large.

    Raises:
        UsageError, PluginError: a spec names no model, or one that cannot run.
        UnavailableError, IntegrityError, PartialError: from fetching.
    """
    zoo, known = place.with_zoo(), place.resolved_by(place.with_zoo())
    specs = [spec for spec in (*question.sides, *(question.baselines or ())) if not is_folder(spec)]
    of_specs = {spec: known.card(spec, question.dtype) for spec in specs} if question.inverse is None else {}
    cards = {spec: card for spec, card in of_specs.items() if card is not None}
    for spec, card in cards.items():
        _download(card, place, progress)
        if (size := known.bytes_of_weights(card)) > LARGE:
            progress.note(f"{spec}: {size / 1e9:.1f} GB of weights to read; models are loaded one at a time")
    descriptors = {name: card for card in zoo.registry.descriptors.values() for name in (card.id, *card.aliases)}
    for name in question.descriptor if question.task != SAMPLE else ():
        if name.lower() in descriptors:
            _download(descriptors[name.lower()], place, progress)
    _fetch_data(question, list(cards.values()), place, progress)


def _download(card: ModelCard | DescriptorCard, place: Workplace, progress: ProgressDisplay) -> None:
    """What is not on this machine yet; what is there is verified when it is used, once."""
    from reprozoo.zoo.weights import fetch, status

    for source in card.weights:
        if status(source) in ("downloadable", "gated"):
            fetch(source, card_dir=card.home, offline=place.offline, progress=progress.fetched)


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
