"""The engine's sampling stage against the bare network, at the same batch and number of evaluations: at most 1.05.

    python benchmarks/bench_engine.py [--samples 64] [--batch 64] [--steps 4] [--threads 1] [--json]

Both run the network of the tiny-edm card with random weights. The stage draws the noise, runs the sampler in float64,
checks the contract, rounds to pixels, writes and flushes shards to a store that was empty. Few steps are the harder
case: what is done once an image weighs more.

They take turns. What the stage spends outside the network is measured inside each run and added to the time of the bare
network, in processor seconds, the least of several runs each: other work on the machine, which slows network and engine
alike but not always both, hardly changes the ratio then. The quotient of the two whole times is printed beside it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import finish, parsed, parser
from torch import Tensor

from reprozoo.diffusion.denoisers import EDMDenoiserMap
from reprozoo.diffusion.kernels import kernel_from_config
from reprozoo.diffusion.networks.song_unet import SongUNet
from reprozoo.diffusion.samplers import make_sampler
from reprozoo.engine.sampling import sample_models
from reprozoo.engine.setup import Setup
from reprozoo.engine.store import Store
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.zoo.cards import ModelCard
from reprozoo.zoo.resolving import default_zoo

LIMIT = 1.05
REPEATS = 8


@dataclass(frozen=True)
class RandomWeights:
    """A recipe for the network of a card, its weights random."""

    card: ModelCard
    steps: int
    display_id: str = "tiny-edm with random weights"
    weights_digest: None = None
    num_classes: None = None

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self.card.noise_shape

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.card.image_shape

    def identity(self) -> dict[str, Any]:
        return {"benchmark": "engine", "steps": self.steps}

    def facts(self) -> dict[str, Any]:
        return {}

    def load(self) -> EDMDenoiserMap:
        torch.manual_seed(0)
        config = dict(self.card.network)
        sigma_data = config.pop("sigma_data")
        kernel = kernel_from_config(dict(self.card.kernel))
        sampler = make_sampler("heun", kernel, steps=self.steps)
        shapes = {"noise_shape": self.noise_shape, "image_shape": self.image_shape, "num_classes": None}
        return EDMDenoiserMap(
            SongUNet(**config),
            sigma_data=sigma_data,
            kernel=kernel,
            sampler=sampler,
            device=torch.device("cpu"),
            **shapes,
        )


@dataclass(frozen=True)
class Loaded(RandomWeights):
    """The same with the network built before the clock starts."""

    ready: EDMDenoiserMap | None = None

    def load(self) -> EDMDenoiserMap:
        assert self.ready is not None
        return self.ready


class Clocked(torch.nn.Module):
    """A network that adds up the processor time it takes."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network, self.seconds = network, 0.0

    def forward(self, *arguments: Tensor) -> Tensor:
        start = time.process_time()
        output: Tensor = self.network(*arguments)
        self.seconds += time.process_time() - start
        return output


def stage_seconds(recipe: Loaded, samples: int, batch: int) -> tuple[float, float]:
    """Processor seconds of the stage, and those of them that it spends outside the network."""
    loaded = recipe.load()
    clocked = Clocked(loaded.network)
    loaded.network = clocked
    with tempfile.TemporaryDirectory() as folder:
        setup = Setup(NoiseBank(0), range(samples), batch_size=batch, store=Store(Path(folder)))
        start = time.process_time()
        (side,) = sample_models([recipe], [recipe.display_id], setup, repeats=[0])
        seconds = time.process_time() - start
    loaded.network = clocked.network
    assert side.record.sampled == samples
    return seconds, seconds - clocked.seconds


def forward_seconds(loaded: EDMDenoiserMap, samples: int, batch: int) -> float:
    """Processor seconds of as many evaluations of the network alone."""
    x = torch.randn(batch, *loaded.noise_shape)
    start = time.process_time()
    with torch.no_grad():
        for first in range(0, samples, batch):
            part = x[: min(batch, samples - first)]
            for _ in range(loaded.nfe or 0):
                loaded.network(part, torch.ones(len(part)))
    return time.process_time() - start


def measure(samples: int, batch: int, steps: int) -> dict[str, Any]:
    """Everything that is printed."""
    card = default_zoo().registry.model("tiny-edm")
    loaded = RandomWeights(card, steps).load()
    recipe = Loaded(card, steps, ready=loaded)
    forward_seconds(loaded, min(samples, 8), min(batch, 8))  # start threads, choose kernels
    stage, outside, forward = [], [], []
    for _ in range(REPEATS):
        seconds, besides = stage_seconds(recipe, samples, batch)
        stage.append(seconds)
        outside.append(besides)
        forward.append(forward_seconds(loaded, samples, batch))
    ratio = 1 + min(outside) / min(forward)
    return {
        "benchmark": "engine",
        "samples": samples,
        "batch": batch,
        "nfe": loaded.nfe,
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "stage_processor_seconds": min(stage),
        "outside_network_processor_seconds": min(outside),
        "forward_processor_seconds": min(forward),
        "ratio": ratio,
        "quotient_of_whole_times": min(stage) / min(forward),
        "limit": LIMIT,
        "passed": ratio <= LIMIT,
    }


def main() -> int:
    arguments = parsed(parser(__doc__, samples=(64, 4), batch=(64, 4), steps=(4, 4), threads=(1, 1)))
    torch.set_num_threads(arguments.threads)
    result = measure(arguments.samples, arguments.batch, arguments.steps)
    text = (
        f"sampling stage, {result['samples']} images, batch {result['batch']}, {result['nfe']} evaluations, "
        f"{result['threads']} thread(s), load average {result['load_average']:.1f}\n"
        f"processor seconds: stage {result['stage_processor_seconds']:.3f}, of which outside the network "
        f"{result['outside_network_processor_seconds']:.3f}; network alone "
        f"{result['forward_processor_seconds']:.3f}\n"
        f"ratio {result['ratio']:.3f}, limit {LIMIT}; whole times {result['quotient_of_whole_times']:.3f}"
    )
    return finish(result, text, arguments)


if __name__ == "__main__":
    sys.exit(main())
