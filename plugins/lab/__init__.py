"""The laboratory: ``reprozoo train`` makes the small models of the registry again from their recipes.

The data set ``recipe-data`` has a split for every recipe, e.g. ``--data recipe-data --split tiny-w32-n64``: the images
that it trains on.
"""

from collections.abc import Callable

from reprozoo import DatasetSpec, hookimpl


@hookimpl
def reprozoo_register_commands(register: Callable[[str, str, str], None]) -> None:
    register("train", "reprozoo_plugins.lab.command:train", "Train a small model from a recipe.")


@hookimpl
def reprozoo_register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    register(
        DatasetSpec(
            id="recipe-data",
            summary="What a recipe trains on; its split is the recipe's id",
            load="reprozoo_plugins.lab.data:recipe_data",
        )
    )
