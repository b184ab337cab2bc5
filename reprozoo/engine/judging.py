"""Images of several models to scores: the part that ``compare`` and ``score`` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations

from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.engine.cautions import cautions_about_models, cautions_about_scores, check_canary
from reprozoo.engine.describing import describe_all
from reprozoo.engine.floor import noise_floor
from reprozoo.engine.pixels import pass_over_pixels
from reprozoo.engine.progress import Progress
from reprozoo.engine.results import Baseline, ModelRun, PairedTest, PairScores
from reprozoo.engine.sampling import Subject
from reprozoo.engine.scoring import Features, matching, pair_scores, paired_tests
from reprozoo.engine.store import Store
from reprozoo.maps.conditions import Conditions
from reprozoo.measures.descriptors import Descriptor, Mirrored


@dataclass(frozen=True)
class Rules:
    """How images are judged.

    Attributes:
        mirror: whether an image also counts as the same when its mirror image is similar.
    """

    descriptor: Descriptor
    threshold: float
    mae_threshold: float
    mirror: bool = False

    @property
    def score_names(self) -> dict[str, str]:
        """Names that say what was measured, e.g. "rp[sscd-disc-large@320, >0.6]"."""
        return {
            "rp": f"rp[{self.descriptor.id}, >{self.threshold:g}{', mirrored or not' if self.mirror else ''}]",
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


def make_rules(
    descriptor: Descriptor,
    threshold: float | None,
    mae_threshold: float,
    *,
    conditions: Conditions | None = None,
    mirror: bool = False,
) -> Rules:
    """Check the thresholds.

    Args:
        threshold: None for the descriptor's own, which may be another one for images that follow a prompt.

    Raises:
        UsageError: one that no score could ever pass, or always.
    """
    prompted = conditions is not None and any(condition.prompt is not None for condition in conditions.every())
    usual = descriptor.prompt_threshold if prompted else None
    chosen = threshold if threshold is not None else descriptor.threshold if usual is None else usual
    if not -1 <= chosen < 1:
        raise UsageError(f"a similarity threshold is from -1 to below 1, got {chosen:g}")
    if not 0 < mae_threshold <= 255:
        raise UsageError(f"a threshold of the mean absolute error is above 0 and at most 255, got {mae_threshold:g}")
    return Rules(descriptor, chosen, mae_threshold, mirror)


def judge(
    models: Sequence[Subject],
    baselines: Sequence[tuple[Subject, Sequence[int]]],
    indices: Sequence[int],
    rules: Rules,
    store: Store,
    *,
    conditions: Conditions,
    progress: Progress | None = None,
) -> Verdict:
    """Score every pair of models, and every baseline against its models.

    Args:
        baselines: (images, positions of the models that it fits).
        conditions: of the noises; those of equal condition are mismatched for the shuffled baseline.

    Raises:
        IntegrityError: the store is damaged, or two models of different weights made the same images.
    """
    subjects = [*models, *(subject for subject, _ in baselines)]
    among = list(combinations(range(len(models)), 2))
    against = [[(len(models) + k, i) for i in positions] for k, (_, positions) in enumerate(baselines)]
    matched = matching(indices, conditions)
    found = pass_over_pixels(
        [subject.images for subject in subjects], indices, [*among, *chain.from_iterable(against)],
        shuffled=among, partners=next(iter(matched.partners), None), progress=progress,
    )  # fmt: skip
    check_canary(subjects, found.digests)
    features = _features(subjects, indices, rules, store, progress)

    def scores(a: int, b: int) -> PairScores:
        return pair_scores(
            (subjects[a].label, subjects[b].label), (features[a], features[b]), found.errors[a, b],
            found.shuffled.get((a, b)),
            threshold=rules.threshold, mae_threshold=rules.mae_threshold, matching=matched,
        )  # fmt: skip

    pairs = [scores(a, b) for a, b in among]
    runs = [
        _finished_run(subject, digest, own.own, rules, store, progress)
        for subject, digest, own in zip(subjects, found.digests, features, strict=True)
    ]
    return Verdict(
        models=runs[: len(models)],
        pairs=pairs,
        baselines=[
            Baseline(run, [scores(a, b) for a, b in own]) for run, own in zip(runs[len(models) :], against, strict=True)
        ],
        tests=paired_tests(pairs, rules.threshold),
        warnings=[
            *cautions_about_models(subjects, found.digests),
            *cautions_about_scores(
                runs, pairs, count=len(indices), threshold=rules.threshold, descriptor_id=rules.descriptor.id
            ),
        ],
    )


def _features(
    subjects: Sequence[Subject], indices: Sequence[int], rules: Rules, store: Store, progress: Progress | None
) -> list[Features]:
    wanted = [(subject.label, subject.images, indices) for subject in subjects]
    own = describe_all(wanted, rules.descriptor, store, progress)
    if not rules.mirror:
        return [Features(features) for features in own]
    mirrored = describe_all(wanted, Mirrored(rules.descriptor), store, progress)
    return [Features(*both) for both in zip(own, mirrored, strict=True)]


def _finished_run(
    subject: Subject, digest: str, features: Tensor, rules: Rules, store: Store, progress: Progress | None
) -> ModelRun:
    """The record of a model with what the images said: their digest, and the noise floor."""
    floor = noise_floor(
        subject, features, rules.descriptor, store,
        threshold=rules.threshold, mae_threshold=rules.mae_threshold, progress=progress,
    )  # fmt: skip
    return replace(subject.run, images_sha256=digest, noise_floor=floor)
