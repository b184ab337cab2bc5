"""From a map spec to a map: what the user typed, resolved against cards, plugins and the disk.

A spec is ``ID``, ``ID@REVISION`` or ``scheme:target``, with options after plus signs: ``tiny-edm+steps=50``.
``resolve`` turns it into a ``MapRecipe``, which holds everything that can change an image and builds the map. It does
so in two halves: ``Zoo.choose`` checks the spec and reads nothing, ``Zoo.recipe`` fetches and verifies the weights.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo.base.errors import UsageError
from reprozoo.base.options import Option
from reprozoo.diffusion.sampler_specs import SamplerSpec
from reprozoo.zoo.cards import UNKNOWN, HubSource, LocalSource, ModelCard, Registry
from reprozoo.zoo.choosing import Chosen, choose, common_options, common_values
from reprozoo.zoo.fetched import Fetched
from reprozoo.zoo.plugins import (
    BUNDLED_DISTRIBUTION,
    Family,
    Plugins,
    import_object,
    installed_plugins,
    installed_registry,
)
from reprozoo.zoo.recipes import MapRecipe, kernel_and_sampler
from reprozoo.zoo.specs import DTYPES, MapSpec

if TYPE_CHECKING:
    from reprozoo.maps.contract import NoiseToImageMap

__all__ = ["Chosen", "Fetched", "Zoo", "common_options", "content_digests", "default_zoo", "load", "resolve"]

DATA_FACTS = ("dataset", "split", "images_sha256", "labels_sha256", "training_images")  # of a card's training


class Zoo:
    """The cards and families of this environment.

    Args:
        plugins, registry: those installed by default.
    """

    def __init__(self, plugins: Plugins | None = None, registry: Registry | None = None) -> None:
        self.plugins = plugins or installed_plugins()
        self.registry = registry or installed_registry()

    def card(self, spec: MapSpec, *, offline: bool = False) -> ModelCard:
        """The card of a spec, with what its options change in it.

        Raises:
            UsageError: no card and no scheme of that name; the sentence suggests the nearest.
            UnavailableError, IntegrityError: a scheme had to fetch something.
        """
        card = self._unadjusted_card(spec, offline)
        registered = self.plugins.families.get(card.family)
        if registered is None:
            return card
        family: Family = registered.value
        if family.adjust:
            card = import_object(family.adjust)(card, spec.options, offline)
        return (
            _with_weights(card, Path(spec.options["weights"]))
            if "weights" in common_values(spec, card, family)
            else card
        )

    def _unadjusted_card(self, spec: MapSpec, offline: bool) -> ModelCard:
        if spec.scheme is None:
            return _at_revision(self._card_of(spec.id), spec.revision)
        scheme, target = spec.scheme
        schemes = {
            name: value for family in self.plugins.families.values() for name, value in family.value.schemes.items()
        }
        if scheme not in schemes:
            known = ", ".join(f"{name}:" for name in sorted(schemes)) or "none"
            raise UsageError(f"{spec.id!r}: no plugin reads {scheme}: specs; the schemes are {known}")
        card: ModelCard = import_object(schemes[scheme])(target, spec.revision, spec.options, offline)
        return card

    def _card_of(self, name: str) -> ModelCard:
        try:
            return self.registry.model(name)
        except UsageError as error:
            may_have_it = "; ".join(record.sentence() for record in self.plugins.failed())
            raise UsageError(f"{error}; {may_have_it}" if may_have_it else str(error)) from None

    def choose(self, text: str, *, dtype: str = DTYPES[0], offline: bool = False) -> Chosen:
        """What a spec asks for, checked against cards and options: the first half of ``resolve``, which is quick.

        No framework is imported, and the network is asked only where a scheme makes its card from it (``hf:``).

        Args:
            text: the spec.
            dtype: one of ``DTYPES``; the precision of the network, where the spec does not say ``+dtype=``.
            offline: use only what is on disk.

        Raises:
            UsageError: unknown id or option, or a value out of range.
            PluginError: the family's plugin is missing or broken.
            UnavailableError, IntegrityError: a scheme had to fetch something to make the card.
        """
        if dtype not in DTYPES:
            raise UsageError(f"unknown dtype {dtype!r}; expected one of {', '.join(DTYPES)}")
        spec = MapSpec.parse(text)
        return choose(text, spec, self.card(spec, offline=offline), dtype=dtype, plugins=self.plugins)

    def recipe(
        self, chosen: Chosen, *, device: str = "cpu", offline: bool = False, fetched: Fetched | None = None
    ) -> MapRecipe:
        """The recipe of what was chosen: fetch and verify the weights, the second half of ``resolve``.

        Args:
            device: torch device string.
            offline: use only what is on disk.
            fetched: what this run has fetched and hashed so far, so that several specs of one file read it once.

        Raises:
            UsageError: an option of the sampler does not suit the kernel, or names a file that cannot be read.
            UnavailableError, IntegrityError, PartialError: from fetching the weights.
        """
        fetched = fetched or Fetched()
        family: Family = chosen.family.value
        sampler, version = _resolved_sampler(chosen)
        card, files, digests = fetched.weights(chosen.card, offline=offline)
        files |= _local_weights(family.options, chosen.options, files)
        digests |= content_digests(family.options, chosen.options, digests, offline=offline, fetched=fetched)
        return MapRecipe(
            chosen.text, card, chosen.options, sampler, files, digests, device, chosen.dtype, family.output_version,
            chosen.family.plugin.provenance(f"family {family.name}"), tuple(self._other_plugins(card, chosen)),
            _versions(family.libraries), version,
        )  # fmt: skip

    def resolve(self, text: str, *, device: str = "cpu", dtype: str = "float32", offline: bool = False) -> MapRecipe:
        """``choose`` and ``recipe`` at once; raises as they do."""
        return self.recipe(self.choose(text, dtype=dtype, offline=offline), device=device, offline=offline)

    def check(self, text: str, *, offline: bool = False) -> ModelCard:
        """The card of a spec, once ``choose`` finds nothing wrong; raises as it does."""
        return self.choose(text, offline=offline).card

    def as_chosen(self, text: str, *, offline: bool = False) -> ModelCard:
        """The card of a spec with the spec's options and sampler in the place of its own; raises as ``choose``."""
        return self.choose(text, offline=offline).shown_card()

    def _other_plugins(self, card: ModelCard, chosen: Chosen) -> Iterator[Mapping[str, str]]:
        """Of the card, of a sampler that did not come with reprozoo, and of every data set that an option names."""
        if giver := self.plugins.giver_of(card.home):
            yield giver.provenance(f"card {card.id}")
        sampler = chosen.sampler_spec
        if sampler is not None and sampler.plugin.distribution != BUNDLED_DISTRIBUTION:
            yield sampler.plugin.provenance(f"sampler {sampler.value.name}")
        for name, option in chosen.family.value.options.items():
            if option.kind == "dataset" and chosen.options.get(name):
                from reprozoo.zoo.datasets import dataset_giver

                if giver := dataset_giver(chosen.options[name], registry=self.registry):
                    yield giver.provenance(f"data set {chosen.options[name]}")


@cache
def default_zoo() -> Zoo:
    """The zoo of this environment, read once in a process."""
    return Zoo()


def resolve(spec: str, *, device: str = "cpu", dtype: str = "float32", offline: bool = False) -> MapRecipe:
    """``Zoo.resolve`` in the default zoo."""
    return default_zoo().resolve(spec, device=device, dtype=dtype, offline=offline)


def load(spec: str, *, device: str = "cpu", dtype: str = "float32", offline: bool = False) -> NoiseToImageMap:
    """The map a spec names, ready to be called.

    >>> noise = NoiseBank(seed=0).noise(range(4), (3, 32, 32))
    >>> images = load("tiny-edm")(noise)  # (4, 3, 32, 32) float32 in [-1, 1]
    """
    return resolve(spec, device=device, dtype=dtype, offline=offline).load()


# --- small parts ---------------------------------------------------------------------------------------------------


def _at_revision(card: ModelCard, revision: str | None) -> ModelCard:
    """The card with the first of its Hub repositories, which is the model itself, at another revision.

    Raises:
        UsageError: none of its files comes from the Hub.
    """
    if revision is None:
        return card
    found = next((source for source in card.weights if isinstance(source, HubSource)), None)
    if found is None:
        raise UsageError(f"{card.id}@{revision}: no file of {card.id} comes from the Hub, so it has no revisions")
    moved = replace(found, revision=revision, sha256={}, bytes=UNKNOWN)
    return replace(card, weights=tuple(moved if source is found else source for source in card.weights))


def _with_weights(card: ModelCard, path: Path) -> ModelCard:
    """The card with the weights of a file in the place of its own; how its own were trained is not said of these.

    Raises:
        UsageError: there is no such file, or it is of no known format; or the card has no "weights" to replace.
    """
    from reprozoo.zoo.weights import format_for

    replaced = next((source for source in card.weights if source.name == "weights"), None)
    if replaced is None:
        names = ", ".join(source.name for source in card.weights) or "none"
        raise UsageError(f"{card.id}: +weights= is in the place of a file called weights, and its files are: {names}")
    if not path.exists():
        raise UsageError(f"{card.id}+weights={path}: there is no such file or folder")
    local = LocalSource(name=replaced.name, format=format_for(path, replaced.format), path=path.resolve())
    weights = tuple(local if source is replaced else source for source in card.weights)
    training = {name: card.training[name] for name in DATA_FACTS if name in card.training}
    return replace(card, weights=weights, training=training, status_note="")


def _resolved_sampler(chosen: Chosen) -> tuple[dict[str, Any], int]:
    """Name and every option of the sampler, with those that the kernel decides; and its ``output_version``."""
    if chosen.sampler_spec is None:
        return {}, 1
    spec: SamplerSpec = chosen.sampler_spec.value
    _, sampler = kernel_and_sampler(chosen.card, chosen.sampler, spec)
    return (sampler.config() if sampler else {}), spec.output_version


def _local_weights(
    known: Mapping[str, Option], options: Mapping[str, Any], fetched: Mapping[str, Path]
) -> dict[str, Path]:
    """Files and folders of this machine that options of the kind "weights" name."""
    named = {name: options.get(name) for name, option in known.items() if option.kind == "weights"}
    return {name: Path(place).resolve() for name, place in named.items() if place and name not in fetched}


def content_digests(
    known: Mapping[str, Option],
    options: Mapping[str, Any],
    digests: Mapping[str, str],
    *,
    offline: bool = False,
    fetched: Fetched | None = None,
) -> dict[str, str]:
    """Digests of what options of files, weights and data sets name, so that changed content is another map."""
    fetched = fetched or Fetched()
    found = {}
    for name, option in known.items():
        if not options.get(name) or name in digests:
            continue
        if option.kind in ("file", "weights"):
            found[name] = fetched.content(Path(options[name]))
        elif option.kind == "dataset":
            found[name] = fetched.dataset(options[name], options.get("split"), offline=offline)
    return found


def _versions(packages: Iterable[str]) -> dict[str, str]:
    """Of installed packages; the family says what is missing when it is loaded."""
    found = {}
    for package in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
