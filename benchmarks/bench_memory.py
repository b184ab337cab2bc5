"""Peak memory of a comparison at 256 and at 4096 noises: equal within 10 %.

    python benchmarks/bench_memory.py [--few 256] [--many 4096] [--json]

Each run is a process of its own that goes from noise to scores, with two quick maps at 32×32 and a descriptor as long
as SSCD's: what must not grow are the images; the features (2 kB an image) have to be held.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import finish, parsed, parser
from torch import Tensor

from reprozoo import compare
from reprozoo.engine.store import Store
from reprozoo.maps.condition import Condition
from reprozoo.maps.contract import NoiseToImageMap
from reprozoo.measures.descriptors import Descriptor

LIMIT = 1.10
SHAPE = (3, 32, 32)


class Mixture(NoiseToImageMap):
    """The noise and a fixed picture."""

    noise_shape = SHAPE
    image_shape = SHAPE

    def __init__(self, seed: int) -> None:
        self.picture = torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return (0.4 * noise + 0.1 * self.picture).clamp(-1, 1)


@dataclass(frozen=True)
class MixtureRecipe:
    """A recipe for ``Mixture``."""

    display_id: str
    noise_shape = SHAPE
    image_shape = SHAPE
    weights_digest = None
    num_classes = None

    def identity(self) -> dict[str, Any]:
        return {"benchmark": "memory", "seed": self.display_id}

    def facts(self) -> dict[str, Any]:
        return {}

    def load(self) -> Mixture:
        return Mixture(int(self.display_id))


class Mixtures:
    """A zoo of them: the spec is the seed."""

    def resolve(self, text: str, **_: Any) -> MixtureRecipe:
        return MixtureRecipe(text)


class Projection(Descriptor):
    """Pixels, projected at random to as many numbers as SSCD gives."""

    id, dim = "projection", 512

    def __init__(self) -> None:
        self.matrix = torch.randn(3 * 32 * 32, self.dim, generator=torch.Generator().manual_seed(0))

    def identity(self) -> dict[str, Any]:
        return {"id": self.id}

    def describe(self, images_u8: Tensor) -> Tensor:
        features = (images_u8.flatten(1).float() - 127.5) @ self.matrix
        return features / torch.linalg.vector_norm(features, dim=1, keepdim=True)


def peak_bytes(samples: int) -> int:
    """Peak resident memory of a process that makes a comparison."""
    command = [sys.executable, __file__, "--child", str(samples)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def child(samples: int) -> None:
    """Compare, and print this process's peak resident memory."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        compare(
            ["1", "2"],
            zoo=Mixtures(),
            num_samples=samples,
            descriptor=Projection(),
            store=Store(Path(name)),
            device="cpu",
            baselines=[],
            progress=False,
        )
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def main() -> int:
    made = parser(__doc__, few=(256, 64), many=(4096, 128))
    made.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parsed(made)
    if arguments.child:
        child(arguments.child)
        return 0
    few, many = peak_bytes(arguments.few), peak_bytes(arguments.many)
    result = {"benchmark": "memory", "few": arguments.few, "many": arguments.many, "peak_bytes": [few, many],
              "ratio": many / few, "limit": LIMIT, "passed": many / few <= LIMIT}  # fmt: skip
    text = (
        f"peak memory: {few / 1e6:.0f} MB at {arguments.few} noises, {many / 1e6:.0f} MB at {arguments.many}\n"
        f"ratio {many / few:.3f}, limit {LIMIT}"
    )
    return finish(result, text, arguments)


if __name__ == "__main__":
    sys.exit(main())
