"""Solvers over the zoo: a recipe whose denoiser is asked for images that fit an observation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reprozoo.base.errors import ContractError, PluginError, ReprozooError, UsageError, did_you_mean
from reprozoo.diffusion.denoisers import DenoiserMap
from reprozoo.inverse.catalogue import resolve_options
from reprozoo.maps.condition import Condition, check_condition
from reprozoo.maps.contract import NoiseToImageMap
from reprozoo.zoo.cards import ModelCard
from reprozoo.zoo.plugins import Plugins, Registered, SolverSpec, import_object, installed_plugins
from reprozoo.zoo.recipes import MapRecipe
from reprozoo.zoo.resolving import Zoo, common_options, content_digests, default_zoo
from reprozoo.zoo.specs import MapSpec

DEFAULT_SOLVER = "dps"
SOLVER_CHOICE = re.compile(r"\+solver=[\w-]*")


@dataclass(frozen=True)
class SolverRecipe:
    """A model's recipe with a solver over it; as ``MapRecipe``, plain data and picklable.

    Attributes:
        spec: the text the user gave.
        base: of the denoiser.
        solver: the spec of the solver.
        options: of the solver, resolved.
        digests: sha256 of the content that file and data-set options name.
        plugin: what the solver came from.
    """

    spec: str
    base: MapRecipe
    solver: SolverSpec
    options: Mapping[str, Any]
    plugin: Mapping[str, str]
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def card(self) -> ModelCard:
        return self.base.card

    @property
    def display_id(self) -> str:
        return self.spec

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self.base.noise_shape

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.base.image_shape

    @property
    def num_classes(self) -> int | None:
        return self.base.num_classes

    @property
    def weights_digest(self) -> str | None:
        return self.base.weights_digest

    @property
    def memory(self) -> int:
        """How many times the memory of plain sampling an image takes."""
        return self.solver.memory

    def check_conditions(self, conditions: Sequence[Condition]) -> None:
        """Refuse conditions before anything is loaded: no observation, or what the model itself refuses.

        Raises:
            UsageError: with what is missing or does not fit.
        """
        classes = self.card.num_classes
        takes = frozenset({"observation"} | ({"class_label"} if classes is not None else set()))
        for condition in conditions or [Condition()]:
            check_condition(condition, takes, takes, classes, name=f"{self.solver.name} over {self.display_id}")

    def identity(self) -> dict[str, Any]:
        """The model's, but its sampler's, which does not run; and the solver's."""
        base = {name: value for name, value in self.base.identity().items() if name != "sampler"}
        solver = {
            "name": self.solver.name,
            "options": {name: value for name, value in self.options.items() if name not in self.digests},
            "digests": dict(self.digests),
            "output_version": self.solver.output_version,
            "plugin": dict(self.plugin),
        }
        return {**base, "solver": solver}

    def describe(self) -> dict[str, Any]:
        """What a report shows: the model's, the solver's in the place of the sampler's."""
        described = {name: value for name, value in self.base.describe().items() if name != "sampler"}
        others = [*described.get("other_plugins", ()), dict(self.plugin)]
        solver = {"name": self.solver.name, **self.options}
        return described | {"spec": self.spec, "solver": solver, "other_plugins": others}

    def load(self) -> NoiseToImageMap:
        """Build the map.

        Raises:
            ReprozooError: as the family and the solver say; anything else becomes a ContractError that names them.
        """
        base = self.base.load()
        if not isinstance(base, DenoiserMap) or not base.is_posterior_mean or base.noise_shape != base.image_shape:
            raise UsageError(no_denoiser(self.display_id))
        try:
            solved: NoiseToImageMap = import_object(self.solver.load)(base, self.options)
        except ReprozooError:
            raise
        except (Exception, SystemExit) as error:
            raise ContractError(
                f"the solver {self.solver.name!r} could not be set up over {self.display_id}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if "observation" not in solved.requires:
            raise ContractError(f"the solver {self.solver.name!r} made a map that does not require an observation")
        solved.name = self.display_id  # type: ignore[attr-defined]  # how messages call it
        return solved


class SolvingZoo:
    """A zoo whose every recipe has a solver over it; a spec may name another one: ``theory-gaussian+solver=NAME``.

    Args:
        zoo: where models are resolved.
        solver: spec of the solver, ``NAME`` or ``NAME+option=value``.

    Raises:
        UsageError: unknown solver or option.
        PluginError: no solver is installed at all.
    """

    def __init__(self, zoo: Zoo | None = None, solver: str = DEFAULT_SOLVER) -> None:
        self.zoo = zoo or default_zoo()
        self.registry, self.plugins = self.zoo.registry, self.zoo.plugins
        self.solver, self.options = make_solver(solver, self.plugins)

    def resolve(self, text: str, *, device: str = "cpu", dtype: str = "float32", offline: bool = False) -> SolverRecipe:
        """As ``Zoo.resolve``, for models with a denoiser of pixels.

        Raises:
            UsageError: the model has none, or an option of a sampler, which does not run, is given.
        """
        chosen = MapSpec.parse(text).options.get("solver")
        registered, options = (self.solver, self.options) if chosen is None else make_solver(chosen, self.plugins)
        self.check(text, offline=offline)
        base = self.zoo.resolve(SOLVER_CHOICE.sub("", text), device=device, dtype=dtype, offline=offline)
        provenance = registered.plugin.provenance(f"solver {registered.value.name}")
        digests = content_digests(registered.value.options, options, {})
        return SolverRecipe(text, base, registered.value, options, provenance, digests)

    def check(self, text: str, *, offline: bool = False) -> ModelCard:
        """As ``Zoo.check``, for models with a denoiser of pixels; raises as ``resolve``."""
        spec = MapSpec.parse(text)
        card = self.zoo.card(spec, offline=offline)
        family = self.plugins.family(card.family, package=card.package).value
        if not family.denoiser or card.noise_shape != card.image_shape:
            raise UsageError(no_denoiser(text))
        for option in spec.options:
            if option not in (*family.options, *common_options(card, family), "solver"):
                raise UsageError(
                    f"{text}: +{option} is for the model's sampler, and that does not run in an inverse problem: steps "
                    f"are the solver's, e.g. --solver {self.solver.value.name}+steps=100"
                )
        return self.zoo.check(SOLVER_CHOICE.sub("", text), offline=offline)


def make_solver(text: str, plugins: Plugins | None = None) -> tuple[Registered, dict[str, Any]]:
    """The solver that a spec names, and its options.

    Raises:
        UsageError: unknown name or option, or a value that the option does not take.
        PluginError: no solver is installed.
    """
    known = (plugins or installed_plugins()).solvers
    if not known:
        raise PluginError("no plugin provides a solver of inverse problems; `reprozoo plugins` lists what is installed")
    spec = MapSpec.parse(text)
    if spec.id not in known:
        raise UsageError(
            f"no solver is called {spec.id!r}{did_you_mean(spec.id, known)}; there are: {', '.join(known)}"
        )
    registered = known[spec.id]
    return registered, resolve_options(text, registered.value.options, spec.options)


def no_denoiser(name: str) -> str:
    """The sentence about a model that no solver can use."""
    return (
        f"{name} has no denoiser of pixels, and an inverse problem is solved through one: latent models, distilled "
        "ones and finished images have none; leave it out, or leave out --inverse"
    )
