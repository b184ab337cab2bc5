"""The registry: all cards of some directories, found by id or alias."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.zoo.cards.reading import read_card
from reprozoo.zoo.cards.records import CARD_KINDS, Card, DatasetCard, DescriptorCard, ModelCard

CARD_FOLDERS = (
    "",
    "models",
    "datasets",
    "descriptors",
)  # of a registry; other folders (weights, recipes) hold no cards

C = TypeVar("C", bound=Card)


class Registry:
    """Cards by kind, id and alias. Names are unique within a kind, whatever directory they come from.

    Args:
        directories: each holds ``*.toml`` files, one card a file, itself or in ``models/``, ``datasets/`` and
            ``descriptors/``.

    Raises:
        UsageError: a directory is not there, a card has a mistake, or two cards share a name.
    """

    def __init__(self, directories: Iterable[Path] = ()) -> None:
        self._names: dict[str, dict[str, Card]] = {kind: {} for kind in CARD_KINDS}
        for directory in directories:
            self.add(directory)

    def add(self, *directories: Path) -> None:
        """Read the cards of some directories: all of them or, where one has a mistake, none."""
        names = {kind: dict(cards) for kind, cards in self._names.items()}
        for directory in directories:
            if not directory.is_dir():
                raise UsageError(f"the registry {directory} is not a directory")
            for path in card_files(directory):
                card = read_card(path, home=directory)
                _insert(names[card.kind], card)
        self._names = names

    @property
    def models(self) -> Mapping[str, ModelCard]:
        """Model cards by id, sorted."""
        return _by_id(self._names["model"], ModelCard)

    @property
    def datasets(self) -> Mapping[str, DatasetCard]:
        """Data set cards by id, sorted."""
        return _by_id(self._names["dataset"], DatasetCard)

    @property
    def descriptors(self) -> Mapping[str, DescriptorCard]:
        """Descriptor cards by id, sorted."""
        return _by_id(self._names["descriptor"], DescriptorCard)

    def model(self, name: str) -> ModelCard:
        """The model of this id or alias; UsageError, with the nearest name, where there is none."""
        return self._find("model", name, ModelCard, "the models are listed by: reprozoo models")

    def dataset(self, name: str) -> DatasetCard:
        """The data set of this id or alias; UsageError, with the nearest name, where there is none."""
        return self._find("dataset", name, DatasetCard, f"there is: {', '.join(self.datasets) or 'none'}")

    def descriptor(self, name: str) -> DescriptorCard:
        """The descriptor of this id or alias; UsageError, with the nearest name, where there is none."""
        return self._find("descriptor", name, DescriptorCard, f"there is: {', '.join(self.descriptors) or 'none'}")

    def _find(self, kind: str, name: str, cls: type[C], remedy: str) -> C:
        names = self._names[kind]
        card = names.get(name) or names.get(name.lower())
        if not isinstance(card, cls):
            what = "data set" if kind == "dataset" else kind
            raise UsageError(f'no {what} is called "{name}"{did_you_mean(name.lower(), names)}; {remedy}')
        return card


def card_files(directory: Path) -> list[Path]:
    """The TOML files of a registry that are cards, sorted."""
    return [path for folder in CARD_FOLDERS for path in sorted((directory / folder).glob("*.toml"))]


def _insert(names: dict[str, Card], card: Card) -> None:
    for name in (card.id, *card.aliases):
        if other := names.get(name):
            raise UsageError(
                f'the name "{name}" belongs to two {card.kind} cards, {other.source_file} and {card.source_file}; '
                "rename one of them"
            )
        names[name] = card


def _by_id(names: dict[str, Card], cls: type[C]) -> Mapping[str, C]:
    cards = {card.id: card for card in names.values() if isinstance(card, cls)}
    return MappingProxyType(dict(sorted(cards.items())))
