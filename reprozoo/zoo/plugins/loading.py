"""A tolerant loader: one broken plugin cannot take the others down.

Every family of models, bundled or a stranger's, is an entry point in the group ``reprozoo``: a module (or object) with
functions marked ``@reprozoo.hookimpl``. Each entry point is imported, registered and asked in its own ``try``; what
goes wrong is kept in its record, listed by ``reprozoo plugins``, and fails only the request that needs it.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from reprozoo.base.errors import PluginError, UsageError, did_you_mean
from reprozoo.diffusion.sampler_specs import SamplerSpec
from reprozoo.zoo.plugins.compatibility import IncompatibleError, ReprozooDeprecationWarning, check_api
from reprozoo.zoo.plugins.records import PluginRecord, Registered, one_line
from reprozoo.zoo.plugins.specs import (
    GROUP,
    DatasetSpec,
    DescriptorSpec,
    Family,
    Hooks,
    MeasureSpec,
    OperatorSpec,
    ProblemSpec,
    SolverSpec,
)
from reprozoo.zoo.plugins.switches import disabled_plugins

BUNDLED_DISTRIBUTION = "reprozoo"
DESCRIBED: dict[str, tuple[type, str]] = {
    "families": (Family, "name"),
    "samplers": (SamplerSpec, "name"),
    "measures": (MeasureSpec, "name"),
    "descriptors": (DescriptorSpec, "id"),
    "datasets": (DatasetSpec, "id"),
    "problems": (ProblemSpec, "name"),
    "operators": (OperatorSpec, "name"),
    "solvers": (SolverSpec, "name"),
}


class Plugins:
    """All plugins of this environment, loaded tolerantly.

    Args:
        points: entry points to load; those installed by default.
        disabled: names not to import; by default those that a person has switched off (``disabled_plugins``).
    """

    KINDS = (
        "families", "cards", "samplers", "measures", "descriptors", "datasets", "problems", "operators", "solvers",
        "commands",
    )  # fmt: skip

    def __init__(self, points: Iterable[EntryPoint] | None = None, disabled: Iterable[str] | None = None) -> None:
        self.records: list[PluginRecord] = []
        self._tables: dict[str, dict[str, Registered]] = {kind: {} for kind in self.KINDS}
        blocked = disabled_plugins() if disabled is None else dict.fromkeys(disabled, "switched off")
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(Hooks)
        points = entry_points(group=GROUP) if points is None else points
        for record, point in sorted(((PluginRecord.of(point), point) for point in points), key=_bundled_first):
            self.records.append(record)
            if point.name in blocked:
                record.status, record.error = "disabled", blocked[point.name]
            else:
                self._load(point, record)

    @property
    def families(self) -> dict[str, Registered]:
        return self._tables["families"]

    @property
    def card_directories(self) -> dict[str, Registered]:
        return self._tables["cards"]

    @property
    def samplers(self) -> dict[str, Registered]:
        return self._tables["samplers"]

    @property
    def measures(self) -> dict[str, Registered]:
        return self._tables["measures"]

    @property
    def descriptors(self) -> dict[str, Registered]:
        return self._tables["descriptors"]

    @property
    def datasets(self) -> dict[str, Registered]:
        return self._tables["datasets"]

    @property
    def problems(self) -> dict[str, Registered]:
        return self._tables["problems"]

    @property
    def operators(self) -> dict[str, Registered]:
        return self._tables["operators"]

    @property
    def solvers(self) -> dict[str, Registered]:
        return self._tables["solvers"]

    @property
    def commands(self) -> dict[str, Registered]:
        return self._tables["commands"]

    def family(self, name: str, *, package: str = "") -> Registered:
        """The family ``name`` and the plugin it came from.

        Args:
            package: the distribution that has it, where a card says so.

        Raises:
            PluginError: no working plugin registers it; see ``missing_family``.
        """
        if name in self.families:
            return self.families[name]
        raise PluginError(self.missing_family(name, package=package))

    def missing_family(self, name: str, *, package: str = "") -> str:
        """Why no plugin provides the family ``name``, and what to do: the plugins that may, or what to install."""
        own = [record for record in self.records if package and _same_package(record.distribution, package)]
        suspects = [record for record in own or self.records if record.status != "ok"]
        if own and not suspects:
            reason = f"{package} {own[0].version} is installed and does not have it; install another version"
        elif package and not own:
            reason = f"it comes with the package {package}, which is not installed; install it"
        else:
            reason = "; ".join(record.sentence() for record in suspects) or "install the plugin that does"
        return f"no plugin provides the family {name!r}: {reason}. `reprozoo plugins` lists what is installed"

    def sampler(self, name: str) -> Registered:
        """The sampler ``name`` and the plugin it came from.

        Raises:
            UsageError: there is none; the sentence lists those that there are, and the plugins that may have it.
        """
        if name in self.samplers:
            return self.samplers[name]
        there = ", ".join(self.samplers) or "none"
        sentence = f"unknown sampler {name!r}{did_you_mean(name, self.samplers)}; there are: {there}"
        suspects = [record.sentence() for record in self.records if record.status != "ok"]
        raise UsageError("; ".join([sentence, *suspects]))

    def failed(self) -> list[PluginRecord]:
        """The plugins that are broken or incompatible."""
        return [record for record in self.records if record.status in ("broken", "incompatible")]

    def giver_of(self, card_home: Path) -> PluginRecord | None:
        """The plugin that gave a directory of cards; None for a person's own directories."""
        found = self.card_directories.get(str(card_home))
        return found.plugin if found else None

    def mark_broken(self, record: PluginRecord, error: BaseException) -> None:
        """Take back everything that a plugin has registered: something it gave turned out not to work."""
        for table in self._tables.values():
            for name in [name for name, registered in table.items() if registered.plugin is record]:
                del table[name]
        record.provides = {}
        record.status = "incompatible" if isinstance(error, IncompatibleError) else "broken"
        record.error = str(error) if isinstance(error, IncompatibleError) else one_line(error)
        if self._manager.has_plugin(record.name):
            self._manager.unregister(name=record.name)

    def _load(self, point: EntryPoint, record: PluginRecord) -> None:
        try:
            with redirect_stdout(sys.stderr), _collected_warnings(record):  # stdout is for what the user asked for
                started = time.perf_counter()
                plugin = point.load()
                record.import_s = time.perf_counter() - started
                check_api(plugin)
                self._manager.register(plugin, name=point.name)
                record.hooks = self._known_hooks(plugin)
                for kind, value in self._collect(plugin):
                    self._add(kind, value, record)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, and extensions that panic; a plugin must only hurt itself
            self.mark_broken(record, error)

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
                    implementation.function(*[_into(found, kind)] * len(implementation.argnames))
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


def import_object(target: str) -> Any:
    """The object "package.module:attribute" names.

    Raises:
        PluginError: the module cannot be imported or lacks the attribute.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"cannot load {target}: {one_line(error)}") from error


@contextmanager
def _collected_warnings(record: PluginRecord) -> Iterator[None]:
    """Note in the record what is deprecated; every warning is then given as if nobody had looked."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ReprozooDeprecationWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, ReprozooDeprecationWarning):
            record.warnings.append(str(warning.message))
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _bundled_first(pair: tuple[PluginRecord, EntryPoint]) -> tuple[bool, str]:
    return (pair[0].distribution != BUNDLED_DISTRIBUTION, pair[0].name)


def _same_package(one: str, other: str) -> bool:
    return one.lower().replace("_", "-") == other.lower().replace("_", "-")


def _into(found: list[tuple[str, Any]], kind: str) -> Callable[..., None]:
    """The ``register`` of one kind; an implementation that still takes a hook's old argument gets the same one."""
    return lambda *value: found.append((kind, value[0] if len(value) == 1 else value))


def _registered_name(kind: str, value: Any) -> str:
    if kind in DESCRIBED:
        expected, attribute = DESCRIBED[kind]
        if not isinstance(value, expected):
            raise PluginError(f"reprozoo_register_{kind} expects {expected.__name__}, got {type(value).__name__}")
        return str(getattr(value, attribute))
    if kind == "commands" and not (isinstance(value, tuple) and len(value) == 3):
        raise PluginError('reprozoo_register_commands expects register(name, "package.module:command", help)')
    return str(value[0]) if kind == "commands" else str(value)
