"""What a network is trained for: one class an objective, each a few lines of its paper's mathematics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reprozoo import UsageError
from reprozoo.base.errors import did_you_mean

from .adversarial import GANObjective
from .base import Batch, DenoisingObjective, Network, Networks, Objective
from .consistency import ConsistencyDistillation, ConsistencyTraining
from .denoising import EDMObjective, EpsObjective, FlowObjective, VObjective, VPEpsObjective, X0Objective
from .progressive import ProgressiveDistillation
from .variational import VAEObjective

OBJECTIVES: Mapping[str, type[Objective]] = {
    "edm": EDMObjective,
    "vp_eps": VPEpsObjective,
    "eps": EpsObjective,
    "v": VObjective,
    "x0": X0Objective,
    "flow": FlowObjective,
    "consistency_distillation": ConsistencyDistillation,
    "consistency_training": ConsistencyTraining,
    "progressive": ProgressiveDistillation,
    "gan": GANObjective,
    "vae": VAEObjective,
}

__all__ = ["OBJECTIVES", "Batch", "DenoisingObjective", "Network", "Networks", "Objective", "objective"]


def objective(name: str, options: Mapping[str, Any]) -> Objective:
    """Build the objective of a recipe.

    Raises:
        UsageError: there is no such objective, or it has no such option.
    """
    if name not in OBJECTIVES:
        raise UsageError(
            f"unknown objective {name!r}{did_you_mean(name, OBJECTIVES)}; there are: {', '.join(OBJECTIVES)}"
        )
    try:
        return OBJECTIVES[name](**options)
    except TypeError as error:
        raise UsageError(f"objective {name!r}: {error}") from error
