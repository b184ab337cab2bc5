"""The empirical denoiser against the two-pass loader method of arXiv:2310.05264's code: at least 10 times faster.

    python benchmarks/bench_theory_empirical.py [--train 50000] [--batch 64] [--sigma 1.0] [--json]

The authors' method (huijieZH/Diffusion-Model-Generalizability@63aa580 `generate.py optimal_solver`) reads the training
set twice per denoiser call in batches of 64, and broadcasts every noisy image against every training image: once for
the largest exponent, once for the weights and the weighted sum. Here that arithmetic is written again and measured on
``LOADER_BATCHES`` batches, without the decoding of files that a loader adds, and scaled to the whole set; ours runs on
the whole set. The two in turn, the least of several runs each, in processor time on one core. Both must agree.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from common import finish, parsed, parser
from reprozoo_plugins.theory.empirical import EmpiricalDenoiser
from torch import Tensor

from reprozoo import NoiseBank

REQUIRED_RATIO = 10
LOADER_BATCH = 64
LOADER_BATCHES = 8
REPEATS = 3


def two_pass(images_u8: Tensor, x: Tensor, sigma: float) -> Tensor:
    """Posterior mean of ``x`` (batch, dim) by two passes of broadcasting over batches of the set."""
    largest = torch.full((len(x),), -torch.inf, dtype=torch.float64)
    for batch in images_u8.split(LOADER_BATCH):
        largest = torch.maximum(largest, exponents(batch, x, sigma).amax(1))
    total = torch.zeros(len(x), dtype=torch.float64)
    weighted = torch.zeros_like(x)
    for batch in images_u8.split(LOADER_BATCH):
        weights = torch.exp(exponents(batch, x, sigma) - largest[:, None])
        total += weights.sum(1)
        weighted += (weights[:, :, None] * pixels(batch)).sum(1)
    return weighted / total[:, None]


def exponents(batch: Tensor, x: Tensor, sigma: float) -> Tensor:
    return -((x[:, None] - pixels(batch)) ** 2).sum(2) / (2 * sigma**2)


def pixels(images_u8: Tensor) -> Tensor:
    return images_u8.float() / 127.5 - 1


def processor_seconds(work: Callable[[], Tensor]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> int:
    made = parser(__doc__, train=(50_000, 4096), batch=(64, 4))
    made.add_argument("--sigma", type=float, default=1.0)
    options = parsed(made)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (options.train, 3072), generator=generator, dtype=torch.uint8)
    few = images[: LOADER_BATCH * LOADER_BATCHES]
    noise = NoiseBank(0).noise(range(options.batch), (3072,)).double()
    x = pixels(few[: options.batch]).double() + options.sigma * noise
    sigma = torch.full((options.batch,), options.sigma, dtype=torch.float64)

    ours = EmpiricalDenoiser(images, torch.device("cpu"))
    agreement = EmpiricalDenoiser(few, torch.device("cpu")).denoise(x, sigma) - two_pass(few, x, options.sigma)
    times = [
        (
            processor_seconds(lambda: two_pass(few, x, options.sigma)) * len(images) / len(few),
            processor_seconds(lambda: ours.denoise(x, sigma)),
        )
        for _ in range(REPEATS)
    ]
    peer, own = (min(side) for side in zip(*times, strict=True))
    difference = float(agreement.abs().max())
    assert difference < 1e-4, f"the two methods disagree by {difference}"
    result = {
        "benchmark": "theory_empirical",
        "two_pass_s": round(peer, 2),
        "theory_empirical_s": round(own, 3),
        "ratio": round(peer / own, 1),
        "required_ratio": REQUIRED_RATIO,
        "largest_difference": difference,
        "passed": peer / own >= REQUIRED_RATIO,
    }
    text = (
        f"theory-empirical, one denoiser call of {options.batch} images: {own:.3f} s; "
        f"two passes over a loader: {peer:.2f} s\n"
        f"ratio {peer / own:.1f} (required: at least {REQUIRED_RATIO}), largest difference of an image {difference:.1e}"
    )
    return finish(result, text, options)


if __name__ == "__main__":
    sys.exit(main())
