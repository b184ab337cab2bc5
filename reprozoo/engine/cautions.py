"""What a reader must know before believing the scores, and the one thing that makes them not worth computing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from reprozoo.base.errors import IntegrityError
from reprozoo.engine.results import ModelRun, PairScores
from reprozoo.engine.sampling import Subject

HIGH_SHUFFLED_RP = 0.05
FEW_SAMPLES = 100
LEAST_SELF_RP = 0.5  # of a model with itself; rounding, even where a sampler amplifies it, spares most images


def check_canary(subjects: Sequence[Subject], digests: Sequence[str]) -> None:
    """Refuse models whose weights differ and whose images do not: one of them was not run.

    Args:
        digests: of the images of each subject.

    Raises:
        IntegrityError: "the same weights twice?"
    """
    for (a, first), (b, second) in combinations(zip(subjects, digests, strict=True), 2):
        converted = any(map(_has_local_weights, (a, b)))  # one's own file may hold the same tensors
        if first == second and a.weights and b.weights and a.weights != b.weights and not converted:
            raise IntegrityError(
                f"{a.label} and {b.label} have different weights and made bit-identical images: "
                "the same weights twice? One of them was not run. Look at the loader of its family and at the files on "
                "its card, remove the images with `reprozoo cache prune --all`, and compare again"
            )


def _has_local_weights(subject: Subject) -> bool:
    return any(source.get("kind") == "local" for source in subject.run.description.get("card", {}).get("weights", ()))


def cautions_about_models(subjects: Sequence[Subject], digests: Sequence[str]) -> list[str]:
    """Sentences about models that are the same in disguise, or that ran short of memory."""
    said = []
    for (a, first), (b, second) in combinations(zip(subjects, digests, strict=True), 2):
        if a.images.key == b.images.key and a.run.batch_size:
            said.append(f"{a.label} and {b.label} are the same map: same weights, same options.")
        elif a.weights and a.weights == b.weights:
            same = "; their images are bit-identical, so what differs in their options has no effect"
            said.append(f"{a.label} and {b.label} have the same weights{same if first == second else ''}.")
        elif first == second:
            apart = a.weights and b.weights
            same = ": their files differ, so the same tensors were saved twice, or one was not run" if apart else ""
            said.append(f"{a.label} and {b.label} made bit-identical images{same}.")
    for subject in subjects:
        run = subject.run
        if run.smallest_batch_size < run.batch_size:
            said.append(
                f"Memory ran out for {run.label} at batches of {run.batch_size}: batches of down to "
                f"{run.smallest_batch_size} were used, and images may differ in their last bit on another machine."
            )
    return said


def cautions_about_scores(
    runs: Sequence[ModelRun], pairs: Sequence[PairScores], *, count: int, threshold: float, descriptor_id: str
) -> list[str]:
    """Sentences about scores that mean less than they seem to."""
    said = []
    if count < FEW_SAMPLES:
        said.append(f"Only {count} noises were compared: the intervals are wide; ask for 1000 or more (-n).")
    for pair in pairs:
        name = f"{pair.model_a} × {pair.model_b}"
        if pair.shuffled is not None and pair.shuffled.rp.value > HIGH_SHUFFLED_RP:
            said.append(
                f"{name}: images of different noises count as the same in {pair.shuffled.rp.value:.1%} of cases, so "
                f"{descriptor_id} above {threshold:g} says little about these images."
            )
        if pair.near_threshold:
            what = "noise has its similarity" if pair.near_threshold == 1 else "noises have their similarity"
            said.append(
                f"{name}: {pair.near_threshold} {what} within 1e-5 of the threshold; another machine may put "
                f"{'it' if pair.near_threshold == 1 else 'them'} on the other side."
            )
    for run in runs:
        floor = run.noise_floor
        if floor is not None and floor.rp.value < 1:
            often = floor.rp.value >= LEAST_SELF_RP
            said.append(
                f"{run.label} reproduces itself at another batch size for only {floor.rp.value:.1%} of {floor.count} "
                + ("noises: differences of this size are rounding." if often else
                   "noises, which is no rounding: it draws noise of its own, or an image depends on its neighbours in "
                   f"the batch. `reprozoo check {run.spec}` says which.")
            )  # fmt: skip
    return said
