"""The laboratory: ``reprozoo train`` makes the small models of the registry again from their recipes."""

from collections.abc import Callable

from reprozoo import hookimpl


@hookimpl
def reprozoo_register_commands(register: Callable[[str, str, str], None]) -> None:
    register("train", "reprozoo_plugins.lab.command:train", "Train a small model from a recipe.")
