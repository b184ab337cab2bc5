"""What can be said of a question before anything is loaded: names, options, shapes; no torch, no network.

``Materials`` are the Python objects that stand behind labels of a question, ``Workplace`` is where it is answered:
neither is part of what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from reprozoo.base.errors import PluginError, UsageError, did_you_mean
from reprozoo.engine.naming import exists, is_folder
from reprozoo.engine.question import GENERALIZE, SAMPLE, Question
from reprozoo.maps.condition import Condition, check_condition
from reprozoo.maps.conditions import Conditions, InTurn, as_conditions, conditions_of_classes

if TYPE_CHECKING:
    from reprozoo.engine.executors import Executor, Recipe
    from reprozoo.engine.progress import Progress
    from reprozoo.engine.store import Store
    from reprozoo.measures.base import Measure, ScoreSpec
    from reprozoo.measures.descriptors import Descriptor
    from reprozoo.zoo.cards import ModelCard
    from reprozoo.zoo.fetched import Fetched
    from reprozoo.zoo.plugins import MeasureSpec


@dataclass(frozen=True)
class Materials:
    """Objects in the place of texts.

    Attributes:
        sides: by label: a ``NoiseToImageMap``, a callable, a path or an array of images.
        noise: a source, or an array of noises.
        conditions: one, several in turn, or a source.
        descriptors: by the name that the question gives.
    """

    sides: Mapping[str, Any] = field(default_factory=dict)
    noise: Any = None
    conditions: Conditions | Condition | Sequence[Condition] = ()
    descriptors: Mapping[str, Descriptor] = field(default_factory=dict)

    @property
    def named(self) -> list[str]:
        """What of a question they stand for; such a question cannot be asked from a file or the command line."""
        found = {"noise": self.noise is not None, "conditions": bool(self.conditions), "sides": bool(self.sides)}
        return [name for name, given in found.items() if given] + (["descriptor"] if self.descriptors else [])


Threshold = tuple[tuple[float, float], bool]  # bounds, and whether values below it count


class Specs:
    """Map specs of one zoo: each chosen once, and each file of weights hashed once, from checks to sampling."""

    def __init__(self, zoo: Any, *, offline: bool) -> None:
        self.zoo, self.offline = zoo, offline
        self._chosen: dict[tuple[str, str], Any] = {}

    @cached_property
    def fetched(self) -> Fetched:
        """The weights that have been fetched and hashed so far."""
        from reprozoo.zoo.fetched import Fetched

        return Fetched()

    def card(self, text: str, dtype: str) -> ModelCard | None:
        """The card of a spec, once nothing is wrong with it; None where the zoo has no cards."""
        if hasattr(self.zoo, "choose"):
            card: ModelCard = self._choice(text, dtype).card
            return card
        return self.zoo.check(text, offline=self.offline) if hasattr(self.zoo, "check") else None

    def recipe(self, text: str, *, device: str, dtype: str) -> Recipe:
        """The recipe of a spec, its weights fetched and verified."""
        if not hasattr(self.zoo, "choose"):
            other: Recipe = self.zoo.resolve(text, device=device, dtype=dtype, offline=self.offline)
            return other
        chosen = self._choice(text, dtype)
        recipe: Recipe = self.zoo.recipe(chosen, device=device, offline=self.offline, fetched=self.fetched)
        return recipe

    def bytes_of_weights(self, card: ModelCard) -> int:
        """Size of the weights of a card, fetched and verified."""
        from reprozoo.base.files import bytes_on_disk

        _, files, _ = self.fetched.weights(card, offline=self.offline)
        return sum(map(bytes_on_disk, files.values()))

    def _choice(self, text: str, dtype: str) -> Any:
        key = (text, dtype)
        if key not in self._chosen:
            self._chosen[key] = self.zoo.choose(text, dtype=dtype, offline=self.offline)
        return self._chosen[key]


@dataclass(frozen=True)
class Workplace:
    """Where a question is answered.

    Attributes:
        zoo: where specs are resolved; that of this environment by default.
        store: of images and features; ``Store()`` by default.
        executor: who samples; this process by default.
        progress: called with a ``ProgressEvent`` after each step.
        offline: fetch nothing.
        threads: CPU threads of descriptors.
        specs: what is known of map specs, so that each is read, and its weights hashed, once.
    """

    zoo: Any = None
    store: Store | None = None
    executor: Executor | None = None
    progress: Progress | None = None
    offline: bool = False
    threads: int | None = None
    specs: Specs | None = None

    @classmethod
    def here(cls, *, offline: bool = False) -> Self:
        """This environment, its specs read once."""
        place = cls(offline=offline)
        return replace(place, specs=Specs(place.with_zoo(), offline=offline))

    def resolved_by(self, zoo: Any) -> Specs:
        """The specs of a zoo as far as they are known."""
        return self.specs if self.specs is not None and self.specs.zoo is zoo else Specs(zoo, offline=self.offline)

    def with_zoo(self) -> Any:
        """The zoo given, or that of this environment."""
        if self.zoo is not None:
            return self.zoo
        from reprozoo.zoo.resolving import default_zoo

        return default_zoo()


def check_question(question: Question, materials: Materials, place: Workplace) -> None:
    """Refuse what cannot be answered, as far as names and cards say.

    Raises:
        UsageError, PluginError: with what was expected.
    """
    zoo = place.with_zoo()
    check_descriptors(question, materials, zoo)
    if question.task != SAMPLE:
        plugins = getattr(zoo, "plugins", None)
        check_measures(question, plugins)
        if question.threshold:
            check_thresholds(question, measure_classes(question, plugins))
    specs = map_specs(question, materials)
    if is_problem(question):
        check = problem_part(zoo, "check")
        if check is not None:
            check(question, zoo, list(specs.values()), offline=place.offline)
        return  # its solver says which options and models fit
    cards = {label: _card(spec, question.dtype, place.resolved_by(zoo)) for label, spec in specs.items()}
    known = {label: card for label, card in cards.items() if card is not None}
    check_shapes(known)
    _check_conditions(question, materials, known)


def is_problem(question: Question) -> bool:
    """Whether any part of an inverse problem is asked."""
    return any((question.inverse, question.observation, question.solver, question.observation_noise))


def problem_part(zoo: Any, part: str) -> Any:
    """The function of the problem's plugin that checks ("check") or poses ("load") it.

    Raises:
        PluginError: no plugin poses inverse problems.
    """
    from reprozoo.zoo.plugins import import_object

    problems = zoo.plugins.problems
    if not problems:
        raise PluginError("no plugin poses inverse problems; `reprozoo plugins` lists what is installed")
    target = getattr(problems["inverse"].value, part)
    return import_object(target) if target else None


def map_specs(question: Question, materials: Materials) -> dict[str, str]:
    """By label, the map specs of the question: sides that are neither objects nor folders, and baselines.

    Raises:
        UsageError: a folder is not there.
    """
    found = {}
    for label in question.sides:
        given = materials.sides.get(label, label)
        if isinstance(given, Path) or (isinstance(given, str) and is_folder(given)):
            if not exists(given):
                raise UsageError(f"there is no file or folder {given}")
        elif isinstance(given, str):
            found[label] = given
    return found | {spec: spec for spec in question.baselines or ()}


def _card(spec: str, dtype: str, specs: Specs) -> ModelCard | None:
    """The card of a spec; a folder whose name looks like a spec is pointed out."""
    try:
        return specs.card(spec, dtype)
    except UsageError as error:
        if exists(spec):
            raise UsageError(f"{error}; for the images in this place write ./{spec}") from error
        raise


def check_shapes(models: Mapping[str, Any]) -> None:
    """Refuse models, by name, whose cards or recipes have different noise or images.

    Raises:
        UsageError: with the first two that differ.
    """
    for what in ("noise_shape", "image_shape"):
        by_shape = {tuple(getattr(model, what)): name for name, model in models.items()}
        if len(by_shape) > 1:
            (first, a), (second, b) = list(by_shape.items())[:2]
            raise UsageError(
                f"{a} and {b} cannot be compared: the {what.replace('_', ' ')} of one is {size(first)}, of the other "
                f"{size(second)}; models are compared on equal noise, image by image, and nothing is resized"
            )


def _check_conditions(question: Question, materials: Materials, cards: Mapping[str, ModelCard]) -> None:
    for condition in conditions_of(question, materials).every():
        labelled = Condition(class_label=condition.class_label)
        for spec, card in cards.items():
            takes = frozenset({"class_label"} if card.num_classes is not None else ())
            check_condition(labelled, takes, frozenset(), card.num_classes, name=spec)


def conditions_of(question: Question, materials: Materials) -> Conditions:
    """Which condition each noise gets."""
    if materials.conditions:
        return as_conditions(materials.conditions)
    if question.prompts_file is not None:
        from reprozoo.maps.prompts import read_prompts

        return read_prompts(Path(question.prompts_file))
    if question.classes is not None:
        return conditions_of_classes(question.classes)
    return InTurn(tuple(Condition(prompt=prompt) for prompt in question.prompts))


def check_measures(question: Question, plugins: Any = None) -> dict[str, MeasureSpec]:
    """Every measure that is installed.

    Raises:
        UsageError: there is none of a name that the question gives.
    """
    from reprozoo.zoo.plugins import installed_plugins

    known: dict[str, MeasureSpec] = {
        name: found.value for name, found in (plugins or installed_plugins()).measures.items()
    }
    for name in question.measures:
        if name not in known:
            raise UsageError(
                f"no measure is called {name!r}{did_you_mean(name, known)}; there are: {', '.join(sorted(known))}"
            )
    return known


def measure_classes(question: Question, plugins: Any = None) -> list[type[Measure]]:
    """The usual measures, and those that the question names.

    Raises:
        UsageError: there is no measure of a name. PluginError: it cannot be loaded.
    """
    known = check_measures(question, plugins)
    usual = [name for name, spec in known.items() if spec.usual]
    names = dict.fromkeys([*usual, *question.measures])
    return sorted((_measure(known[name]) for name in names), key=lambda kind: kind.rank)


def _measure(spec: MeasureSpec) -> type[Measure]:
    """The class that a plugin registered as a measure.

    Raises:
        PluginError: it cannot be loaded, or is something else.
    """
    from reprozoo.measures.base import Measure
    from reprozoo.zoo.plugins import import_object

    found = import_object(spec.load)
    if not (isinstance(found, type) and issubclass(found, Measure)):
        raise PluginError(f"the measure {spec.name!r}: {spec.load} is {found!r}, expected a subclass of Measure")
    if found.name != spec.name:
        raise PluginError(f"the measure {spec.name!r}: {spec.load} calls itself {found.name!r}; give both one name")
    return found


def scores_of(kind: type[Measure], task: str) -> list[ScoreSpec]:
    """The scores of a measure that a command reports."""
    pairing = "nearest" if task == GENERALIZE else "same"
    return [spec for spec in kind.scores if pairing in spec.pairings]


def check_thresholds(question: Question, kinds: Sequence[type[Measure]]) -> None:
    """Refuse thresholds of names that the question computes nothing of, or out of range.

    Raises:
        UsageError: as ``check_threshold_values``.
    """
    shares = {kind: [spec for spec in scores_of(kind, question.task) if spec.is_share] for kind in kinds}
    known: dict[str, Threshold] = {}
    for kind, specs in shares.items():
        below = any(spec.kind == "share_below" for spec in specs)
        known |= dict.fromkeys([spec.name for spec in specs] + [kind.name] * bool(specs), (kind.bounds, below))
    check_threshold_values(question.threshold, known)


def check_threshold_values(given: Mapping[str, float], known: Mapping[str, Threshold]) -> None:
    """Refuse names that nothing has, and thresholds that no value could ever pass, or always.

    Args:
        known: name -> the bounds of a threshold, and whether it counts values below it.

    Raises:
        UsageError: with what there is, or the range.
    """
    for name, at in given.items():
        if name not in known:
            raise UsageError(
                f"nothing called {name!r} has a threshold{did_you_mean(name, known)}; these have: {', '.join(known)}"
            )
        (low, high), below = known[name]
        if not (low < at <= high if below else low <= at < high):
            ends = f"above {low:g} and at most {high:g}" if below else f"from {low:g} to below {high:g}"
            raise UsageError(f"a threshold of {name} is {ends}, got {at:g}")


def check_descriptors(question: Question, materials: Materials, zoo: Any) -> None:
    """Refuse names of descriptors that nothing has.

    Raises:
        UsageError: with what there is.
    """
    from reprozoo.zoo.plugins import installed_plugins

    plugins, registry = getattr(zoo, "plugins", None) or installed_plugins(), getattr(zoo, "registry", None)
    cards = registry.descriptors.values() if registry is not None else ()
    names = sorted({*plugins.descriptors, *(name for card in cards for name in (card.id, *card.aliases))})
    for name in question.descriptor:
        if name not in materials.descriptors and name.lower() not in names:
            raise UsageError(
                f"no descriptor is called {name!r}{did_you_mean(name, names)}; there is: {', '.join(names)}"
            )


def size(shape: Sequence[int]) -> str:
    """3×32×32."""
    return "×".join(map(str, shape))
