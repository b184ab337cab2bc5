"""The plugins of this environment and the cards they give, each read once in a process."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from reprozoo.base import paths
from reprozoo.base.errors import UsageError
from reprozoo.zoo.plugins.loading import Plugins

if TYPE_CHECKING:
    from reprozoo.zoo.cards import Registry

REGISTRY_VARIABLE = "REPROZOO_REGISTRY"  # further directories of cards, as PATH lists directories


@cache
def installed_plugins() -> Plugins:
    """The plugins of this environment, loaded once in a process."""
    return Plugins()


@cache
def installed_registry() -> Registry:
    """The cards of this environment, read once in a process: of the plugins, of the user, of ``REPROZOO_REGISTRY``.

    A plugin whose cards have a mistake, or take a name that another plugin's have, is broken.

    Raises:
        UsageError: a card of the user's has a mistake, or takes a name; the sentence names the files.
    """
    registry = plugin_cards(installed_plugins())
    if paths.user_registry().is_dir():
        registry.add(paths.user_registry())
    for directory in filter(None, os.environ.get(REGISTRY_VARIABLE, "").split(os.pathsep)):
        registry.add(Path(directory))
    return registry


def plugin_cards(plugins: Plugins) -> Registry:
    """The cards that plugins give; those of one plugin all or none."""
    from reprozoo.zoo.cards import Registry

    registry = Registry()
    for record in plugins.records:
        try:
            registry.add(*map(Path, record.provides.get("cards", ())))
        except UsageError as error:
            plugins.mark_broken(record, error)
    return registry
