"""Plugins that a person has switched off: in the environment, or for good with ``reprozoo plugins disable``.

Everything here goes by the names of entry points, so it works for a plugin that cannot be imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import entry_points

from reprozoo.base import paths
from reprozoo.base.errors import UsageError
from reprozoo.base.files import write_error, write_whole
from reprozoo.zoo.plugins.specs import GROUP

DISABLE_VARIABLE = "REPROZOO_DISABLE_PLUGINS"


def disabled_plugins() -> dict[str, str]:
    """Name -> how it was switched off and is switched on again."""
    names = os.environ.get(DISABLE_VARIABLE, "").split(",")
    by_environment = {name.strip(): f"switched off by {DISABLE_VARIABLE}" for name in names if name.strip()}
    by_file = {
        name: f"switched off; `reprozoo plugins enable {name}` switches it on" for name in sorted(switched_off())
    }
    return by_file | by_environment


def switched_off() -> set[str]:
    """The names in ``paths.disabled_plugins()``, one a line.

    Raises:
        UsageError: the file is there and cannot be read.
    """
    path = paths.disabled_plugins()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}, which names the plugins that are switched off: {error}") from error
    return {line.strip() for line in lines if line.strip()}


def switch(names: Iterable[str], *, on: bool) -> None:
    """Switch plugins on or off from the next command on.

    Raises:
        UsageError: the file cannot be read or written.
    """
    path = paths.disabled_plugins()
    left = switched_off() - set(names) if on else switched_off() | set(names)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error, remedy=REMEDY) from error
    write_whole(path, "".join(f"{name}\n" for name in sorted(left)).encode(), remedy=REMEDY)


def installed_names() -> set[str]:
    """Names of all plugins that are installed; nothing is imported."""
    return {point.name for point in entry_points(group=GROUP)}


REMEDY = f"set XDG_CONFIG_HOME to a place that can be written, or name the plugins in {DISABLE_VARIABLE}"
