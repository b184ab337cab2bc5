"""GL search against the matrix product that it cannot do without: at least 0.9 of its speed, at most 1 GB of memory.

    python benchmarks/bench_gl_search.py [--queries 10000] [--train 50000] [--dim 512] [--threads 1] [--json]

The product is that of a block of 2048 queries with the whole training set, into memory that is there already. The two
take turns, and the least of several runs each counts, in processor time: other work on the machine hardly changes the
ratio then. Beside it, for scale, the broadcast of the authors' ``mscore``, which multiplies (b, 1, dim) by
(1, train, dim) and sums; measured on 16 queries and scaled, since it needs 13 GB at its batch of 128. All must find the
same maxima. The whole search runs once for its seconds on the clock and its peak memory: the resident set of the
process (Linux), above what it was with the inputs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import finish, parsed, parser
from numpy.typing import NDArray

from reprozoo.measures.search import MAX_ROWS, nearest

REQUIRED_RATIO = 0.9
LIMIT_BYTES = 10**9
BROADCAST_QUERIES = 16
REPEATS = 9

Rows = NDArray[np.float32]


def unit_rows(count: int, dim: int, *, seed: int) -> Rows:
    """Random descriptors."""
    rows = np.random.default_rng(seed).standard_normal((count, dim), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def processor_seconds(work: Callable[[], Rows]) -> tuple[float, Rows]:
    """Processor time of this process, and what the work returned."""
    start = time.process_time()
    value = work()
    return time.process_time() - start, value


def broadcast_maxima(features: Rows, train_features: Rows) -> Rows:
    """Largest similarity of each query by the authors' method."""
    return (features[:, None, :] * train_features[None, :, :]).sum(axis=2).max(axis=1)


def product(features: Rows, train_features: Rows, memory: torch.Tensor) -> Rows:
    """Every similarity, and nothing done with it."""
    return torch.mm(torch.from_numpy(features), torch.from_numpy(train_features).T, out=memory).numpy()


def search_maxima(features: Rows, train_features: Rows) -> Rows:
    """Largest similarity of each query by ours."""
    return nearest(features, train_features).similarity[:, 0]


def seconds_in_turn(features: Rows, train_features: Rows) -> dict[str, float]:
    """Least processor seconds of one block of queries by each method, those of the broadcast scaled to it."""
    block, few = features[:MAX_ROWS], features[:BROADCAST_QUERIES]
    memory = torch.zeros(len(block), len(train_features))
    products, search = [], []
    for _ in range(REPEATS):
        products.append(processor_seconds(lambda: product(block, train_features, memory))[0])
        seconds, maxima = processor_seconds(lambda: search_maxima(block, train_features))
        search.append(seconds)
    broadcast, expected = processor_seconds(lambda: broadcast_maxima(few, train_features))
    difference = float(np.abs(maxima[: len(few)] - expected).max())
    assert difference < 1e-6, f"the two methods disagree by {difference}"
    return {"product": min(products), "search": min(search), "broadcast": broadcast * len(block) / len(few)}


def resident_bytes(field: str) -> int | None:
    """VmRSS or VmHWM (its peak) of this process; None where there is no /proc."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def whole_search(features: Rows, train_features: Rows) -> tuple[float, int | None]:
    """Seconds on the clock of the whole search, and its peak memory above the inputs."""
    before = resident_bytes("VmRSS")
    if before is not None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    start = time.perf_counter()
    search_maxima(features, train_features)
    seconds, peak = time.perf_counter() - start, resident_bytes("VmHWM")
    return seconds, None if before is None or peak is None else peak - before


def measure(queries: int, train: int, dim: int) -> dict[str, Any]:
    """Everything that is printed."""
    features, train_features = unit_rows(queries, dim, seed=0), unit_rows(train, dim, seed=1)
    search_maxima(features[:64], train_features[:64])  # start the threads of the matrix product
    seconds, peak = whole_search(features, train_features)
    own = seconds_in_turn(features, train_features)
    ratio = own["product"] / own["search"]
    return {
        "benchmark": "gl_search",
        "size": [queries, train, dim],
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
        "seconds_on_the_clock": seconds,
        "block_processor_seconds": own,
        "ratio_to_the_product": ratio,
        "times_the_broadcast": own["broadcast"] / own["search"],
        "required_ratio": REQUIRED_RATIO,
        "peak_bytes_above_inputs": peak,
        "limit_bytes": LIMIT_BYTES,
        "passed": ratio >= REQUIRED_RATIO and (peak is None or peak <= LIMIT_BYTES),
    }


def main() -> int:
    made = parser(__doc__, queries=(10_000, 256), train=(50_000, 4096), dim=(512, 64), threads=(1, 1))
    arguments = parsed(made)
    torch.set_num_threads(arguments.threads)
    result = measure(arguments.queries, arguments.train, arguments.dim)
    own, peak = result["block_processor_seconds"], result["peak_bytes_above_inputs"]
    text = (
        f"GL search, {arguments.queries} x {arguments.train} x {arguments.dim}: {result['seconds_on_the_clock']:.1f} s "
        f"on the clock, {result['threads']} thread(s), load average {result['load_average']:.1f}\n"
        f"processor seconds of a block: search {own['search']:.2f}, matrix product {own['product']:.2f}, "
        f"broadcast {own['broadcast']:.0f} (scaled)\n"
        f"{result['ratio_to_the_product']:.2f} of the product's speed, required {REQUIRED_RATIO}; "
        f"{result['times_the_broadcast']:.0f} times the broadcast's\n"
        f"peak memory above the inputs: {'not measured' if peak is None else f'{peak / 1e6:.0f} MB'}, "
        f"limit {LIMIT_BYTES / 1e6:.0f} MB"
    )
    return finish(result, text, arguments)


if __name__ == "__main__":
    sys.exit(main())
