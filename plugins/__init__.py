"""The bundled plugins: one package per family of models, adapters only. Installed as ``reprozoo_plugins``."""
