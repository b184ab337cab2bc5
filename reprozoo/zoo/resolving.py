"""From a map spec to a map: what the user typed, resolved against cards, plugins and the disk.

A spec is ``ID``, ``ID@REVISION`` or ``scheme:target``, with options after plus signs: ``tiny-edm+steps=50``.
``resolve`` turns it into a ``MapRecipe``, which holds everything that can change an image and builds the map.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.zoo.cards import UNKNOWN, HubSource, LocalSource, ModelCard, Registry
from reprozoo.zoo.plugins import Family, Option, Plugins, import_object, installed_plugins, installed_registry
from reprozoo.zoo.recipes import MapRecipe, kernel_and_sampler
from reprozoo.zoo.specs import DTYPE_ALIASES, DTYPES, MapSpec

if TYPE_CHECKING:
    from reprozoo.maps.contract import NoiseToImageMap
    from reprozoo.zoo.plugins import Registered

COMMON_OPTIONS: Mapping[str, Option] = {  # of every model with a network
    "dtype": Option(str, "precision of this model, in the place of --dtype", choices=(*DTYPES, *DTYPE_ALIASES)),
    "weights": Option("weights", "a file or folder of other weights for the same network"),
}
DATA_FACTS = ("dataset", "split", "images_sha256", "labels_sha256", "training_images")  # of a card's training


@dataclass(frozen=True)
class _Chosen:
    """What a spec says, before weights are fetched: a card, its family, options of both, the precision."""

    card: ModelCard
    registered: Registered
    options: Mapping[str, Any]
    sampler: Mapping[str, Any]
    dtype: str


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
        return _with_weights(card, Path(spec.options["weights"])) if "weights" in _common(spec, card, family) else card

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
            may_have_it = "; ".join(record.describe() for record in self.plugins.failed())
            raise UsageError(f"{error}; {may_have_it}" if may_have_it else str(error)) from None

    def resolve(self, text: str, *, device: str = "cpu", dtype: str = "float32", offline: bool = False) -> MapRecipe:
        """Resolve a map spec: find the card, check the options, fetch and verify the weights.

        Args:
            text: the spec.
            device: torch device string.
            dtype: one of ``DTYPES``; the precision of the network, where the spec does not say ``+dtype=``.
            offline: use only what is on disk.

        Raises:
            UsageError: unknown id or option, or a value out of range.
            PluginError: the family's plugin is missing or broken.
            UnavailableError, IntegrityError: from fetching the weights.
        """
        from reprozoo.zoo.weights import fetch_all

        chosen = self._chosen(text, dtype=dtype, offline=offline)
        card, files, digests = fetch_all(chosen.card, offline=offline)
        family: Family = chosen.registered.value
        files |= _local_weights(family.options, chosen.options, files)
        digests |= content_digests(family.options, chosen.options, digests, offline=offline)
        return MapRecipe(
            text, card, chosen.options, chosen.sampler, files, digests, device, chosen.dtype, family.output_version,
            chosen.registered.plugin.provenance(f"family {family.name}"),
            tuple(self._other_plugins(card, family, chosen.options)), _versions(family.libraries),
        )  # fmt: skip

    def check(self, text: str, *, offline: bool = False) -> ModelCard:
        """The card of a spec, once everything that ``resolve`` asks of it before it fetches weights holds.

        Raises:
            UsageError, PluginError: as ``resolve``.
            UnavailableError, IntegrityError: a scheme had to fetch something to make the card.
        """
        return self._chosen(text, dtype=DTYPES[0], offline=offline).card

    def as_chosen(self, text: str, *, offline: bool = False) -> ModelCard:
        """The card of a spec with the spec's options and sampler in the place of its own.

        Raises:
            UsageError, PluginError, UnavailableError, IntegrityError: as ``check``.
        """
        chosen = self._chosen(text, dtype=DTYPES[0], offline=offline)
        known = chosen.registered.value.options
        options = {name: value for name, value in chosen.options.items() if value != known[name].default}
        return replace(chosen.card, options=options, sampler=dict(chosen.sampler))

    def _chosen(self, text: str, *, dtype: str, offline: bool) -> _Chosen:
        if dtype not in DTYPES:
            raise UsageError(f"unknown dtype {dtype!r}; expected one of {', '.join(DTYPES)}")
        spec = MapSpec.parse(text)
        card = self.card(spec, offline=offline)
        registered = self.plugins.family(card.family, package=card.package)
        family: Family = registered.value
        common = _common(spec, card, family)
        dtype = common.get("dtype", dtype)
        own, rest = _split_options({name: spec.options[name] for name in spec.options if name not in common}, family)
        options = _resolve_options(card, family, own)
        sampler = _resolve_sampler(card, family, rest, text)
        return _Chosen(card, registered, options, sampler, DTYPE_ALIASES.get(dtype, dtype))

    def _other_plugins(
        self, card: ModelCard, family: Family, options: Mapping[str, Any]
    ) -> Iterator[Mapping[str, str]]:
        """Of the card, and of every data set that an option names."""
        if giver := self.plugins.giver_of(card.home):
            yield giver.provenance(f"card {card.id}")
        for name, option in family.options.items():
            if option.kind == "dataset" and options.get(name):
                from reprozoo.zoo.datasets import dataset_giver

                if giver := dataset_giver(options[name], registry=self.registry):
                    yield giver.provenance(f"data set {options[name]}")


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


def common_options(card: ModelCard, family: Family) -> dict[str, Option]:
    """Options beside the family's own: none for a formula, which has no network."""
    return {name: option for name, option in COMMON_OPTIONS.items() if card.network and name not in family.options}


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


def _common(spec: MapSpec, card: ModelCard, family: Family) -> dict[str, Any]:
    """Those of a spec's options that are common to all models, parsed."""
    known = common_options(card, family)
    return {name: known[name].parse(name, text) for name, text in spec.options.items() if name in known}


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


def _split_options(given: Mapping[str, str], family: Family) -> tuple[dict[str, str], dict[str, str]]:
    own = {name: value for name, value in given.items() if name in family.options}
    return own, {name: value for name, value in given.items() if name not in own}


def _resolve_options(card: ModelCard, family: Family, given: Mapping[str, str]) -> dict[str, Any]:
    unknown = set(card.options) - set(family.options)
    if unknown:
        raise UsageError(
            f"the card of {card.id} sets {_names(unknown)}, which the family {family.name!r} does not have"
        )
    resolved = {name: card.options.get(name, option.default) for name, option in family.options.items()}
    return resolved | {name: family.options[name].parse(name, text) for name, text in given.items()}


def _resolve_sampler(card: ModelCard, family: Family, given: Mapping[str, str], spec: str) -> dict[str, Any]:
    """Name and options of the sampler after option > card > default."""
    if not family.denoiser:
        if given:
            name = next(iter(given))
            raise UsageError(f"{spec}: {card.id} has no option {name!r}; {_options_sentence(card, family, ())}")
        return {}
    from reprozoo.diffusion.samplers import sampler_options

    name = str(given.get("sampler", card.sampler.get("name", "")))
    if not name:
        raise UsageError(
            f'the card of {card.id} names no sampler: write [sampler] name = "heun", or give +sampler=heun'
        )
    options = sampler_options(name)
    chosen: dict[str, Any] = {}
    for option, text in given.items():
        if option == "sampler":
            continue
        if option not in options:
            close = did_you_mean(option, [*options, *family.options, "sampler"])
            raise UsageError(
                f"{spec}: {card.id} with sampler {name} has no option {option!r}{close}; "
                f"{_options_sentence(card, family, options)}"
            )
        chosen[option] = Option(options[option].kind, "").parse(option, text)
    settings = {"name": name, **_card_defaults(card, name, chosen), **chosen}
    config: dict[str, Any] = kernel_and_sampler(card, settings)[1].config()
    return config


def _card_defaults(card: ModelCard, name: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What the card says and the choice leaves standing: another sampler, or another spacing, has its own defaults."""
    from reprozoo.diffusion.samplers import SPACING_OPTIONS

    if name != card.sampler.get("name"):
        return {}
    spacing = chosen.get("spacing")
    tied = {option for options in SPACING_OPTIONS.values() for option in options}
    dropped = tied - set(SPACING_OPTIONS.get(spacing, ())) if spacing else set()
    return {option: value for option, value in card.sampler.items() if option != "name" and option not in dropped}


def _local_weights(
    known: Mapping[str, Option], options: Mapping[str, Any], fetched: Mapping[str, Path]
) -> dict[str, Path]:
    """Files and folders of this machine that options of the kind "weights" name."""
    named = {name: options.get(name) for name, option in known.items() if option.kind == "weights"}
    return {name: Path(place).resolve() for name, place in named.items() if place and name not in fetched}


def content_digests(
    known: Mapping[str, Option], options: Mapping[str, Any], digests: Mapping[str, str], *, offline: bool = False
) -> dict[str, str]:
    """Digests of what options of files, weights and data sets name, so that changed content is another map."""
    found = {}
    for name, option in known.items():
        if not options.get(name) or name in digests:
            continue
        if option.kind in ("file", "weights"):
            from reprozoo.zoo.weights import content_digest

            found[name] = content_digest(Path(options[name]))
        elif option.kind == "dataset":
            from reprozoo.zoo.datasets import dataset_digest

            found[name] = dataset_digest(options[name], options.get("split"), offline=offline)
    return found


def _versions(packages: Iterable[str]) -> dict[str, str]:
    """Of installed packages; the family says what is missing when it is loaded."""
    found = {}
    for package in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _options_sentence(card: ModelCard, family: Family, sampler_names: Iterable[str]) -> str:
    own, common = [*family.options], common_options(card, family)
    names = [*own, *(["sampler"] if family.denoiser else []), *sampler_names, *common]
    return f"it has: {', '.join(names)}" if names else "it has no options"


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))
