"""reprozoo: given the same noise, do two generative models make the same image?

The public names, each imported when it is first used, so that ``import reprozoo`` costs nothing:

    >>> import reprozoo
    >>> comparison = reprozoo.compare(["tiny-edm", "tiny-uvit"], num_samples=64)
    >>> comparison.score("rp").value
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pluggy

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("reprozoo")

_LAZY = {
    "API_VERSION": "zoo.plugins",
    "CallableMap": "engine.objects",
    "Comparison": "engine.result",
    "Condition": "maps.condition",
    "ContractError": "base.errors",
    "DatasetSpec": "zoo.plugins",
    "Denoiser": "maps.contract",
    "DenoiserMap": "diffusion.denoisers",
    "DescriptorSpec": "zoo.plugins",
    "EpsDenoiserMap": "diffusion.denoisers",
    "Family": "zoo.plugins",
    "IntegrityError": "base.errors",
    "LoadContext": "zoo.plugins",
    "MeasureSpec": "zoo.plugins",
    "ModelCard": "zoo.cards",
    "NetworkDenoiserMap": "diffusion.denoisers",
    "NoiseBank": "maps.noise.bank",
    "NoiseFile": "maps.noise.files",
    "NoiseToImageMap": "maps.contract",
    "OperatorSpec": "zoo.plugins",
    "Option": "zoo.plugins",
    "PartialError": "base.errors",
    "PluginError": "base.errors",
    "ProblemSpec": "zoo.plugins",
    "Question": "engine.question",
    "RandomClasses": "maps.conditions",
    "ReprozooError": "base.errors",
    "Sampler": "diffusion.sampling",
    "SamplerSpec": "zoo.plugins",
    "ScheduledSampler": "diffusion.sampling",
    "SolverSpec": "zoo.plugins",
    "UnavailableError": "base.errors",
    "UsageError": "base.errors",
    "compare": "engine.presets",
    "generalize": "engine.presets",
    "images_of": "engine.presets",
    "load": "zoo.resolving",
    "load_weights": "diffusion.denoisers",
    "resolve": "zoo.resolving",
    "score": "engine.presets",
    "schedule_options": "diffusion.sampler_specs",
}

__all__ = ["__version__", "hookimpl", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'reprozoo' has no attribute {name!r}")
    return getattr(import_module(f"reprozoo.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from reprozoo.base.errors import (
        ContractError,
        IntegrityError,
        PartialError,
        PluginError,
        ReprozooError,
        UnavailableError,
        UsageError,
    )
    from reprozoo.diffusion.denoisers import DenoiserMap, EpsDenoiserMap, NetworkDenoiserMap, load_weights
    from reprozoo.diffusion.sampler_specs import schedule_options
    from reprozoo.diffusion.sampling import Sampler, ScheduledSampler
    from reprozoo.engine.objects import CallableMap
    from reprozoo.engine.presets import compare, generalize, images_of, score
    from reprozoo.engine.question import Question
    from reprozoo.engine.result import Comparison
    from reprozoo.maps.condition import Condition
    from reprozoo.maps.conditions import RandomClasses
    from reprozoo.maps.contract import Denoiser, NoiseToImageMap
    from reprozoo.maps.noise.bank import NoiseBank
    from reprozoo.maps.noise.files import NoiseFile
    from reprozoo.zoo.cards import ModelCard
    from reprozoo.zoo.plugins import (
        API_VERSION,
        DatasetSpec,
        DescriptorSpec,
        Family,
        LoadContext,
        MeasureSpec,
        OperatorSpec,
        Option,
        ProblemSpec,
        SamplerSpec,
        SolverSpec,
    )
    from reprozoo.zoo.resolving import load, resolve
