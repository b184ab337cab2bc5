"""Images of several models to scores: the part that ``compare`` and ``score`` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reprozoo.descriptors import Descriptor
from reprozoo.engine.cautions import cautions_about_models, cautions_about_scores, check_canary
from reprozoo.engine.describing import describe_all
from reprozoo.engine.floor import noise_floor
from reprozoo.engine.pixels import pass_over_pixels
from reprozoo.engine.progress import Progress
from reprozoo.engine.sampling import Subject
from reprozoo.engine.scoring import pair_scores, paired_tests
from reprozoo.errors import UsageError
from reprozoo.metrics import partners
from reprozoo.results import Baseline, ModelRun, PairedTest, PairScores
from reprozoo.store import Store


@dataclass(frozen=True)
class Rules:
    """How images are judged."""

    descriptor: Descriptor
    threshold: float
    mae_threshold: float

    @property
    def score_names(self) -> dict[str, str]:
        """Names that say what was measured, e.g. "rp[sscd-disc-large@320, >0.6]"."""
        return {
            "rp": f"rp[{self.descriptor.id}, >{self.threshold:g}]",
            "mae": f"mae[<{self.mae_threshold:g}/255]",
        }


@dataclass(frozen=True)
class Verdict:
    """What was found about all models."""

    models: list[ModelRun]
    pairs: list[PairScores]
    baselines: list[Baseline]
    tests: list[PairedTest]
    warnings: list[str]

    @property
    def runs(self) -> list[ModelRun]:
        """Those of the models, then of the baselines."""
        return [*self.models, *(baseline.run for baseline in self.baselines)]


def make_rules(descriptor: Descriptor, threshold: float | None, mae_threshold: float) -> Rules:
    """Check the thresholds.

    Raises:
        UsageError: one that no score could ever pass, or always.
    """
    chosen = descriptor.threshold if threshold is None else threshold
    if not -1 <= chosen < 1:
        raise UsageError(f"a similarity threshold is from -1 to below 1, got {chosen:g}")
    if not 0 < mae_threshold <= 255:
        raise UsageError(f"a threshold of the mean absolute error is above 0 and at most 255, got {mae_threshold:g}")
    return Rules(descriptor, chosen, mae_threshold)


def judge(
    models: Sequence[Subject],
    baselines: Sequence[tuple[Subject, Sequence[int]]],
    indices: Sequence[int],
    rules: Rules,
    store: Store,
    *,
    groups: NDArray[np.int64] | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Score every pair of models, and every baseline against its models.

    Args:
        baselines: (images, positions of the models that it fits).
        groups: (n,) as ``Conditions.groups`` gives them; None where all noises have one condition.

    Raises:
        IntegrityError: the store is damaged, or two models of different weights made the same images.
    """
    subjects = [*models, *(subject for subject, _ in baselines)]
    among = list(combinations(range(len(models)), 2))
    against = [[(len(models) + k, i) for i in positions] for k, (_, positions) in enumerate(baselines)]
    one_group = torch.zeros(len(indices), dtype=torch.int64)
    rounds = partners(one_group if groups is None else torch.from_numpy(groups)) if len(indices) > 1 else []
    found = pass_over_pixels(
        [subject.images for subject in subjects], indices, [*among, *chain.from_iterable(against)],
        partners=rounds[0] if rounds else None, progress=progress,
    )  # fmt: skip
    check_canary(subjects, found.digests)
    wanted = [(subject.label, subject.images, indices) for subject in subjects]
    features = describe_all(wanted, rules.descriptor, store, progress)

    def scores(a: int, b: int, *, shuffle: bool) -> PairScores:
        return pair_scores(
            (subjects[a].label, subjects[b].label), (features[a], features[b]), found.errors[a, b],
            found.shuffled.get((a, b)) if shuffle else None,
            threshold=rules.threshold, mae_threshold=rules.mae_threshold, partners=rounds,
        )  # fmt: skip

    pairs = [scores(a, b, shuffle=True) for a, b in among]
    runs = [
        _finished_run(subject, digest, own, rules, store, progress)
        for subject, digest, own in zip(subjects, found.digests, features, strict=True)
    ]
    return Verdict(
        models=runs[: len(models)],
        pairs=pairs,
        baselines=[
            Baseline(run, [scores(a, b, shuffle=False) for a, b in own])
            for run, own in zip(runs[len(models) :], against, strict=True)
        ],
        tests=paired_tests(pairs, rules.threshold),
        warnings=[
            *cautions_about_models(subjects, found.digests),
            *cautions_about_scores(
                runs, pairs, count=len(indices), threshold=rules.threshold, descriptor_id=rules.descriptor.id
            ),
        ],
    )


def _finished_run(
    subject: Subject, digest: str, features: Tensor, rules: Rules, store: Store, progress: Progress | None
) -> ModelRun:
    """The record of a model with what the images said: their digest, and the noise floor."""
    floor = noise_floor(
        subject, features, rules.descriptor, store,
        threshold=rules.threshold, mae_threshold=rules.mae_threshold, progress=progress,
    )  # fmt: skip
    return replace(subject.run, images_sha256=digest, noise_floor=floor)
