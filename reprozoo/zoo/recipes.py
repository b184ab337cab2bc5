"""What a map spec resolved to: everything that can change the images of one map, as plain data.

A ``MapRecipe`` is picklable, so that processes share it. It says who it is (``identity``, the store's key), what to
show (``facts``) and builds the map (``load``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo.base.errors import ContractError, IntegrityError, ReprozooError
from reprozoo.base.files import bytes_on_disk
from reprozoo.diffusion.sampler_specs import SamplerSpec
from reprozoo.diffusion.sampling import Sampler
from reprozoo.zoo.cards import ModelCard, canonical_digest
from reprozoo.zoo.plugins import Family, LoadContext, import_object, installed_plugins

if TYPE_CHECKING:
    from reprozoo.diffusion.kernels import Kernel
    from reprozoo.maps.condition import Condition
    from reprozoo.maps.contract import NoiseToImageMap


@dataclass(frozen=True)
class MapRecipe:
    """Everything that can change the images of one map, as plain data.

    Attributes:
        spec: the text the user gave.
        card: the card it resolved to.
        options: the family's own options, resolved.
        sampler: the sampler's name and options, resolved; empty for maps without one.
        files: local file by name, verified.
        digests: sha256 by name, of weights files and of the content that file and data-set options name.
        output_version, plugin: of the family, and the plugin it came from.
        other_plugins: those that gave the card and the data sets it names.
        libraries: versions of packages beside torch whose code makes the images, by name.
        sampler_version: ``output_version`` of the sampler.
    """

    spec: str
    card: ModelCard
    options: Mapping[str, Any]
    sampler: Mapping[str, Any]
    files: Mapping[str, Path]
    digests: Mapping[str, str]
    device: str
    dtype: str
    output_version: int
    plugin: Mapping[str, str]
    other_plugins: tuple[Mapping[str, str], ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    sampler_version: int = 1

    @property
    def display_id(self) -> str:
        """The id with the options the user gave, as tables show it."""
        return self.spec

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self.card.noise_shape

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.card.image_shape

    @property
    def num_classes(self) -> int | None:
        return self.card.num_classes

    @property
    def weights_digest(self) -> str | None:
        """One sha256 over all weights; equal for two recipes that run the same ones, None for a map without any."""
        weights = {name: ":".join([self.digests[name], *filter(None, [self.parts.get(name)])]) for name in self.files}
        return canonical_digest(weights) if weights else None

    @property
    def parts(self) -> dict[str, str]:
        """What is read of files that hold several networks, e.g. "ema" of the format "torch:ema", by name."""
        parts = {source.name: source.format.partition(":")[2] for source in self.card.weights}
        return {name: part for name, part in parts.items() if part}

    @property
    def weights_bytes(self) -> int:
        """Size on disk of the files that are read to load the map."""
        return sum(map(bytes_on_disk, self.files.values()))

    def check_conditions(self, conditions: Sequence[Condition]) -> None:
        """Refuse class labels that do not fit the card, before anything is loaded; the map checks the rest itself.

        Raises:
            UsageError: a label for an unconditional model, none for a conditional one, or one out of range.
        """
        from reprozoo.maps.condition import Condition, check_condition

        labels = {condition.class_label for condition in conditions} or {None}
        takes = frozenset({"class_label"} if self.card.num_classes is not None else ())
        for label in labels:
            check_condition(Condition(class_label=label), takes, takes, self.card.num_classes, name=self.spec)

    def identity(self) -> dict[str, Any]:
        """Everything that can change an image, as JSON: equal identities mean equal images, and share them."""
        import torch

        return {
            **self.card.image_config(),
            "output_version": self.output_version,
            # What was resolved from the card replaces what the card says; content counts by digest, not by place.
            "options": {name: value for name, value in self.options.items() if name not in self.digests},
            "sampler": dict(self.sampler),
            **({"sampler_version": self.sampler_version} if self.sampler_version != 1 else {}),
            "digests": dict(self.digests),
            **({"parts": self.parts} if self.parts else {}),
            "dtype": self.dtype,
            "device": self.device.split(":")[0],
            "torch": ".".join(torch.__version__.split(".")[:2]),
            **({"libraries": dict(self.libraries)} if self.libraries else {}),
        }

    def facts(self) -> dict[str, Any]:
        """What a report shows: the card, the resolved configuration, the digests and the plugin."""
        return {
            "spec": self.spec,
            "card": self.card.to_json(),
            "options": {name: _jsonable(value) for name, value in self.options.items()},
            "sampler": dict(self.sampler),
            "digests": dict(self.digests),
            "weights_bytes": self.weights_bytes,
            **({"libraries": dict(self.libraries)} if self.libraries else {}),
            "device": self.device,
            "dtype": self.dtype,
            "plugin": dict(self.plugin),
            "other_plugins": [dict(plugin) for plugin in self.other_plugins],
        }

    def load(self) -> NoiseToImageMap:
        """Build the map.

        Raises:
            IntegrityError: a file of this machine was changed since the spec was resolved.
            ReprozooError: as the family says; anything else it raises becomes a ContractError naming the family.
        """
        plugins = installed_plugins()
        family: Family = plugins.family(self.card.family, package=self.card.package).value
        sampler = plugins.sampler(self.sampler["name"]).value if self.sampler else None
        context = LoadContext(
            self.card, self.options, self.files, self.device, self.dtype,
            *kernel_and_sampler(self.card, self.sampler, sampler),
        )  # fmt: skip
        try:
            loaded: NoiseToImageMap = import_object(family.load)(context)
        except ReprozooError:
            raise
        except (Exception, SystemExit) as error:
            raise ContractError(
                f"the family {family.name!r} could not load {self.spec}: {type(error).__name__}: {error}"
            ) from error
        _check_shapes(self, loaded)
        _check_files(self, family)
        loaded.name = self.spec  # type: ignore[attr-defined]  # how messages call it
        return loaded


def kernel_and_sampler(
    card: ModelCard, settings: Mapping[str, Any], spec: SamplerSpec | None
) -> tuple[Kernel | None, Sampler | None]:
    """Kernel and sampler of a card; None and None where ``spec`` is None.

    Args:
        settings: name and options of the sampler.
        spec: of the sampler.

    Raises:
        UsageError: a mistake in the card's kernel, or an option that does not suit it.
        ContractError: the sampler's code fails, or makes something else.
    """
    if spec is None:
        return None, None
    from reprozoo.diffusion.kernels import kernel_from_config

    kernel = kernel_from_config(dict(card.kernel))
    return kernel, _built(spec, kernel, {name: value for name, value in settings.items() if name != "name"})


def _built(spec: SamplerSpec, kernel: Kernel, options: Mapping[str, Any]) -> Sampler:
    try:
        sampler = import_object(spec.load)(kernel=kernel, **options)
    except ReprozooError:
        raise
    except (Exception, SystemExit) as error:
        raise ContractError(f"the sampler {spec.name!r} cannot be built: {type(error).__name__}: {error}") from error
    if not isinstance(sampler, Sampler):
        raise ContractError(f"{spec.load} returned {type(sampler).__name__}, expected a Sampler")
    return sampler


def _check_shapes(recipe: MapRecipe, loaded: NoiseToImageMap) -> None:
    for what in ("noise_shape", "image_shape"):
        promised, came = tuple(getattr(recipe, what)), tuple(getattr(loaded, what))
        if promised != came:
            raise ContractError(f"the card of {recipe.spec} says {what} {promised}, the loaded map has {came}")


def _check_files(recipe: MapRecipe, family: Family) -> None:
    """Refuse what was just read, unless it still is what the digests say: images are stored under these."""
    from reprozoo.zoo.cards import LocalSource
    from reprozoo.zoo.weights import content_digest

    sources = {source.name: source for source in recipe.card.weights}
    read = {name: source.path for name, source in sources.items() if isinstance(source, LocalSource)}
    read |= {
        name: Path(recipe.options[name])
        for name, option in family.options.items()
        if option.kind in ("file", "weights") and recipe.options.get(name) and name not in sources
    }
    for name, path in read.items():
        if content_digest(path) != recipe.digests[name]:
            raise IntegrityError(f"{path} was changed while {recipe.spec} was at work; run the same command again")


def _jsonable(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
