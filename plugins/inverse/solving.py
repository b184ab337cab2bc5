"""Solvers over the zoo: a recipe whose denoiser is asked for images that fit an observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reprozoo_plugins.inverse.catalogue import ChosenSolver, choose_solver, resolve_options

from reprozoo import Condition, ContractError, Family, ModelCard, ReprozooError, SolverSpec, UsageError
from reprozoo.maps.condition import check_condition
from reprozoo.zoo.plugins import import_object
from reprozoo.zoo.recipes import MapRecipe
from reprozoo.zoo.resolving import Chosen, Fetched, Zoo, common_options, content_digests, default_zoo
from reprozoo.zoo.specs import DTYPES, MapSpec

if TYPE_CHECKING:
    from reprozoo import NoiseToImageMap

DEFAULT_SOLVER = "dps"
NOT_RUN = ("sampler", "sampler_version")  # of a model's identity
CHOICE = "solver"  # the option of a model's spec that names its own
# The name of this plugin was "dps" when the first images were stored, and their keys have it.
STORED_NAMES = {("reprozoo", "inverse"): "dps"}


@dataclass(frozen=True)
class SolverRecipe:
    """A model's recipe with a solver over it; as ``MapRecipe``, plain data and picklable.

    Attributes:
        spec: the text the user gave.
        base: of the denoiser.
        solver: the spec of the solver.
        options: of the solver, resolved.
        plugin: what the solver came from.
        digests: sha256 of the content that file and data-set options name.
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
        base = {name: value for name, value in self.base.identity().items() if name not in NOT_RUN}
        name = STORED_NAMES.get((self.plugin["distribution"], self.plugin["name"]), self.plugin["name"])
        solver = {
            "name": self.solver.name,
            "options": {name: value for name, value in self.options.items() if name not in self.digests},
            "digests": dict(self.digests),
            "output_version": self.solver.output_version,
            "plugin": {**self.plugin, "name": name},
        }
        return {**base, "solver": solver}

    def facts(self) -> dict[str, Any]:
        """What a report shows: the model's, the solver's in the place of the sampler's."""
        shown = {name: value for name, value in self.base.facts().items() if name not in NOT_RUN}
        others = [*shown.get("other_plugins", ()), dict(self.plugin)]
        solver = {"name": self.solver.name, **self.options}
        return shown | {"spec": self.spec, "solver": solver, "other_plugins": others}

    def load(self) -> NoiseToImageMap:
        """Build the map.

        Raises:
            ReprozooError: as the family and the solver say; anything else becomes a ContractError that names them.
        """
        from reprozoo import DenoiserMap

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


@dataclass(frozen=True)
class SolvedChoice:
    """A model's spec under a problem, before weights are fetched; ``SolvingZoo.recipe`` goes on from it.

    Attributes:
        text: the spec.
        model: what it says of the model.
        solver: its own, or that of the run.
    """

    text: str
    model: Chosen
    solver: ChosenSolver

    @property
    def card(self) -> ModelCard:
        return self.model.card


class SolvingZoo:
    """A zoo whose every recipe has a solver over it.

    A spec may name a solver of its own, with options of the solver after it: ``tiny-edm+solver=dps+zeta=0.1``. What is
    not given has the default of that solver, whatever the run's solver was given.

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
        self.solver = choose_solver(solver, self.plugins)

    def choose(self, text: str, *, dtype: str = DTYPES[0], offline: bool = False) -> SolvedChoice:
        """As ``Zoo.choose``, for models with a denoiser of pixels.

        Raises:
            UsageError: the model has none, or an option of a sampler, which does not run, is given.
        """
        spec = MapSpec.parse(text)
        card = self.zoo.card(spec, offline=offline)
        family: Family = self.plugins.family(card.family, package=card.package).value
        if not family.denoiser or card.noise_shape != card.image_shape:
            raise UsageError(no_denoiser(text))
        known = {*family.options, *common_options(card, family)}
        solver, own = self._solver_of(spec, known)
        base = _without(spec, {CHOICE, *own}) if CHOICE in spec.options else text
        model = self.zoo.choose(base, dtype=dtype, offline=offline)
        for option in spec.options:
            if option not in (*known, *own, CHOICE):
                raise UsageError(_for_the_sampler(text, spec, option, solver.spec))
        return SolvedChoice(text, model, solver)

    def recipe(
        self, chosen: SolvedChoice, *, device: str = "cpu", offline: bool = False, fetched: Fetched | None = None
    ) -> SolverRecipe:
        """As ``Zoo.recipe``, with what the solver's options name of files and data sets."""
        fetched = fetched or Fetched()
        base = self.zoo.recipe(chosen.model, device=device, offline=offline, fetched=fetched)
        solver = chosen.solver
        digests = content_digests(solver.spec.options, solver.options, {}, offline=offline, fetched=fetched)
        provenance = solver.plugin.provenance(f"solver {solver.spec.name}")
        return SolverRecipe(chosen.text, base, solver.spec, solver.options, provenance, digests)

    def resolve(self, text: str, *, device: str = "cpu", dtype: str = "float32", offline: bool = False) -> SolverRecipe:
        """``choose`` and ``recipe`` at once; raises as they do."""
        return self.recipe(self.choose(text, dtype=dtype, offline=offline), device=device, offline=offline)

    def check(self, text: str, *, offline: bool = False) -> ModelCard:
        """The card of a spec, once ``choose`` finds nothing wrong; raises as it does."""
        return self.choose(text, offline=offline).card

    def _solver_of(self, spec: MapSpec, known: set[str]) -> tuple[ChosenSolver, Sequence[str]]:
        """The solver of a spec and which options are the solver's: behind its name, all that the model has not.

        Args:
            known: options of the model.
        """
        if CHOICE not in spec.options:
            return self.solver, ()
        names = [*spec.options]
        solver = choose_solver(spec.options[CHOICE], self.plugins)
        behind = names[names.index(CHOICE) + 1 :]
        own = [name for name in behind if name in solver.spec.options or name not in known]
        given = {name: spec.options[name] for name in own}
        text = f"+{CHOICE}={solver.spec.name}"
        return ChosenSolver(solver.spec, solver.plugin, resolve_options(text, solver.spec.options, given)), own


def no_denoiser(name: str) -> str:
    """The sentence about a model that no solver can use."""
    return (
        f"{name} has no denoiser of pixels, and an inverse problem is solved through one: latent models, distilled "
        "ones and finished images have none; leave it out, or leave out --inverse"
    )


def _without(spec: MapSpec, dropped: set[str]) -> str:
    """The text of a spec without some of its options."""
    kept = [f"+{name}={value}" for name, value in spec.options.items() if name not in dropped]
    return "".join([spec.id, f"@{spec.revision}" if spec.revision else "", *kept])


def _for_the_sampler(text: str, spec: MapSpec, option: str, solver: SolverSpec) -> str:
    """The sentence about an option of a sampler; where the solver has one of that name, with how it is given."""
    remedy = (
        f"{spec.id}+{CHOICE}={solver.name}+{option}={spec.options[option]}"
        if option in solver.options
        else f"the solver {solver.name} has: {', '.join(solver.options) or 'no options'}"
    )
    return (
        f"{text}: +{option} is for the model's sampler, and that does not run in an inverse problem; options of the "
        f"solver come behind its name: {remedy}"
    )
