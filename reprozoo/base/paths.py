"""Where reprozoo keeps things on this machine; nothing is created by asking.

``REPROZOO_HOME`` moves everything that can be fetched or computed again; the XDG variables are honoured. Files of the
Hugging Face Hub are not here: they live in the Hub's own cache.
"""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The cache: ``$REPROZOO_HOME``, or ``$XDG_CACHE_HOME/reprozoo``, or ``~/.cache/reprozoo``."""
    if chosen := os.environ.get("REPROZOO_HOME"):
        return Path(chosen).expanduser().absolute()
    return _xdg("XDG_CACHE_HOME", ".cache") / "reprozoo"


def weights_home() -> Path:
    """Fetched files, each under the sha256 of its content, and what is remembered about them."""
    return home() / "weights"


def datasets_home() -> Path:
    """Data sets, decoded once, each under the sha256 of its images."""
    return home() / "datasets"


def store_home() -> Path:
    """The default store of images and features."""
    return home() / "store"


def hub_cache() -> Path:
    """The Hugging Face Hub's own cache: ``$HF_HUB_CACHE``, or ``$HF_HOME/hub``, or below ``$XDG_CACHE_HOME``.

    The same rules as ``huggingface_hub``'s, which takes a tenth of a second to import.
    """
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if chosen := os.environ.get(variable):
            return Path(os.path.expandvars(chosen)).expanduser().absolute()
    if chosen := os.environ.get("HF_HOME"):
        return Path(os.path.expandvars(chosen)).expanduser().absolute() / "hub"
    return _xdg("XDG_CACHE_HOME", ".cache") / "huggingface" / "hub"


def user_registry() -> Path:
    """A person's own cards: ``$XDG_CONFIG_HOME/reprozoo/registry``, or ``~/.config/reprozoo/registry``."""
    return _xdg("XDG_CONFIG_HOME", ".config") / "reprozoo" / "registry"


def disabled_plugins() -> Path:
    """Names of the plugins that a person has switched off, one a line, beside ``user_registry``."""
    return _xdg("XDG_CONFIG_HOME", ".config") / "reprozoo" / "disabled-plugins.txt"


def _xdg(variable: str, fallback: str) -> Path:
    chosen = os.environ.get(variable, "")
    # The XDG specification says that a relative path is to be ignored.
    return Path(chosen) if os.path.isabs(chosen) else Path.home() / fallback
