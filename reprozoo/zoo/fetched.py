"""What one run has fetched and hashed: every file is read once, however many specs name it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reprozoo.zoo.cards import ModelCard, canonical_digest


class Fetched:
    """Weights and digests that one run has asked for; made anew for the next one, since files may change between."""

    def __init__(self) -> None:
        self._weights: dict[str, tuple[ModelCard, dict[str, Path], dict[str, str]]] = {}
        self._content: dict[Path, str] = {}
        self._datasets: dict[tuple[Any, ...], str] = {}

    def weights(self, card: ModelCard, *, offline: bool = False) -> tuple[ModelCard, dict[str, Path], dict[str, str]]:
        """As ``weights.fetch_all``: the card, its branches of the Hub replaced by commits; files and digests by name.

        Raises:
            UnavailableError, IntegrityError, PartialError: as ``fetch_all``.
        """
        from dataclasses import replace

        from reprozoo.zoo.weights import fetch_all

        key = canonical_digest([str(card.home), [source.to_json() for source in card.weights]])
        if key not in self._weights:
            self._weights[key] = fetch_all(card, offline=offline)
        found, files, digests = self._weights[key]
        return replace(card, weights=found.weights), dict(files), dict(digests)

    def content(self, path: Path) -> str:
        """As ``weights.content_digest``: sha256 of a file or folder of this machine.

        Raises:
            UsageError: there is nothing at ``path``, or it cannot be read.
        """
        from reprozoo.zoo.weights import content_digest

        if path not in self._content:
            self._content[path] = content_digest(path)
        return self._content[path]

    def dataset(self, name: str, split: str | None, *, offline: bool = False) -> str:
        """As ``datasets.dataset_digest``: digest of the images of a data set."""
        from reprozoo.zoo.datasets import dataset_digest

        key = (name, split)
        if key not in self._datasets:
            self._datasets[key] = dataset_digest(name, split, offline=offline)
        return self._datasets[key]
