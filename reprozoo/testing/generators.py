"""The check that a map leaves the global random generators alone: torch's (CPU and CUDA), NumPy's and Python's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from reprozoo.testing.results import expect
from reprozoo.testing.subject import Subject, largest_gap


def check_global_generators(subject: Subject) -> str:
    """Global random generators are neither read, nor advanced, nor seeded."""
    conditions, images = subject.conditions, []
    with _restored():
        for seed in (0, 1):
            _seed(seed)
            before = _states()
            images.append(subject.run(subject.noise(), conditions))
            after = _states()
            touched = [name for name in before if before[name] != after.get(name)]
            expect(
                not touched,
                f"the map draws from or seeds the global random generator of {' and '.join(touched)}; all that is "
                "random is in the noise it is given",
            )
        gap = largest_gap(*images)
        expect(gap == 0, f"the images depend on the seed of a global random generator: they differ by {gap:.3g}")
    return f"neither read nor advanced: {', '.join(before)}"


def _seed(seed: int) -> None:
    torch.manual_seed(seed)  # CUDA's too
    np.random.seed(seed)
    random.seed(seed)


def _states() -> dict[str, Any]:
    """State of each generator, as something that compares."""
    numpy_state: Any = np.random.get_state()
    states: dict[str, Any] = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "NumPy": (numpy_state[1].tobytes(), *numpy_state[2:]),
        "Python": random.getstate(),
    }
    if torch.cuda.is_available():
        states["CUDA"] = [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return states


@contextmanager
def _restored() -> Iterator[None]:
    """Put the generators back to where they were."""
    saved = torch.get_rng_state(), np.random.get_state(), random.getstate()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None
    try:
        yield
    finally:
        torch.set_rng_state(saved[0])
        np.random.set_state(saved[1])
        random.setstate(saved[2])
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
