"""How fast one core draws noise: 10,000 of 3x32x32 in under 3 seconds.

    python benchmarks/bench_noise.py [--count N] [--json]

Time is the processor time of this process, so that other work on the machine does not count. Beside it, the same count
drawn by one torch generator an index: quicker, and not the same noise on another platform or version.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from common import finish, parsed, parser

from reprozoo.maps.noise.bank import NoiseBank

SHAPE = (3, 32, 32)
REQUIRED_S = 3.0
REQUIRED_COUNT = 10_000


def processor_seconds(work: Callable[[], object], *, repeats: int = 3) -> float:
    """The least of a few runs."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def seeded_randn(count: int) -> torch.Tensor:
    """What a per-index seed of torch costs."""
    draws = [torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed)) for seed in range(count)]
    return torch.stack(draws)


def main() -> int:
    arguments = parsed(parser(__doc__, count=(REQUIRED_COUNT, 100)))
    torch.set_num_threads(1)
    seconds = processor_seconds(lambda: NoiseBank(0).noise(range(arguments.count), SHAPE))
    reference = processor_seconds(lambda: seeded_randn(arguments.count))
    limit = REQUIRED_S * arguments.count / REQUIRED_COUNT
    result = {
        "benchmark": "noise",
        "count": arguments.count,
        "shape": SHAPE,
        "seconds_one_core": seconds,
        "required_seconds": limit,
        "torch_randn_seconds": reference,
        "ratio": limit / seconds,
        "passed": seconds < limit,
    }
    text = (
        f"{arguments.count} noises of {'x'.join(map(str, SHAPE))} on one core: {seconds:.2f} s\n"
        f"torch.randn, a generator an index: {reference:.2f} s\n"
        f"required: under {limit:.2f} s; ratio {limit / seconds:.1f}"
    )
    return finish(result, text, arguments)


if __name__ == "__main__":
    sys.exit(main())
