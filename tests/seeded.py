"""Weights by a formula, so that what an original network made of them can be kept without the network and its weights.

The tensor of a name is a function of its position in a list and of its shape: noise number ``position`` of seed 0,
scaled by kind. A golden file holds the list, and the numbers that the original code computed (docs/fidelity.md).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from reprozoo.maps.noise.bank import NoiseBank

GOLDEN = Path(__file__).parent / "golden"


def seeded(shapes: Iterable[tuple[str, Iterable[int]]]) -> dict[str, Tensor]:
    """Matrices and kernels of about unit gain, norms' weights near 1, biases near 0, Fourier frequencies of std 4."""
    bank, tensors = NoiseBank(0), {}
    for position, (name, given) in enumerate(shapes):
        shape = tuple(given)
        noise = bank.noise([position], shape)[0]
        if len(shape) > 1:
            tensors[name] = noise * math.sqrt(max(shape) / noise.numel())
        elif name.endswith((".W", "/W", "freqs")):
            tensors[name] = 4 * noise
        elif name.endswith(("bias", ".b", "/b")):
            tensors[name] = 0.1 * noise
        else:
            tensors[name] = 1 + 0.1 * noise
    return tensors


@dataclass(frozen=True)
class Golden:
    """One golden file: tensors by name, and facts (``shapes`` is the list of the original's names and shapes)."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    @classmethod
    def read(cls, name: str) -> Golden:
        with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
            facts = json.loads(file.metadata()["facts"])
            return cls({key: file.get_tensor(key) for key in file.keys()}, facts)  # noqa: SIM118  # not a dictionary

    def weights(self) -> dict[str, Tensor]:
        """The original's weights, made again."""
        return seeded(self.facts["shapes"])
