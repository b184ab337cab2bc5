"""A tolerant loader: one broken plugin cannot take the others down.

Every family of models, bundled or a stranger's, is an entry point in the group ``reprozoo``: a module (or object) with
functions marked ``@reprozoo.hookimpl``. Each entry point is imported, registered and asked in its own ``try``; what
goes wrong is kept in its record, listed by ``reprozoo plugins``, and fails only the request that needs it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from reprozoo import paths
from reprozoo.errors import PluginError
from reprozoo.plugins.specs import GROUP, DatasetSpec, DescriptorSpec, Family, Hooks

if TYPE_CHECKING:
    from reprozoo.cards import Registry

REGISTRY_VARIABLE = "REPROZOO_REGISTRY"  # further directories of cards, as PATH lists directories
DISABLE_VARIABLE = "REPROZOO_DISABLE_PLUGINS"
BUNDLED_DISTRIBUTION = "reprozoo"


@dataclass
class PluginRecord:
    """What became of one entry point.

    Attributes:
        status: "ok", "broken" or "disabled".
        provides: kind of registration -> names, e.g. {"families": ["edm"]}.
        error: one line, where broken.
        import_s: seconds its import took.
    """

    name: str
    target: str
    distribution: str
    version: str
    status: str = "ok"
    provides: dict[str, list[str]] = field(default_factory=dict)
    hooks: list[str] = field(default_factory=list)
    error: str | None = None
    import_s: float = 0.0

    def provenance(self) -> dict[str, str]:
        """Name, distribution and version, as results record it."""
        return {"name": self.name, "distribution": self.distribution, "version": self.version}


@dataclass(frozen=True)
class Registered:
    """One registration with the plugin it came from."""

    value: Any
    plugin: PluginRecord


class Plugins:
    """All plugins of this environment, loaded tolerantly.

    Args:
        points: entry points to load; those installed by default.
        disabled: names not to import; those of ``REPROZOO_DISABLE_PLUGINS`` by default.
    """

    KINDS = ("families", "cards", "descriptors", "datasets", "commands")

    def __init__(self, points: Iterable[EntryPoint] | None = None, disabled: Iterable[str] | None = None) -> None:
        self.records: list[PluginRecord] = []
        self._tables: dict[str, dict[str, Registered]] = {kind: {} for kind in self.KINDS}
        blocked = set(_disabled_by_environment() if disabled is None else disabled)
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(Hooks)
        points = entry_points(group=GROUP) if points is None else points
        for point in sorted(points, key=_bundled_first):
            record = _record(point)
            self.records.append(record)
            if point.name in blocked:
                record.status = "disabled"
            else:
                self._load(point, record)

    @property
    def families(self) -> dict[str, Registered]:
        return self._tables["families"]

    @property
    def card_directories(self) -> dict[str, Registered]:
        return self._tables["cards"]

    @property
    def descriptors(self) -> dict[str, Registered]:
        return self._tables["descriptors"]

    @property
    def datasets(self) -> dict[str, Registered]:
        return self._tables["datasets"]

    @property
    def commands(self) -> dict[str, Registered]:
        return self._tables["commands"]

    def family(self, name: str) -> Registered:
        """The family ``name`` and the plugin it came from.

        Raises:
            PluginError: no working plugin registers it; the sentence names broken or disabled plugins that may.
        """
        if name in self.families:
            return self.families[name]
        suspects = [record for record in self.records if record.status != "ok"]
        hint = "; ".join(f"plugin {r.name} is {r.status}" + (f" ({r.error})" if r.error else "") for r in suspects)
        raise PluginError(
            f"no plugin provides the family {name!r}"
            + (f": {hint}" if hint else "; install the plugin that does")
            + ". `reprozoo plugins` lists what is installed"
        )

    def _load(self, point: EntryPoint, record: PluginRecord) -> None:
        try:
            started = time.perf_counter()
            plugin = point.load()
            record.import_s = time.perf_counter() - started
            self._manager.register(plugin, name=point.name)
            record.hooks = self._known_hooks(plugin)
            for kind, value in self._collect(plugin):
                self._add(kind, value, record)
        except (Exception, SystemExit) as error:  # a plugin may raise anything; it must only hurt itself
            self._discard(record)
            record.status = "broken"
            record.error = _one_line(error)

    def _known_hooks(self, plugin: object) -> list[str]:
        callers = self._manager.get_hookcallers(plugin) or []
        unknown = [caller.name for caller in callers if not caller.has_spec()]
        if unknown:
            known = [name for name in vars(Hooks) if name.startswith("reprozoo_")]
            raise PluginError(f"unknown hook {', '.join(unknown)}; the hooks are {', '.join(known)}")
        if not callers:
            raise PluginError("it implements no hook; mark its functions with @reprozoo.hookimpl")
        return [caller.name for caller in callers]

    def _collect(self, plugin: object) -> list[tuple[str, Any]]:
        """What one plugin registers, all or nothing."""
        found: list[tuple[str, Any]] = []
        for kind in self.KINDS:
            caller = getattr(self._manager.hook, f"reprozoo_register_{kind}")
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin:
                    implementation.function(lambda *value, kind=kind: found.append((kind, _single(value))))
        return found

    def _add(self, kind: str, value: Any, record: PluginRecord) -> None:
        name = _registered_name(kind, value)
        taken = self._tables[kind].get(name)
        if taken is not None:
            raise PluginError(
                f"it registers {kind[:-1] if kind != 'families' else 'family'} {name!r}, "
                f"which plugin {taken.plugin.name} ({taken.plugin.distribution}) has already"
            )
        self._tables[kind][name] = Registered(value, record)
        record.provides.setdefault(kind, []).append(name)

    def _discard(self, record: PluginRecord) -> None:
        for table in self._tables.values():
            for name in [name for name, registered in table.items() if registered.plugin is record]:
                del table[name]
        record.provides = {}
        if self._manager.has_plugin(record.name):
            self._manager.unregister(name=record.name)


@cache
def installed_plugins() -> Plugins:
    """The plugins of this environment, loaded once in a process."""
    return Plugins()


@cache
def installed_registry() -> Registry:
    """The cards of this environment, read once in a process: of the plugins, of the user, of ``REPROZOO_REGISTRY``.

    Raises:
        UsageError: a card has a mistake, or two share a name; the sentence names the files.
    """
    from reprozoo.cards import Registry

    registry = Registry(map(Path, installed_plugins().card_directories))
    if paths.user_registry().is_dir():
        registry.add(paths.user_registry())
    for directory in filter(None, os.environ.get(REGISTRY_VARIABLE, "").split(os.pathsep)):
        registry.add(Path(directory))
    return registry


def import_object(target: str) -> Any:
    """The object "package.module:attribute" names.

    Raises:
        PluginError: the module cannot be imported or lacks the attribute.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise PluginError(f"cannot load {target}: {_one_line(error)}") from error


def _disabled_by_environment() -> list[str]:
    return [name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()]


def _bundled_first(point: EntryPoint) -> tuple[bool, str]:
    return (_distribution(point)[0] != BUNDLED_DISTRIBUTION, point.name)


def _distribution(point: EntryPoint) -> tuple[str, str]:
    dist = getattr(point, "dist", None)
    return (dist.name, dist.version) if dist is not None else ("unknown", "unknown")


def _record(point: EntryPoint) -> PluginRecord:
    distribution, version = _distribution(point)
    return PluginRecord(point.name, point.value, distribution, version)


def _single(value: tuple[Any, ...]) -> Any:
    return value[0] if len(value) == 1 else value


def _registered_name(kind: str, value: Any) -> str:
    described = {"families": (Family, "name"), "descriptors": (DescriptorSpec, "id"), "datasets": (DatasetSpec, "id")}
    if kind in described:
        expected, attribute = described[kind]
        if not isinstance(value, expected):
            raise PluginError(f"reprozoo_register_{kind} expects {expected.__name__}, got {type(value).__name__}")
        return str(getattr(value, attribute))
    if kind == "commands" and not (isinstance(value, tuple) and len(value) == 3):
        raise PluginError('reprozoo_register_commands expects register(name, "package.module:command", help)')
    return str(value[0]) if kind == "commands" else str(value)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
