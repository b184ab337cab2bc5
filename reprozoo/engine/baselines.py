"""References that need no training: which of them fit the models of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reprozoo.base.errors import PluginError, UnavailableError, UsageError
from reprozoo.engine.executors import Recipe
from reprozoo.engine.setup import Setup, check_models

AUTOMATIC_FAMILY = "theory-gaussian"  # its cards say which training set's mean and covariance they hold


class Zoo(Protocol):
    """Where specs are resolved; ``zoo.Zoo`` is one."""

    def resolve(self, text: str, *, device: str = "cpu", dtype: str = "float32", offline: bool = False) -> Recipe: ...


@dataclass(frozen=True)
class Reference:
    """A baseline and the positions of the models that it is compared with."""

    recipe: Recipe
    against: list[int]


def references(
    specs: Sequence[str] | None, recipes: Sequence[Recipe], zoo: Any, setup: Setup, **options: Any
) -> tuple[list[Reference], list[str]]:
    """The baselines of a run, and a sentence for each that had to be left out.

    Args:
        specs: map specs, each compared with every model; None for the Gaussian theory of each model's training data,
            where the registry has it.
        options: for ``zoo.resolve``.

    Raises:
        UsageError: a baseline that was asked for does not fit the models.
    """
    if specs is not None:
        asked = [Reference(zoo.resolve(spec, **options), list(range(len(recipes)))) for spec in specs]
        for reference in asked:
            check_models([*recipes, reference.recipe], setup)
        return asked, []
    found: list[Reference] = []
    notes: list[str] = []
    for spec, positions in _automatic(recipes, zoo).items():
        try:
            recipe = zoo.resolve(spec, **options)
            check_models([recipes[positions[0]], recipe], setup)
            found.append(Reference(recipe, positions))
        except (UsageError, PluginError, UnavailableError) as error:
            notes.append(f"no Gaussian baseline ({spec}): {error}")
    return found, notes


def _automatic(recipes: Sequence[Recipe], zoo: Any) -> dict[str, list[int]]:
    """Baseline card -> positions of the models trained on its data, but the baseline itself."""
    registry = getattr(zoo, "registry", None)
    cards = registry.models.values() if registry is not None else ()
    by_data = {card.training.get("dataset"): card for card in cards if card.family == AUTOMATIC_FAMILY}
    wanted: dict[str, list[int]] = {}
    for position, recipe in enumerate(recipes):
        description = recipe.describe()
        described = description.get("card", {})
        data = description.get("options", {}).get("data") or described.get("training", {}).get("dataset")
        card = by_data.get(data)  # a theory's training set is an option
        if card is not None and described.get("family") != AUTOMATIC_FAMILY and card.noise_shape == recipe.noise_shape:
            wanted.setdefault(card.id, []).append(position)
    return wanted
