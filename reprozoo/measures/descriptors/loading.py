"""From a name to a descriptor, with the weights that its card names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reprozoo.base.errors import ContractError, ReprozooError, UsageError, did_you_mean
from reprozoo.measures.descriptors.base import Descriptor, DescriptorContext
from reprozoo.zoo.cards import DescriptorCard, Registry
from reprozoo.zoo.plugins import BUNDLED_DISTRIBUTION, DescriptorSpec, Plugins, import_object, installed_plugins
from reprozoo.zoo.weights import fetch


def descriptor_names(registry: Registry | None = None, plugins: Plugins | None = None) -> list[str]:
    """Every name that ``load_descriptor`` takes."""
    cards = registry.descriptors.values() if registry is not None else ()
    return sorted({*_specs(plugins), *(name for card in cards for name in (card.id, *card.aliases))})


def load_descriptor(
    name: str,
    *,
    registry: Registry | None = None,
    plugins: Plugins | None = None,
    offline: bool = False,
    threads: int | None = None,
) -> Descriptor:
    """The descriptor of a name, its weights fetched and verified.

    Args:
        name: of a descriptor, or the id or an alias of its card.
        registry: where its card is looked for.
        plugins: whose descriptors there are; those of this environment by default.
        offline: use only what is on disk.
        threads: CPU threads it may use; None for as many as torch uses.

    Raises:
        UsageError: no descriptor of this name, or ``threads`` below 1.
        UnavailableError, IntegrityError: its weights cannot be had, or are not what they should be.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"a descriptor runs on at least one thread, got {threads}")
    card = _card(name, registry)
    specs = _specs(plugins)
    called = [name] if card is None else [card.id, *card.aliases]
    spec = next((specs[known] for known in called if known in specs), None)
    if spec is None:
        names = descriptor_names(registry, plugins)
        raise UsageError(f"no descriptor is called {name!r}{did_you_mean(name, names)}; there is: {', '.join(names)}")
    descriptor = _build(spec, card, offline=offline, threads=threads)
    descriptor.plugins = tuple(_givers(spec, card, plugins))
    return descriptor


def _specs(plugins: Plugins | None) -> Mapping[str, DescriptorSpec]:
    """Every descriptor by name; of the plugins of this environment where none are given."""
    return {name: found.value for name, found in (plugins or installed_plugins()).descriptors.items()}


def _card(name: str, registry: Registry | None) -> DescriptorCard | None:
    cards = registry.descriptors.values() if registry is not None else ()
    return next((card for card in cards if name.lower() in (card.id, *card.aliases)), None)


def _givers(spec: DescriptorSpec, card: DescriptorCard | None, plugins: Plugins | None) -> Iterator[Mapping[str, str]]:
    """The plugins of a descriptor and of its card."""
    plugins = plugins or installed_plugins()
    plugin = plugins.descriptors[spec.id].plugin
    if plugin.distribution != BUNDLED_DISTRIBUTION:
        yield plugin.provenance(f"descriptor {spec.id}")
    if card is not None and (giver := plugins.giver_of(card.home)):
        yield giver.provenance(f"card {card.id}")


def _build(spec: DescriptorSpec, card: DescriptorCard | None, *, offline: bool, threads: int | None) -> Descriptor:
    sources = card.weights if card is not None else ()
    fetched = {source.name: fetch(source, card_dir=card.home, offline=offline) for source in sources if card}
    files = {name: file.path for name, file in fetched.items()}
    digests = {name: file.sha256 for name, file in fetched.items()}
    try:
        descriptor = import_object(spec.load)(DescriptorContext(card, files, digests, threads))
    except ReprozooError:
        raise
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        raise ContractError(f"the descriptor {spec.id!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(descriptor, Descriptor):
        raise ContractError(f"{spec.load} returned {type(descriptor).__name__}, expected a Descriptor")
    return descriptor
