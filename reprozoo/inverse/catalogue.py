"""Operators by name: those that come with reprozoo, and those of plugins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reprozoo.base.errors import ContractError, ReprozooError, UsageError, did_you_mean
from reprozoo.inverse.operators import LinearOperator, Shape
from reprozoo.zoo.plugins import OperatorSpec, Option, PluginRecord, Plugins, import_object, installed_plugins
from reprozoo.zoo.specs import MapSpec

OPERATORS = {
    spec.name: spec
    for spec in (
        OperatorSpec(
            "inpaint",
            "a square in the centre is hidden: inpaint-16, inpaint-25",
            "reprozoo.inverse.masks:centre_box",
            {"width": Option(int, "of the square, in pixels", 16)},
            number="width",
        ),
        OperatorSpec(
            "mask",
            "an image says what is seen (white) and what is hidden (black)",
            "reprozoo.inverse.masks:mask_of_file",
            {"file": Option("file", "the image")},
        ),
        OperatorSpec(
            "random-mask",
            "only some pixels are seen, chosen by a seed",
            "reprozoo.inverse.masks:random_mask",
            {
                "keep": Option(float, "share of the pixels that is seen", 0.3),
                "seed": Option(int, "which of them", 0),
            },
        ),
        OperatorSpec(
            "super-resolution",
            "the image is reduced: super-resolution-4",
            "reprozoo.inverse.separable:SuperResolution",
            {
                "factor": Option(int, "by how much", 4),
                "kernel": Option(str, "means of blocks, or bicubic", "average", ("average", "bicubic")),
            },
            number="factor",
        ),
        OperatorSpec(
            "gaussian-blur",
            "the image is blurred by a Gaussian",
            "reprozoo.inverse.separable:GaussianBlur",
            {"std": Option(float, "of the Gaussian, in pixels", 1.0)},
        ),
        OperatorSpec(
            "motion-blur",
            "the image is blurred along a line",
            "reprozoo.inverse.motion:MotionBlur",
            {
                "length": Option(float, "of the line, in pixels", 7.0),
                "angle": Option(float, "of the line, in degrees, counter-clockwise from the right", 45.0),
            },
        ),
        OperatorSpec("grayscale", "the colours are gone", "reprozoo.inverse.colour:Grayscale"),
    )
}


def make_operator(text: str, image_shape: Shape, *, plugins: Plugins | None = None) -> LinearOperator:
    """The operator that a spec names, for images of ``image_shape``.

    >>> make_operator("inpaint-16", (3, 32, 32)).measurement_shape
    (3, 768)

    Raises:
        UsageError: unknown name or option, a value out of range, or an operator that does not fit the images.
        ContractError: a plugin's operator fails, or is of other images.
    """
    name, given = _name_and_options(text, operators(plugins))
    spec = operators(plugins)[name]
    options = resolve_options(text, spec.options, given)
    try:
        operator: LinearOperator = import_object(spec.load)(tuple(image_shape), **options)
    except ReprozooError:
        raise
    except (Exception, SystemExit) as error:
        raise ContractError(f"the operator {text} could not be made: {type(error).__name__}: {error}") from error
    if tuple(operator.image_shape) != tuple(image_shape):
        raise ContractError(f"the operator {text} is of images {operator.image_shape} where {image_shape} were asked")
    return operator


def operators(plugins: Plugins | None = None) -> Mapping[str, OperatorSpec]:
    """Every operator by name; a plugin cannot take a name that is here already."""
    registered = (plugins or installed_plugins()).operators
    return {name: found.value for name, found in registered.items()} | OPERATORS


def operator_giver(text: str, *, plugins: Plugins | None = None) -> PluginRecord | None:
    """The plugin that the operator of a spec comes from; None for those that come with reprozoo."""
    name = _name_and_options(text, operators(plugins))[0]
    registered = (plugins or installed_plugins()).operators.get(name)
    return registered.plugin if registered and name not in OPERATORS else None


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
