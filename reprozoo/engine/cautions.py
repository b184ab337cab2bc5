"""What a reader must know before believing the scores, and the one thing that makes them not worth computing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from reprozoo.base.errors import IntegrityError
from reprozoo.engine.pairings import NEAREST, REPEAT, SAME, SHUFFLED
from reprozoo.engine.result import Measurement, Score
from reprozoo.engine.sides import Side

HIGH_SHUFFLED_SHARE = 0.05
FEW_SAMPLES = 100
LEAST_SELF_SHARE = 0.5  # of a model with itself; rounding, even where a sampler amplifies it, spares most images


def check_canary(sides: Sequence[Side]) -> None:
    """Refuse models whose weights differ and whose images do not: one of them was not run.

    Raises:
        IntegrityError: "the same weights twice?"
    """
    for a, b in combinations([side.record for side in sides if side.record.weights_digest], 2):
        converted = any(map(_has_local_weights, (a.facts, b.facts)))  # one's own file may hold the same tensors
        if a.images_sha256 == b.images_sha256 and a.weights_digest != b.weights_digest and not converted:
            raise IntegrityError(
                f"{a.label} and {b.label} have different weights and made bit-identical images: "
                "the same weights twice? One of them was not run. Look at the loader of its family and at the files on "
                "its card, remove the images with `reprozoo cache prune --all`, and compare again"
            )


def cautions_about_sides(sides: Sequence[Side]) -> Iterator[str]:
    """Sentences about models that are the same in disguise, or that ran short of memory."""
    made = [side for side in sides if side.record.images_sha256 and side.record.role in ("model", "baseline")]
    for a, b in combinations(made, 2):
        if said := _disguise(a, b):
            yield said
    for record in (side.record for side in made):
        if record.smallest_batch_size < record.batch_size:
            yield (
                f"Memory ran out for {record.label} at batches of {record.batch_size}: batches of down to "
                f"{record.smallest_batch_size} were used, and images may differ in their last bit on another machine."
            )
        if not record.kept:
            yield (
                f"{record.label} is a Python object: nothing proves what it is, so its images are not kept beyond this "
                "process."
            )


def _disguise(first: Side, second: Side) -> str:
    """A sentence about two models that are the same where nothing in their specs says so."""
    a, b = first.record, second.record
    identical = a.images_sha256 == b.images_sha256
    if first.images.key == second.images.key and a.batch_size:
        return f"{a.label} and {b.label} are the same map: same weights, same options."
    if a.weights_digest and a.weights_digest == b.weights_digest:
        if identical:
            return (
                f"{a.label} and {b.label} have the same weights; their images are bit-identical, so what differs in "
                "their options has no effect."
            )
        same_card = a.card.get("id") is not None and a.card.get("id") == b.card.get("id")
        return "" if same_card else f"{a.label} and {b.label} have the same weights."
    if identical:
        apart = a.weights_digest and b.weights_digest
        why = ": their files differ, so the same tensors were saved twice, or one was not run" if apart else ""
        return f"{a.label} and {b.label} made bit-identical images{why}."
    return ""


def cautions_about_scores(measurements: Sequence[Measurement], *, count: int, noise: bool = True) -> Iterator[str]:
    """Sentences about scores that mean less than they seem to, one for each kind.

    Args:
        count: how many noises were compared, or, without ``noise``, how many images made elsewhere.
    """
    if count < FEW_SAMPLES:
        things, more = ("noises", "ask for 1000 or more (-n)") if noise else ("images", "1000 or more say more")
        yield f"Only {count} {things} were compared: the intervals are wide; {more}."
    yield from _shuffled_as_high(measurements)
    for m in measurements:
        for score in m.scores if m.pairing in (SAME, NEAREST) else ():
            if score.near:
                yield _near_threshold(m, score)
        if m.pairing == REPEAT and (said := _self(m)):
            yield said


def _shuffled_as_high(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Shares that images of different noises reach too: one sentence a score, naming the worst pair."""
    by_label: dict[str, list[tuple[float, Measurement]]] = {}
    for m in measurements:
        first = m.scores[0] if m.pairing == SHUFFLED and m.scores else None
        if first is not None and first.successes is not None and first.value > HIGH_SHUFFLED_SHARE:
            by_label.setdefault(first.label, []).append((first.value, m))
    for label, found in by_label.items():
        value, worst = max(found, key=lambda pair: pair[0])
        many = f"{len(found)} pairs, most for {worst.a} × {worst.b}" if len(found) > 1 else f"{worst.a} × {worst.b}"
        yield (
            f"{many}: images of different noises count as the same in {100 * value:.1f} % of cases, so {label} "
            "says little about these images; look at the distribution, or take another descriptor or threshold."
        )


def _near_threshold(m: Measurement, score: Score) -> str:
    what, it = ("noise has its value", "it") if score.near == 1 else ("noises have their values", "them")
    return (
        f"{m.a} × {m.b}: {score.near} {what} within rounding of the threshold of {score.label}; another machine may "
        f"put {it} on the other side."
    )


def _self(m: Measurement) -> str:
    """About a model that does not reproduce itself."""
    score = m.scores[0]
    if score.successes is None or score.value >= 1 or m.measure.partition("[")[1] == "":
        return ""
    said = f"{m.a} reproduces itself at another batch size for only {100 * score.value:.1f} % of {m.count} noises"
    if score.value >= LEAST_SELF_SHARE:
        return f"{said}: differences of this size are rounding."
    return (
        f"{said}, which is no rounding: it draws noise of its own, or an image depends on its neighbours in the batch. "
        f"`reprozoo check {m.a}` says which."
    )


def _has_local_weights(facts: dict[str, object]) -> bool:
    card = facts.get("card", {})
    weights = card.get("weights", ()) if isinstance(card, dict) else ()
    return any(source.get("kind") == "local" for source in weights)
