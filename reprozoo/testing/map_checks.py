"""What every map promises: images as declared, a function of each sample's noise and condition and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from reprozoo.diffusion.denoisers import DenoiserMap
from reprozoo.maps.condition import Condition
from reprozoo.testing.results import CheckSkipped, expect
from reprozoo.testing.subject import BATCH, Subject, examples, largest_gap

# One sample alone and in a batch goes through differently blocked matrix products; float32 rounding, amplified by a
# sampler, stays below this in pixel units of [-1, 1]; the largest measured is 0.0009 (tiny-uvit in 3 steps).
BATCH_TOLERANCE = 2e-3
STEPS_OF_8_BIT = 127.5  # from pixel units of [-1, 1] to those of 8 bits


def check_images(subject: Subject) -> str:
    """Images have the declared shape, a floating type, no NaN and values in [-1, 1]."""
    images = subject.images
    with torch.no_grad():
        raw = subject.map.generate(subject.noise()[:1], subject.conditions[:1])
    expect(raw.is_floating_point(), f"generate returned {raw.dtype}; images are floating-point, in [-1, 1]")
    return f"{tuple(images.shape)}, values {float(images.min()):.3f} to {float(images.max()):.3f}"


def check_determinism(subject: Subject) -> str:
    """The same noise gives the same bits twice."""
    first, second = subject.images, subject.run(subject.noise(), subject.conditions)
    gap = largest_gap(first, second)
    expect(torch.equal(first, second), f"two runs on the same noise differ by up to {gap:.3g}")
    return "bit-equal"


def check_batch_size(subject: Subject) -> str:
    """An image does not depend on how many others are made with it, nor on which."""
    together = subject.images
    alone = torch.stack([subject.single(i, condition) for i, condition in enumerate(subject.conditions)])
    gap = largest_gap(together, alone)
    expect(
        gap <= BATCH_TOLERANCE,
        f"an image alone and in a batch of {BATCH} differ by {gap:.3g} (limit {BATCH_TOLERANCE}): something is "
        "computed over the batch, or by the place in it",
    )
    return f"alone and in a batch of {BATCH} differ by {gap * STEPS_OF_8_BIT:.2g}/255"


def check_permutation(subject: Subject) -> str:
    """Permuting the noises permutes the images."""
    order = list(range(BATCH))[::-1]
    permuted = subject.run(subject.noise()[order], [subject.conditions[i] for i in order])
    gap = largest_gap(subject.images[order], permuted)
    expect(
        gap <= BATCH_TOLERANCE,
        f"permuted noises give images that differ by {gap:.3g} from the permuted images (limit {BATCH_TOLERANCE})",
    )
    return f"differ by {gap * STEPS_OF_8_BIT:.2g}/255"


def check_uses_noise(subject: Subject) -> str:
    """Other noise gives another image."""
    condition = subject.conditions[0]
    gap = min(largest_gap(subject.single(0, condition), subject.single(i, condition)) for i in range(1, BATCH))
    expect(gap > 0, "two different noises give the same image: the map ignores its noise")
    return f"two noises differ by up to {gap * STEPS_OF_8_BIT:.0f}/255"


def check_uses_condition(subject: Subject) -> str:
    """Another class, prompt or observation gives another image of the same noise."""
    kinds = sorted(subject.map.accepts)
    if not kinds:
        raise CheckSkipped("the map takes no condition")
    seen = []
    for kind in kinds:
        name, values = kind.replace("_", " "), _values(subject, kind)
        if len(values) < 2:
            raise CheckSkipped(f"the map has one {name} only")
        first, second = (subject.single(0, replace(subject.conditions[0], **{kind: value})) for value in values[:2])
        gap = largest_gap(first, second)
        expect(gap > 0, f"two different values of the {name} give the same image: the map accepts it and ignores it")
        seen.append(f"another {name} differs by up to {gap * STEPS_OF_8_BIT:.0f}/255")
    return "; ".join(seen)


def check_noise_unmodified(subject: Subject) -> str:
    """The noise handed in is left as it was."""
    noise = subject.noise()
    before = noise.clone()
    subject.run(noise, subject.conditions)
    expect(torch.equal(noise, before), "the map wrote into the noise it was given; copy it first")
    return "untouched"


def check_network_evaluations(subject: Subject) -> str:
    """A denoiser is called as often as ``nfe`` says."""
    loaded = subject.map
    if not isinstance(loaded, DenoiserMap):
        raise CheckSkipped(f"the map has no denoiser whose calls could be counted; it declares nfe = {loaded.nfe}")
    calls, original = 0, loaded.denoise

    def counted(x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        nonlocal calls
        calls += 1
        return original(x, sigma, conditions)

    with replaced(loaded, "denoise", counted):
        subject.run(subject.noise()[:1], subject.conditions[:1])
    expect(loaded.nfe in (None, calls), f"declares nfe = {loaded.nfe}, called its denoiser {calls} times")
    return f"{calls} calls" + (" (adaptive)" if loaded.nfe is None else "")


@contextmanager
def replaced(target: object, name: str, value: Any) -> Iterator[None]:
    """A method of one object replaced for a while."""
    setattr(target, name, value)
    try:
        yield
    finally:
        delattr(target, name)


def _values(subject: Subject, kind: str) -> list[Any]:
    """Different values of a kind of condition: the subject's own if it has two, otherwise examples."""
    own = {repr(c.to_json()[kind]): getattr(c, kind) for c in subject.conditions if kind in c.given()}
    return list(own.values() if len(own) > 1 else examples(subject.map, kind))
