"""Checks that a map keeps its contract, for plugin authors and for ``reprozoo check``.

    from reprozoo.testing import assert_map_contract

    def test_contract():
        assert_map_contract(load_my_map())

Each check is a function of a map that raises ``AssertionError`` with a sentence; ``run_checks`` runs them one by one.
Randomise all parameters of a test network first: many networks start with a last layer of zeros, and then every
comparison passes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reprozoo.errors import ReprozooError
from reprozoo.maps import Condition, DenoiserMap, NoiseToImageMap
from reprozoo.noise import NoiseBank

BATCH = 3
# One sample alone and in a batch goes through differently blocked matrix products; float32 rounding, amplified by a
# sampler, stays below this in pixel units of [-1, 1]. Half precision is checked in float32.
BATCH_TOLERANCE = 2e-3


@dataclass(frozen=True)
class CheckResult:
    """Outcome of one check: ``detail`` is what was measured, or why it failed."""

    name: str
    ok: bool
    detail: str


Check = Callable[[NoiseToImageMap, Sequence[Condition]], str]


def check_shape_and_range(target: NoiseToImageMap, conditions: Sequence[Condition]) -> str:
    """Images have the declared shape, are float32, finite, in [-1, 1], and not all equal."""
    images = target(_noise(target), conditions)
    assert images.dtype == torch.float32, f"images are {images.dtype}, expected float32"
    assert images.std() > 0, "every pixel of every image is the same"
    return f"{tuple(images.shape)}, values {float(images.min()):.3f} to {float(images.max()):.3f}"


def check_determinism(target: NoiseToImageMap, conditions: Sequence[Condition]) -> str:
    """The same noise gives the same bits twice."""
    first, second = target(_noise(target), conditions), target(_noise(target), conditions)
    assert torch.equal(first, second), f"two runs on the same noise differ by up to {_gap(first, second):.3g}"
    return "bit-equal"


def check_batch_independence(target: NoiseToImageMap, conditions: Sequence[Condition]) -> str:
    """An image does not depend on its neighbours in the batch."""
    noise = _noise(target)
    together = target(noise, conditions)
    alone = torch.cat([target(noise[i : i + 1], [conditions[i]]) for i in range(BATCH)])
    gap = _gap(together, alone)
    assert gap <= BATCH_TOLERANCE, (
        f"an image alone and in a batch of {BATCH} differ by {gap:.3g} (limit {BATCH_TOLERANCE})"
    )
    return f"alone and in a batch of {BATCH} differ by {gap * 127.5:.2g}/255"


def check_permutation(target: NoiseToImageMap, conditions: Sequence[Condition]) -> str:
    """Permuting the noises permutes the images."""
    noise, order = _noise(target), list(range(BATCH))[::-1]
    permuted = target(noise[order], [conditions[i] for i in order])
    gap = _gap(target(noise, conditions)[order], permuted)
    assert gap <= BATCH_TOLERANCE, f"permuted noises give images that differ by {gap:.3g} from the permuted images"
    return f"differ by {gap * 127.5:.2g}/255"


def check_uses_noise(target: NoiseToImageMap, conditions: Sequence[Condition]) -> str:
    """Other noise gives other images."""
    same = [conditions[0]] * BATCH
    images = target(_noise(target), same)
    gap = min(_gap(images[0], images[i]) for i in range(1, BATCH))
    assert gap > 0, "two different noises give the same image: the map ignores its noise"
    return f"two noises differ by up to {gap * 127.5:.0f}/255"


def check_noise_not_modified(target: NoiseToImageMap, conditions: Sequence[Condition]) -> str:
    """The noise handed in is left as it was."""
    noise = _noise(target)
    before = noise.clone()
    target(noise, conditions)
    assert torch.equal(noise, before), "the map wrote into the noise it was given"
    return "untouched"


def check_global_rng(target: NoiseToImageMap, conditions: Sequence[Condition]) -> str:
    """Global random generators are neither read nor advanced."""
    noise, saved = _noise(target), (torch.get_rng_state(), np.random.get_state(), random.getstate())
    images = []
    try:
        for seed in (0, 1):
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            before = _global_generators()
            images.append(target(noise, conditions))
            advanced = before != _global_generators()
            assert not advanced, "the map draws from a global random generator; use the noise it is given"
        assert torch.equal(*images), "the images depend on the seed of a global random generator"
    finally:
        torch.set_rng_state(saved[0])
        np.random.set_state(saved[1])
        random.setstate(saved[2])
    return "not read, not advanced"


def check_nfe(target: NoiseToImageMap, conditions: Sequence[Condition]) -> str:
    """A denoiser is called as often as ``nfe`` says."""
    if not isinstance(target, DenoiserMap):
        return f"{target.nfe} declared; not a denoiser, so not counted"
    calls, original = 0, target.denoise

    def counted(x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        nonlocal calls
        calls += 1
        return original(x, sigma, conditions)

    target.denoise = counted  # type: ignore[method-assign]
    try:
        target(_noise(target)[:1], conditions[:1])
    finally:
        del target.denoise
    assert target.nfe is None or calls == target.nfe, f"declares nfe = {target.nfe}, called its denoiser {calls} times"
    return f"{calls} calls" + (" (adaptive)" if target.nfe is None else "")


CHECKS: dict[str, Check] = {
    "shape and range": check_shape_and_range,
    "determinism": check_determinism,
    "batch independence": check_batch_independence,
    "permutation": check_permutation,
    "uses its noise": check_uses_noise,
    "noise not modified": check_noise_not_modified,
    "global generators": check_global_rng,
    "network evaluations": check_nfe,
}


def run_checks(target: NoiseToImageMap, conditions: Sequence[Condition] | None = None) -> list[CheckResult]:
    """Run every check on ``target``.

    Args:
        target: the map.
        conditions: ``BATCH`` conditions for its samples; by default the class labels 0, 1, 2 or a short prompt where
            the map needs them.

    Returns:
        One result a check, in the order of ``CHECKS``; a map that raises fails the check it raised in.
    """
    conditions = list(conditions) if conditions is not None else default_conditions(target)
    return [_run(name, check, target, conditions) for name, check in CHECKS.items()]


def assert_map_contract(target: NoiseToImageMap, conditions: Sequence[Condition] | None = None) -> None:
    """Raise ``AssertionError`` naming every check that ``target`` fails."""
    failed = [f"{result.name}: {result.detail}" for result in run_checks(target, conditions) if not result.ok]
    assert not failed, "the map breaks its contract: " + "; ".join(failed)


def default_conditions(target: NoiseToImageMap) -> list[Condition]:
    """Conditions a map needs to run at all."""
    labels = range(BATCH) if "class_label" in target.requires else [None] * BATCH
    prompt = "a photograph of an astronaut riding a horse" if "prompt" in target.requires else None
    classes = target.num_classes or BATCH
    return [Condition(prompt=prompt, class_label=None if label is None else label % classes) for label in labels]


def _run(name: str, check: Check, target: NoiseToImageMap, conditions: Sequence[Condition]) -> CheckResult:
    try:
        return CheckResult(name, True, check(target, conditions))
    except (AssertionError, ReprozooError) as error:
        return CheckResult(name, False, str(error))
    except Exception as error:  # a plugin's map may raise anything
        return CheckResult(name, False, f"{type(error).__name__}: {error}")


def _noise(target: NoiseToImageMap) -> Tensor:
    return NoiseBank(seed=0).noise(range(BATCH), target.noise_shape)


def _global_generators() -> tuple[str, str, str]:
    """The states of all three, as something that compares."""
    numpy_state = np.random.get_state()
    return (
        torch.get_rng_state().numpy().tobytes().hex(),
        f"{numpy_state[1].tobytes().hex()} {numpy_state[2:]}",  # type: ignore[index]  # a tuple, as legacy says
        repr(random.getstate()),
    )


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())
