"""Cards: what is known about a model, a data set or a descriptor, read from TOML; no network, no torch.

A card promises that every key in its file was understood, that required knowledge is there or is written out as
"unknown", and that names are unique in the registry. Weights are described here (``WeightsSource``) and fetched by
``reprozoo.zoo.weights``.
"""

from reprozoo.zoo.cards.reading import read_card
from reprozoo.zoo.cards.records import Card, DatasetCard, DescriptorCard, ModelCard, Split, canonical_digest
from reprozoo.zoo.cards.registry import Registry
from reprozoo.zoo.cards.sources import (
    BundledSource,
    HubSource,
    LocalSource,
    ManualSource,
    NpmSource,
    PypiSource,
    UntrainedSource,
    UrlSource,
    WeightsSource,
)
from reprozoo.zoo.cards.values import UNKNOWN

__all__ = [
    "UNKNOWN",
    "BundledSource",
    "Card",
    "DatasetCard",
    "DescriptorCard",
    "HubSource",
    "LocalSource",
    "ManualSource",
    "ModelCard",
    "NpmSource",
    "PypiSource",
    "Registry",
    "Split",
    "UntrainedSource",
    "UrlSource",
    "WeightsSource",
    "canonical_digest",
    "read_card",
]
