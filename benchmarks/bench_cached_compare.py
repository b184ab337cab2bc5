"""A comparison whose images and features are in the store: at most one second for 1000 noises, nothing sampled.

    python benchmarks/bench_cached_compare.py [--samples 1000] [--threads 1] [--json]

The Gaussian theory, in closed form and by a sampler, at 32×32, by the pixel descriptor, so that nothing has to be
fetched. The first run fills the store. The cached one is measured twice: in this process, on the clock, least of
several; and as a user meets it, a new process with its imports.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from common import finish, parsed, parser

from reprozoo import compare
from reprozoo.engine.progress import ProgressEvent
from reprozoo.engine.result import Comparison
from reprozoo.engine.store import Store

LIMIT_S_FOR_1000 = 1.0
REPEATS = 5
MODELS = ("theory-gaussian", "theory-gaussian+flow=sampler+steps=5")


def run(folder: Path, samples: int, events: list[ProgressEvent] | None = None) -> tuple[float, Comparison]:
    """Seconds on the clock, and the result."""
    start = time.perf_counter()
    result = compare(
        MODELS, num_samples=samples, descriptor="pixels", store=Store(folder), device="cpu", baselines=[],
        progress=False if events is None else events.append,
    )  # fmt: skip
    return time.perf_counter() - start, result


def fresh_process_seconds(folder: Path, samples: int) -> float:
    """Seconds on the clock of a new Python that does nothing else."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import torch; "
        f"torch.set_num_threads({torch.get_num_threads()}); import bench_cached_compare as b; "
        f"from pathlib import Path; b.run(Path({str(folder)!r}), {samples})"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


def measure(samples: int) -> dict[str, Any]:
    """Everything that is printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, filled = run(folder, samples)
        events: list[ProgressEvent] = []
        _, again = run(folder, samples, events)
        assert {event.stage for event in events} == {"scoring"}, "something was sampled or described again"
        assert again.measurements == filled.measurements, "the cached scores are not the first ones"
        cached = min(run(folder, samples)[0] for _ in range(REPEATS))
        process = fresh_process_seconds(folder, samples)
    limit = LIMIT_S_FOR_1000 * samples / 1000
    return {
        "benchmark": "cached_compare",
        "samples": samples,
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "first_s": first,
        "cached_s": cached,
        "fresh_process_s": process,
        "limit_s": limit,
        "passed": cached <= limit,
    }


def main() -> int:
    arguments = parsed(parser(__doc__, samples=(1000, 64), threads=(1, 1)))
    torch.set_num_threads(arguments.threads)
    result = measure(arguments.samples)
    text = (
        f"compare, 2 models, {result['samples']} noises, {result['threads']} thread(s), "
        f"load average {result['load_average']:.1f}\n"
        f"first run {result['first_s']:.2f} s; cached {result['cached_s']:.2f} s, limit {result['limit_s']:.2f} s; "
        f"in a new process, imports included, {result['fresh_process_s']:.2f} s"
    )
    return finish(result, text, arguments)


if __name__ == "__main__":
    sys.exit(main())
