"""reprozoo: given the same noise, do two generative models make the same image?

The public names, each imported when it is first used, so that ``import reprozoo`` costs nothing:

    >>> import reprozoo
    >>> comparison = reprozoo.compare(["tiny-edm", "tiny-uvit"], num_samples=64)
    >>> comparison.pairs[0].rp.value
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pluggy

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("reprozoo")

_LAZY = {
    "Comparison": "results",
    "Condition": "maps",
    "ContractError": "errors",
    "Denoiser": "maps",
    "DenoiserMap": "maps",
    "EpsDenoiserMap": "denoisers",
    "Family": "plugins",
    "IntegrityError": "errors",
    "LoadContext": "plugins",
    "ModelCard": "cards",
    "NetworkDenoiserMap": "denoisers",
    "NoiseBank": "noise",
    "NoiseFile": "noise",
    "NoiseToImageMap": "maps",
    "Option": "plugins",
    "PartialError": "errors",
    "PluginError": "errors",
    "RandomClasses": "conditions",
    "ReprozooError": "errors",
    "UnavailableError": "errors",
    "UsageError": "errors",
    "compare": "engine",
    "generalize": "engine",
    "load": "zoo",
    "load_weights": "denoisers",
    "resolve": "zoo",
}

__all__ = ["__version__", "hookimpl", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'reprozoo' has no attribute {name!r}")
    return getattr(import_module(f"reprozoo.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from reprozoo.cards import ModelCard
    from reprozoo.conditions import RandomClasses
    from reprozoo.denoisers import EpsDenoiserMap, NetworkDenoiserMap, load_weights
    from reprozoo.engine import compare, generalize
    from reprozoo.errors import (
        ContractError,
        IntegrityError,
        PartialError,
        PluginError,
        ReprozooError,
        UnavailableError,
        UsageError,
    )
    from reprozoo.maps import Condition, Denoiser, DenoiserMap, NoiseToImageMap
    from reprozoo.noise import NoiseBank, NoiseFile
    from reprozoo.plugins import Family, LoadContext, Option
    from reprozoo.results import Comparison
    from reprozoo.zoo import load, resolve
