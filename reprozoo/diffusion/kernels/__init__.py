"""Perturbation kernels: ``x_t = alpha(t) * (x0 + sigma(t) * eps)``, and conversions between parameterisations.

``KERNELS`` names them all; ``kernel_from_config`` builds one from the table of a card. See ``base`` for the vocabulary
and ``conversions`` for eps, v, score, F and flow velocity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.diffusion.kernels.base import Kernel, at
from reprozoo.diffusion.kernels.continuous import EDM, VE, VP, CosineVP, RectifiedFlow, SubVP
from reprozoo.diffusion.kernels.conversions import (
    F_from_x0,
    Preconditioning,
    consistency_preconditioning,
    edm_preconditioning,
    eps_from_x0,
    flow_from_x0,
    per_sample,
    score_from_x0,
    v_from_x0,
    x0_from_eps,
    x0_from_F,
    x0_from_flow,
    x0_from_score,
    x0_from_v,
)
from reprozoo.diffusion.kernels.discrete import BetaSchedule, DiscreteVP

KERNELS: dict[str, type[Kernel]] = {
    kernel.name: kernel for kernel in (VP, DiscreteVP, CosineVP, SubVP, VE, EDM, RectifiedFlow)
}

__all__ = [
    "EDM",
    "KERNELS",
    "VE",
    "VP",
    "BetaSchedule",
    "CosineVP",
    "DiscreteVP",
    "F_from_x0",
    "Kernel",
    "Preconditioning",
    "RectifiedFlow",
    "SubVP",
    "at",
    "consistency_preconditioning",
    "edm_preconditioning",
    "eps_from_x0",
    "flow_from_x0",
    "kernel_from_config",
    "per_sample",
    "score_from_x0",
    "v_from_x0",
    "x0_from_F",
    "x0_from_eps",
    "x0_from_flow",
    "x0_from_score",
    "x0_from_v",
]


def kernel_from_config(config: Mapping[str, Any]) -> Kernel:
    """Build the kernel that a card describes, e.g. ``{"name": "vp", "beta_max": 20.0}``.

    Missing parameters take their defaults; ``kernel_from_config(kernel.config()) == kernel``.

    Raises:
        UsageError: no name, an unknown name or parameter, or a value out of range; the sentence lists what exists.
    """
    parameters = dict(config)
    name = parameters.pop("name", None)
    if name not in KERNELS:
        raise UsageError(
            f"unknown kernel {name!r}{did_you_mean(str(name), KERNELS)}; there are: {', '.join(sorted(KERNELS))}"
        )
    kernel = KERNELS[name]
    if kernel is DiscreteVP and isinstance(parameters.get("betas"), Mapping):
        parameters["betas"] = BetaSchedule(
            **_checked("the betas of kernel discrete-vp", BetaSchedule, parameters["betas"])
        )
    return kernel(**_checked(f"kernel {name}", kernel, parameters))


def _checked(what: str, target: type, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """``parameters`` with the names and types of the dataclass ``target``; TOML writes 20 where 20.0 is meant."""
    kinds = {field.name: str(field.type) for field in fields(target)}
    checked = {}
    for name, value in parameters.items():
        if name not in kinds:
            takes = ", ".join(kinds) or "none"
            raise UsageError(f"{what} has no parameter {name!r}{did_you_mean(name, kinds)}; it has: {takes}")
        if kinds[name] == "float":
            value = _number(f"{what}: {name}", value)
        elif kinds[name] == "int" and (not isinstance(value, int) or isinstance(value, bool)):
            raise UsageError(f"{what}: expected a whole number for {name}, got {value!r}")
        elif kinds[name] == "str" and not isinstance(value, str):
            raise UsageError(f"{what}: expected text for {name}, got {value!r}")
        elif name == "betas" and isinstance(value, list | tuple):
            value = tuple(_number(f"{what}: each of {name}", beta) for beta in value)
        checked[name] = value
    return checked


def _number(what: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UsageError(f"{what}: expected a number, got {value!r}")
    return float(value)
