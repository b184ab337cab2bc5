"""The noise: drawn by the core, never by a plugin, and the same wherever it is drawn."""

from reprozoo.noise.bank import NoiseBank, NoiseSource
from reprozoo.noise.classes import random_class
from reprozoo.noise.files import NoiseFile, export_noise

__all__ = ["NoiseBank", "NoiseFile", "NoiseSource", "export_noise", "random_class"]
