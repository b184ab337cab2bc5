"""The three kinds of card, as frozen dataclasses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from reprozoo.base.errors import UsageError
from reprozoo.zoo.cards.sources import WeightsSource, of_kind, plain
from reprozoo.zoo.cards.values import Count, ImageShape, Name, Sha256, Shape

Sources = Annotated[
    tuple[WeightsSource, ...],
    Meta(description="a list of tables: [] for a model without weights, [[weights]] for one with them"),
]

# What can change a model's images. Weights are not among them: their digests enter a key by themselves.
_IMAGE_FIELDS = (
    "family", "noise_shape", "image_shape", "num_classes", "network", "kernel", "sampler", "options",
)  # fmt: skip
_PLACE_FIELDS = ("source_file", "home")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What the three kinds have in common.

    Attributes:
        id: unique in its kind; lower case, digits, dashes and dots.
        aliases: other names it answers to.
        title: one line for a person.
        licence: SPDX identifier or a sentence; "unknown" where nothing is stated.
        paper: "arXiv:NNNN.NNNNN" or a citation.
        status_note: what a user should know before using it.
        source_file: the TOML file it was read from.
        home: directory of the registry, which the paths of bundled files are relative to.
    """

    kind: ClassVar[str]

    id: Name
    aliases: tuple[Name, ...] = ()
    title: str
    licence: str
    paper: str
    status_note: str = ""
    source_file: Path = Path()
    home: Path = Path()

    def __post_init__(self) -> None:
        sources = [source.name for source in getattr(self, "weights", ())]
        if twice := {name for name in sources if sources.count(name) > 1}:
            raise UsageError(f'two weights are called "{min(twice)}"; give each [[weights]] its own name')

    @staticmethod
    def read_as(table: Mapping[str, Any]) -> tuple[type[Any], dict[str, Any]]:
        """Which of the three a table is, for ``read_record``."""
        return of_kind(table, CARD_KINDS)

    def to_json(self) -> dict[str, Any]:
        """The whole card as plain JSON values, without the place it was read from."""
        names = (f.name for f in fields(self) if f.name not in _PLACE_FIELDS)
        return {"kind": self.kind, **{name: plain(getattr(self, name)) for name in names}}

    def digest(self) -> str:
        """sha256 of the canonical JSON of the card: changes with any change of its meaning, not with its place."""
        return canonical_digest(self.to_json())


@dataclass(frozen=True, kw_only=True)
class ModelCard(Card):
    """A model: what it is, how it is sampled by default, and where its weights are.

    Attributes:
        family: name of the family that loads it.
        package: the distribution whose plugin has the family, to be named where it is missing; empty for reprozoo's.
        noise_shape: shape of one noise.
        image_shape: (channels, height, width) of one image.
        num_classes: number of class labels; None for an unconditional model.
        network: configuration of the network, in the family's words.
        kernel: for ``kernels.kernel_from_config``; empty where there is no diffusion.
        sampler: ``name`` and the options of ``samplers.make_sampler``; empty where there is none.
        options: defaults of the family's own options.
        training: ``dataset`` and how the model was trained.
        table_row: the row or figure of arXiv:2310.05264 that it is in; empty where it is in none.
        weights: empty for a model that is a formula.
    """

    kind: ClassVar[str] = "model"

    family: str
    package: str = ""
    noise_shape: Shape
    image_shape: ImageShape
    num_classes: Count | None = None
    network: dict[str, Any] = field(default_factory=dict)
    kernel: dict[str, Any] = field(default_factory=dict)
    sampler: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any]
    table_row: str = ""
    weights: Sources

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (self.id, *self.aliases):
            if "@" in name:
                raise UsageError(f'"{name}" cannot name a model: what follows @ is read as its revision')

    def image_config(self) -> dict[str, Any]:
        """The part of the card that can change its images: for cache keys, beside the digests of the weights."""
        return {name: plain(getattr(self, name)) for name in _IMAGE_FIELDS}

    def source(self, name: str = "weights") -> WeightsSource:
        """The source called ``name``; KeyError where the card has none."""
        return {source.name: source for source in self.weights}[name]


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part of a data set, identified by its decoded arrays, so that its source does not matter.

    Attributes:
        count: number of images.
        images_sha256: of the uint8 array (count, height, width, channels) in C order.
        labels_sha256: of the uint8 array (count,).
    """

    count: Count
    images_sha256: Sha256
    labels_sha256: Sha256


@dataclass(frozen=True, kw_only=True)
class DatasetCard(Card):
    """A data set and the sources that it can be had from, which are tried in order.

    Attributes:
        image_shape: (channels, height, width) of one image.
        classes: names of the labels, by number.
        splits: by name.
        sources: each with the ``format`` that decodes it.
    """

    kind: ClassVar[str] = "dataset"

    image_shape: ImageShape
    classes: tuple[str, ...] = ()
    splits: dict[str, Split]
    sources: tuple[WeightsSource, ...]

    def __post_init__(self) -> None:
        if not self.splits:
            raise UsageError("a data set needs at least one split")


@dataclass(frozen=True, kw_only=True)
class DescriptorCard(Card):
    """An image descriptor's weights and measures; the code is a plugin's.

    Attributes:
        dim: length of a feature.
        threshold: similarity above which two images count as copies by default.
        prompt_threshold: the same for images that follow a prompt; None for ``threshold``.
        options: what the implementation needs to know: input size, resampling.
        weights: its files.
    """

    kind: ClassVar[str] = "descriptor"

    dim: Count
    threshold: float
    prompt_threshold: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    weights: Sources

    def source(self, name: str = "weights") -> WeightsSource:
        """The source called ``name``; KeyError where the card has none."""
        return {source.name: source for source in self.weights}[name]


CARD_KINDS: dict[str, type[Card]] = {cls.kind: cls for cls in (ModelCard, DatasetCard, DescriptorCard)}


def canonical_digest(value: Any) -> str:
    """sha256 of ``value`` as canonical JSON: sorted keys, no spaces, ASCII, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
