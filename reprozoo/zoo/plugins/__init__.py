"""Plugins: what they register (``specs``), and a loader that one broken plugin cannot take down (``loading``)."""

from reprozoo.zoo.plugins.compatibility import API_VERSION, ReprozooDeprecationWarning, deprecation
from reprozoo.zoo.plugins.installed import REGISTRY_VARIABLE, installed_plugins, installed_registry, plugin_cards
from reprozoo.zoo.plugins.loading import Plugins, import_object
from reprozoo.zoo.plugins.records import PluginRecord, Registered
from reprozoo.zoo.plugins.specs import (
    GROUP,
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
from reprozoo.zoo.plugins.switches import DISABLE_VARIABLE, disabled_plugins, installed_names, switch, switched_off

__all__ = [
    "API_VERSION",
    "DISABLE_VARIABLE",
    "GROUP",
    "REGISTRY_VARIABLE",
    "DatasetSpec",
    "DescriptorSpec",
    "Family",
    "LoadContext",
    "MeasureSpec",
    "OperatorSpec",
    "Option",
    "PluginRecord",
    "Plugins",
    "ProblemSpec",
    "Registered",
    "ReprozooDeprecationWarning",
    "SamplerSpec",
    "SolverSpec",
    "deprecation",
    "disabled_plugins",
    "import_object",
    "installed_names",
    "installed_plugins",
    "installed_registry",
    "plugin_cards",
    "switch",
    "switched_off",
]
