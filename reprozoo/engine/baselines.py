"""Baselines that need no training: which of them fit the models of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reprozoo.base.errors import PluginError, UnavailableError, UsageError
from reprozoo.engine.checking import Specs
from reprozoo.engine.executors import Recipe
from reprozoo.engine.setup import Setup, check_models

AUTOMATIC_FAMILY = "theory-gaussian"  # its cards say which training set's mean and covariance they hold


@dataclass(frozen=True)
class Baseline:
    """A baseline and the positions of the models that it is compared with."""

    recipe: Recipe
    against: list[int]


def baselines_of(
    wanted: Sequence[str] | None, recipes: Sequence[Recipe], specs: Specs, setup: Setup, **options: Any
) -> list[Baseline]:
    """The baselines of a run; one that is among the models is compared with them anyway, and left out here.

    Args:
        wanted: map specs, each compared with every model; None for the Gaussian theory of each model's training data,
            where the registry has it and it fits.
        specs: what resolves them, with these options.

    Raises:
        UsageError: a baseline that was asked for does not fit the models.
    """
    if wanted is not None:
        asked = [Baseline(specs.recipe(spec, **options), list(range(len(recipes)))) for spec in wanted]
        for baseline in asked:
            check_models([*recipes, baseline.recipe], setup)
        return [baseline for baseline in asked if not _is_among(baseline.recipe, recipes)]
    found = []
    for spec, positions in _automatic(recipes, specs.zoo).items():
        try:
            recipe = specs.recipe(spec, **options)
            check_models([recipes[positions[0]], recipe], setup)
        except (UsageError, PluginError, UnavailableError):
            continue  # it was not asked for
        if not _is_among(recipe, recipes):
            found.append(Baseline(recipe, positions))
    return found


def _is_among(recipe: Recipe, recipes: Sequence[Recipe]) -> bool:
    identity = recipe.identity()
    return any(other.identity() == identity for other in recipes)


def _automatic(recipes: Sequence[Recipe], zoo: Any) -> dict[str, list[int]]:
    """Baseline card -> positions of the models trained on its data, but the baseline itself."""
    registry = getattr(zoo, "registry", None)
    cards = registry.models.values() if registry is not None else ()
    by_data = {card.training.get("dataset"): card for card in cards if card.family == AUTOMATIC_FAMILY}
    wanted: dict[str, list[int]] = {}
    for position, recipe in enumerate(recipes):
        facts = recipe.facts()
        card_facts = facts.get("card", {})
        data = facts.get("options", {}).get("data") or card_facts.get("training", {}).get("dataset")
        card = by_data.get(data)  # a theory's training set is an option
        if card is not None and card_facts.get("family") != AUTOMATIC_FAMILY and card.noise_shape == recipe.noise_shape:
            wanted.setdefault(card.id, []).append(position)
    return wanted
