"""What a map spec asks of a model: options of its family and its sampler, checked against descriptions alone.

Nothing here imports a framework or reads weights, so a mistake in a spec is a sentence at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.base.options import Option
from reprozoo.diffusion.sampler_specs import SPACING_OPTIONS, SamplerSpec
from reprozoo.diffusion.sampling import check_spacing, checked_options
from reprozoo.zoo.cards import ModelCard
from reprozoo.zoo.plugins import Family, Plugins, Registered
from reprozoo.zoo.specs import DTYPE_ALIASES, DTYPES, MapSpec

COMMON_OPTIONS: Mapping[str, Option] = {  # of every model with a network
    "dtype": Option(str, "precision of this model, in the place of --dtype", choices=(*DTYPES, *DTYPE_ALIASES)),
    "weights": Option("weights", "a file or folder of other weights for the same network"),
}


@dataclass(frozen=True)
class Chosen:
    """What a spec says, before weights are fetched; ``Zoo.choose`` makes one and ``Zoo.recipe`` goes on from it.

    Attributes:
        text: the spec.
        card: the card it names, as its options change it.
        family: of the card, and the plugin it came from.
        options: the family's own, after option > card > default.
        sampler: its name and those of its options that the spec or the card sets; empty for maps without one.
        sampler_spec: the sampler, and the plugin it came from; None for maps without one.
        dtype: one of ``DTYPES``.
    """

    text: str
    card: ModelCard
    family: Registered
    options: Mapping[str, Any]
    sampler: Mapping[str, Any]
    sampler_spec: Registered | None
    dtype: str

    def shown_card(self) -> ModelCard:
        """The card with the options and the sampler that were chosen in the place of its own."""
        known: Mapping[str, Option] = self.family.value.options
        options = {name: value for name, value in self.options.items() if value != known[name].default}
        return replace(self.card, options=options, sampler=self._sampler_with_defaults())

    def _sampler_with_defaults(self) -> dict[str, Any]:
        """What is left to the kernel is left out."""
        if self.sampler_spec is None:
            return {}
        known: Mapping[str, Option] = self.sampler_spec.value.options
        defaults = {name: option.default for name, option in known.items() if option.default is not None}
        return {"name": self.sampler["name"], **defaults, **self.sampler}


def common_options(card: ModelCard, family: Family) -> dict[str, Option]:
    """Options beside the family's own: none for a formula, which has no network."""
    return {name: option for name, option in COMMON_OPTIONS.items() if card.network and name not in family.options}


def common_values(spec: MapSpec, card: ModelCard, family: Family) -> dict[str, Any]:
    """Those of a spec's options that are common to all models, parsed."""
    known = common_options(card, family)
    return {name: known[name].parse(name, text) for name, text in spec.options.items() if name in known}


def choose(text: str, spec: MapSpec, card: ModelCard, *, dtype: str, plugins: Plugins) -> Chosen:
    """What a spec asks of the model of ``card``.

    Raises:
        UsageError: an option that neither family nor sampler has, or a value that it does not allow.
        PluginError: no working plugin has the family.
    """
    registered = plugins.family(card.family, package=card.package)
    family: Family = registered.value
    common = common_values(spec, card, family)
    dtype = common.get("dtype", dtype)
    given = {name: value for name, value in spec.options.items() if name not in common}
    options = _family_options(card, family, given)
    for_sampler = {name: value for name, value in given.items() if name not in family.options}
    sampler, settings = _sampler(card, family, for_sampler, text, plugins)
    return Chosen(text, card, registered, options, settings, sampler, DTYPE_ALIASES.get(dtype, dtype))


def _family_options(card: ModelCard, family: Family, given: Mapping[str, str]) -> dict[str, Any]:
    unknown = set(card.options) - set(family.options)
    if unknown:
        raise UsageError(
            f"the card of {card.id} sets {_names(unknown)}, which the family {family.name!r} does not have"
        )
    resolved = {name: card.options.get(name, option.default) for name, option in family.options.items()}
    own = {name: option.parse(name, given[name]) for name, option in family.options.items() if name in given}
    return resolved | own


def _sampler(
    card: ModelCard, family: Family, given: Mapping[str, str], text: str, plugins: Plugins
) -> tuple[Registered | None, dict[str, Any]]:
    """The sampler with its name and options after option > card."""
    if not family.denoiser:
        if given:
            name = next(iter(given))
            raise UsageError(f"{text}: {card.id} has no option {name!r}; {_options_sentence(card, family, ())}")
        return None, {}
    name = str(given.get("sampler", card.sampler.get("name", "")))
    if not name:
        raise UsageError(
            f'the card of {card.id} names no sampler: write [sampler] name = "heun", or give +sampler=heun'
        )
    registered = plugins.sampler(name)
    sampler: SamplerSpec = registered.value
    chosen = _parsed(card, family, sampler, given, text)
    settings = {**_card_settings(card, sampler, chosen), **chosen}
    spacing = settings.get("spacing", sampler.options["spacing"].default if "spacing" in sampler.options else None)
    if isinstance(spacing, str) and spacing in SPACING_OPTIONS:
        check_spacing(name, spacing, settings)
    return registered, {"name": name, **settings}


def _parsed(
    card: ModelCard, family: Family, sampler: SamplerSpec, given: Mapping[str, str], text: str
) -> dict[str, Any]:
    parsed = {}
    for name, value in given.items():
        if name == "sampler":
            continue
        if name not in sampler.options:
            close = did_you_mean(name, [*sampler.options, *family.options, "sampler"])
            raise UsageError(
                f"{text}: {card.id} with sampler {sampler.name} has no option {name!r}{close}; "
                f"{_options_sentence(card, family, sampler.options)}"
            )
        parsed[name] = sampler.options[name].parse(name, value)
    return parsed


def _card_settings(card: ModelCard, sampler: SamplerSpec, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What the card says and the choice leaves standing: another sampler, or another spacing, has its own defaults."""
    if sampler.name != card.sampler.get("name"):
        return {}
    spacing = chosen.get("spacing")
    tied = {option for options in SPACING_OPTIONS.values() for option in options}
    dropped = tied - set(SPACING_OPTIONS.get(spacing, ())) if spacing else set()
    kept = {name: value for name, value in card.sampler.items() if name != "name" and name not in dropped}
    try:
        return checked_options(sampler, kept)
    except UsageError as error:
        raise UsageError(f"the card of {card.id}: {error}") from None


def _options_sentence(card: ModelCard, family: Family, sampler_names: Iterable[str]) -> str:
    own, common = [*family.options], common_options(card, family)
    names = [*own, *(["sampler"] if family.denoiser else []), *sampler_names, *common]
    return f"it has: {', '.join(names)}" if names else "it has no options"


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))
