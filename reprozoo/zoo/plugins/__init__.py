"""Plugins: what they register (``specs``), and a loader that one broken plugin cannot take down (``loading``)."""

from reprozoo.base.options import Option
from reprozoo.diffusion.sampler_specs import SamplerSpec
from reprozoo.zoo.plugins.compatibility import API_VERSION, ReprozooDeprecationWarning, deprecation
from reprozoo.zoo.plugins.installed import REGISTRY_VARIABLE, installed_plugins, installed_registry, plugin_cards
from reprozoo.zoo.plugins.loading import BUNDLED_DISTRIBUTION, Plugins, import_object
from reprozoo.zoo.plugins.records import PluginRecord, Registered
from reprozoo.zoo.plugins.specs import (
    GROUP,
    DatasetSpec,
    DescriptorSpec,
    Family,
    LoadContext,
    MeasureSpec,
    OperatorSpec,
    ProblemSpec,
    SolverSpec,
)
from reprozoo.zoo.plugins.switches import DISABLE_VARIABLE, disabled_plugins, installed_names, switch, switched_off

__all__ = [
    "API_VERSION",
    "BUNDLED_DISTRIBUTION",
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
