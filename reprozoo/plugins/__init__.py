"""Plugins: what they register (``specs``), and a loader that one broken plugin cannot take down (``loading``)."""

from reprozoo.plugins.loading import (
    DISABLE_VARIABLE,
    REGISTRY_VARIABLE,
    PluginRecord,
    Plugins,
    Registered,
    import_object,
    installed_plugins,
    installed_registry,
)
from reprozoo.plugins.specs import GROUP, DatasetSpec, DescriptorSpec, Family, LoadContext, Option

__all__ = [
    "DISABLE_VARIABLE",
    "GROUP",
    "REGISTRY_VARIABLE",
    "DatasetSpec",
    "DescriptorSpec",
    "Family",
    "LoadContext",
    "Option",
    "PluginRecord",
    "Plugins",
    "Registered",
    "import_object",
    "installed_plugins",
    "installed_registry",
]
