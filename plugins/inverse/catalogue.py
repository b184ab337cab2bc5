"""Operators and solvers by name, from every plugin. Names and options are checked against their specs alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reprozoo import ContractError, OperatorSpec, Option, PluginError, ReprozooError, SolverSpec, UsageError
from reprozoo.base.errors import did_you_mean
from reprozoo.zoo.plugins import PluginRecord, Plugins, import_object, installed_plugins
from reprozoo.zoo.specs import MapSpec

if TYPE_CHECKING:
    from reprozoo.diffusion.observations import LinearOperator, Shape


@dataclass(frozen=True)
class ChosenOperator:
    """An operator that a spec names, before it is made for images of some shape.

    Attributes:
        text: the spec.
        spec, plugin: the operator and where it came from.
        options: resolved.
    """

    text: str
    spec: OperatorSpec
    plugin: PluginRecord
    options: Mapping[str, Any]

    def make(self, image_shape: Shape) -> LinearOperator:
        """The operator for images of ``image_shape``.

        Raises:
            UsageError: a value out of range, or an operator that does not fit the images.
            ContractError: the operator fails, or is of other images.
        """
        try:
            operator: LinearOperator = import_object(self.spec.load)(tuple(image_shape), **self.options)
        except ReprozooError:
            raise
        except (Exception, SystemExit) as error:
            raise ContractError(
                f"the operator {self.text} could not be made: {type(error).__name__}: {error}"
            ) from error
        if tuple(operator.image_shape) != tuple(image_shape):
            raise ContractError(
                f"the operator {self.text} is of images {operator.image_shape} where {image_shape} were asked"
            )
        return operator


@dataclass(frozen=True)
class ChosenSolver:
    """A solver and its options, resolved; ``plugin`` is where it came from."""

    spec: SolverSpec
    plugin: PluginRecord
    options: Mapping[str, Any]


def choose_operator(text: str, plugins: Plugins | None = None) -> ChosenOperator:
    """The operator that a spec names: ``NAME``, ``NAME-16`` or ``NAME+option=value``.

    Raises:
        UsageError: unknown name or option, or a value that the option does not take.
        PluginError: no operator is installed.
    """
    known = (plugins or installed_plugins()).operators
    _check_any(known, "an operator")
    name, given = _name_and_options(text, {name: found.value for name, found in known.items()})
    spec: OperatorSpec = known[name].value
    return ChosenOperator(text, spec, known[name].plugin, resolve_options(text, spec.options, given))


def choose_solver(text: str, plugins: Plugins | None = None) -> ChosenSolver:
    """The solver that a spec names, ``NAME`` or ``NAME+option=value``.

    Raises:
        UsageError: unknown name or option, or a value that the option does not take.
        PluginError: no solver is installed.
    """
    known = (plugins or installed_plugins()).solvers
    _check_any(known, "a solver")
    spec = MapSpec.parse(text)
    if spec.id not in known:
        raise UsageError(
            f"no solver is called {spec.id!r}{did_you_mean(spec.id, known)}; there are: {', '.join(known)}"
        )
    found = known[spec.id]
    return ChosenSolver(found.value, found.plugin, resolve_options(text, found.value.options, spec.options))


def make_operator(text: str, image_shape: Shape, *, plugins: Plugins | None = None) -> LinearOperator:
    """The operator that a spec names, for images of ``image_shape``.

    >>> make_operator("inpaint-16", (3, 32, 32)).measurement_shape
    (3, 768)

    Raises:
        UsageError, PluginError: as ``choose_operator``.
        UsageError, ContractError: as ``ChosenOperator.make``.
    """
    return choose_operator(text, plugins).make(image_shape)


def resolve_options(text: str, known: Mapping[str, Option], given: Mapping[str, str]) -> dict[str, Any]:
    """The options of the spec ``text``: what was given, parsed, and defaults.

    Raises:
        UsageError: an unknown option, or a value that it does not take.
    """
    for option in given:
        if option not in known:
            has = f"it has: {', '.join(known)}" if known else "it has no options"
            raise UsageError(f"{text}: there is no option {option!r}{did_you_mean(option, known)}; {has}")
    parsed = {name: known[name].parse(name, value) for name, value in given.items()}
    return {name: option.default for name, option in known.items()} | parsed


def _check_any(known: Mapping[str, Any], what: str) -> None:
    if not known:
        raise PluginError(f"no plugin provides {what} of inverse problems; `reprozoo plugins` lists what is installed")


def _name_and_options(text: str, known: Mapping[str, OperatorSpec]) -> tuple[str, Mapping[str, str]]:
    """``NAME-16+option=value`` taken apart, the number under the name of its option."""
    spec = MapSpec.parse(text)
    if spec.id in known:
        return spec.id, spec.options
    numbered = re.fullmatch(r"(.+)-(\d+)", spec.id)
    name = numbered[1] if numbered else spec.id
    if numbered is None or name not in known or not known[name].number:
        raise UsageError(f"no operator is called {spec.id!r}{did_you_mean(name, known)}; there are: {', '.join(known)}")
    option = known[name].number
    if option in spec.options:
        raise UsageError(f"{text} gives the option {option!r} twice")
    return name, {option: numbered[2], **spec.options}
