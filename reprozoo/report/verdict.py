"""What the scores mean, in sentences: each is derived from scores, intervals and the kinds of side, and none from hope.

The rules that keep sentences from contradicting each other:

- "The same image" is said where graded measures, too, find no more than what rounding does; otherwise images "count
  as the same", by the rule that counts them, and the graded measures say how far apart they are.
- That agreement comes from the noise is said where mismatched noise has almost none, and never where a descriptor finds
  images of different noises alike.
- The Gaussian solution is spoken of between two different models, not between a model and its own variant.
- Images are "training images" where the card names them and all of them were searched, otherwise "these images"; "new"
  is said of the former alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal

from reprozoo.engine.cautions import FEW_SAMPLES, HIGH_SHUFFLED_SHARE
from reprozoo.engine.result import Comparison, Measurement, Score, SideRecord, threshold_text
from reprozoo.report.findings import (
    GRADED_KINDS,
    NEAREST,
    NEAREST_OTHER,
    SAME,
    SHUFFLED,
    Column,
    Findings,
    Pair,
    graded,
)
from reprozoo.report.words import (
    counted,
    percent,
    percent_interval,
    reference_columns,
    reference_pairs,
    summary_title,
    valued,
)

Relation = Literal["models", "variant", "elsewhere"]
GAUSSIAN_FAMILY = "theory-gaussian"
MOST_NAMED = 3
OPPOSITE = {"share_not_above": ">", "share_above": "≤", "share_below": "≥"}


def verdicts(comparison: Comparison) -> list[str]:
    """A few sentences that say what the scores mean; the first is the headline."""
    found = Findings(comparison)
    pairs = found.pairs
    said = _one_pair(found, pairs[0]) if len(pairs) == 1 else _many_pairs(found) if pairs else []
    said += [sentence for pair in found.searched[:MOST_NAMED] for sentence in _searched(found, pair)]
    return said + _references(found)


def relation(a: SideRecord, b: SideRecord) -> Relation:
    """What two sides are to each other.

    Returns:
        "elsewhere" where the images of one were made elsewhere; "variant" for two settings of one model: the same card,
        or the same weights; otherwise "models".
    """
    if made_elsewhere(a) or made_elsewhere(b):
        return "elsewhere"
    same_card = a.card.get("id") is not None and a.card.get("id") == b.card.get("id")
    same_weights = a.weights_digest is not None and a.weights_digest == b.weights_digest
    return "variant" if same_card or same_weights else "models"


def made_elsewhere(side: SideRecord) -> bool:
    """Whether nothing was run for a side: it has neither a card of the zoo nor weights, and no image was sampled."""
    return side.card.get("id") is None and side.weights_digest is None and not side.sampled and not side.batch_size


# --- one pair --------------------------------------------------------------------------------------------------------


def _one_pair(found: Findings, pair: Pair) -> list[str]:
    kind = relation(*(found.comparison.side(label) for label in pair))
    if (count := _identical(found, pair)) is not None:
        every, all_of = ("the one noise", "") if count == 1 else (f"all {count:,} noises", f", all {count:,}")
        head = {"elsewhere": f"The images of {_both(pair)} are bit-identical{all_of}."}.get(
            kind, f"{_both(pair)} make bit-identical images from {every}."
        )
        return [head, *filter(None, [_alike_anyway(found, pair)])]
    if kind == "variant":
        said = [_moved(found, pair), _counted(found, pair, "They"), _against_shuffled(found, pair, plain=True)]
    else:
        start = "Paired by index, the images of" if kind == "elsewhere" else "From the same noise,"
        said = [_head(found, pair, start, kind), _against_shuffled(found, pair, plain=kind == "elsewhere")]
        said += [_against_gaussian(found, pair)] if kind == "models" else []
    return [sentence for sentence in said if sentence]


def _identical(found: Findings, pair: Pair) -> int | None:
    """The number of noises, where all images are bit-identical."""
    for m in _pixel_measurements(found, SAME, pair):
        if m.equal == m.count:
            return m.count
    return None


def _head(found: Findings, pair: Pair, start: str, kind: Relation) -> str:
    column, score = _headline(found, SAME, pair)
    if column is None or score is None:
        return ""
    if not column.is_share:
        return f"{start} {_both(pair)}: {summary_title(column)} is {valued(column, score, with_interval=True)}."
    share = f"{percent(score.value)} of {counted(score.count, 'image' if kind == 'elsewhere' else 'noise')}"
    share += percent_interval(score)
    apart = _apart(found, pair)
    if within_floor(found, pair) and column.higher_is_closer:
        rounding = apart and f"; {apart}, which is what rounding does"
        return f"{start} {_both(pair)} make the same image for {share}{rounding}."
    verb = "count" if kind == "elsewhere" else "make images that count"
    return (
        f"{start} {_both(pair)} {verb} as {_counts(column)} ({column.rule(score)}) for {share}{apart and f'; {apart}'}."
    )


def _apart(found: Findings, pair: Pair) -> str:
    """How far apart the images are by graded measures: "they differ by 15.2 of 255 on average (median …)"."""
    scores = [(c, s) for c in graded(found.columns) if (s := found.score(c, SAME, *pair)) is not None]
    first = next(((c, s) for c, s in scores if c.kind == "mean" and c.measure.closer == "lower"), None)
    others = [f"{summary_title(c)} {valued(c, s)}" for c, s in scores if first is None or c is not first[0]]
    if first is None:
        return f"{', '.join(others)}" if others else ""
    return f"they differ by {valued(*first)} on average{_in_brackets(others)}"


def _moved(found: Findings, pair: Pair) -> str:
    """How far a change moved the images, against what rounding does."""
    scores = [(c, s) for c in graded(found.columns) if (s := found.score(c, SAME, *pair)) is not None]
    if not scores:
        return f"{_both(pair)} are one model in two settings."
    said = ", ".join(f"{summary_title(c)} {valued(c, s, with_interval=True)}" for c, s in scores)
    return (
        f"Between {_both(pair)}, one model in two settings, images move: {said}{_beside_floor(found, pair, scores[0])}."
    )


def _beside_floor(found: Findings, pair: Pair, graded_score: tuple[Column, Score]) -> str:
    column, _ = graded_score
    floors = [score for _, score in found.floors(column, pair)]
    if not floors:
        return ""
    highest = (min if column.measure.closer == "higher" else max)(floors, key=lambda score: score.value)
    place = "within" if within_floor(found, pair) else "above"
    return f"; {place} what rounding does ({column.with_unit(highest.value)})"


def _counted(found: Findings, pair: Pair, who: str) -> str:
    column, score = _headline(found, SAME, pair)
    if column is None or score is None or not column.is_share:
        return ""
    return (
        f"{who} count as {_counts(column)} ({column.rule(score)}) for {percent(score.value)} of "
        f"{counted(score.count, 'noise')}{percent_interval(score)}."
    )


def within_floor(found: Findings, pair: Pair) -> bool:
    """Whether graded measures find two sides no further apart than rounding alone puts each from itself.

    False where there is no graded measure, or no noise floor.
    """
    columns = [c for c in graded(found.columns) if found.score(c, SAME, *pair) is not None]
    return bool(columns) and all(_floor_holds(found, column, pair) for column in columns)


def _floor_holds(found: Findings, column: Column, pair: Pair) -> bool:
    score, higher = found.score(column, SAME, *pair), column.measure.closer == "higher"
    ends = [(s.low if higher else s.high) for _, s in found.floors(column, pair)]
    values = [s.value for _, s in found.floors(column, pair)]
    if score is None or not values:
        return False
    bounds = [end if end is not None else value for end, value in zip(ends, values, strict=True)]
    return score.value >= min(bounds) if higher else score.value <= max(bounds)


# --- against mismatched noise and baselines --------------------------------------------------------------------------


def says_little(found: Findings, pair: Pair) -> bool:
    """Whether the share of a pair cannot show agreement: images of different noises are found alike too."""
    column, shuffled = _headline(found, SHUFFLED, pair)
    if column is None or shuffled is None or not column.is_share:
        return False
    return _near(column, shuffled) > HIGH_SHUFFLED_SHARE


def clearly_above_shuffled(found: Findings, pair: Pair) -> bool:
    """Whether the headline is clearly closer than on mismatched noise; True where that was not measured."""
    (column, same), (_, shuffled) = _headline(found, SAME, pair), _headline(found, SHUFFLED, pair)
    if column is None or same is None or shuffled is None:
        return True
    return _apart_from(shuffled, same, higher_is_closer=column.higher_is_closer)


def nearer_by(found: Findings, pair: Pair) -> Column | None:
    """The first mean or median whose interval on the same noise lies apart from that on mismatched noise, and nearer.

    Graded measures come first, then the median of the headline's measure.
    """
    own = [c for c in found.columns if c.measure.id == found.columns[0].measure.id and c.kind in GRADED_KINDS]
    for column in [*graded(found.columns), *own]:
        same, shuffled = found.score(column, SAME, *pair), found.score(column, SHUFFLED, *pair)
        if same is None or shuffled is None or same.low is None or shuffled.low is None:
            continue
        if _apart_from(shuffled, same, higher_is_closer=column.higher_is_closer):
            return column
    return None


def _apart_from(shuffled: Score, same: Score, *, higher_is_closer: bool) -> bool:
    """Whether the interval on the same noise lies on the closer side, without an overlap."""
    return _high(shuffled) < _low(same) if higher_is_closer else _low(shuffled) > _high(same)


def _against_shuffled(found: Findings, pair: Pair, *, plain: bool = False) -> str:
    """What mismatched noise gives.

    Args:
        plain: say no more than the number where there is a clear difference: sharing the noise explains nothing.
    """
    (column, same), (_, shuffled) = _headline(found, SAME, pair), _headline(found, SHUFFLED, pair)
    if column is None or same is None or shuffled is None:
        return ""
    if says_little(found, pair):
        return _alike_anyway(found, pair)
    start = f"With {'other images' if _elsewhere(found, pair) else 'mismatched noise'} it is {valued(column, shuffled)}"
    if not clearly_above_shuffled(found, pair):
        return f"{start}{_no_clear_share(found, pair, same)}"
    if plain or not column.is_share:
        return f"{start}."
    what = "the agreement" if _near(column, same) >= 0.5 else "what agreement there is"
    return f"{start}: {what} comes from sharing the noise."


def _no_clear_share(found: Findings, pair: Pair, same: Score) -> str:
    """What to think of a share that is no higher than on mismatched noise: measures that grade may tell them apart."""
    things = "images" if _elsewhere(found, pair) else "noises"
    if (column := nearer_by(found, pair)) is not None:
        elsewhere = _elsewhere(found, pair)
        on, other = ("for equal index", "otherwise") if elsewhere else ("on the same noise", "on mismatched noise")
        a, b = (found.score(column, pairing, *pair) for pairing in (SAME, SHUFFLED))
        numbers = [valued(column, score, with_interval=True) for score in (a, b) if score is not None]
        return (
            f". The share does not show it, but images are nearer {on}: {summary_title(column)} {numbers[0]}, "
            f"{numbers[1]} {other}."
        )
    if same.count < FEW_SAMPLES:
        return f": too few {things} to tell ({same.count:,})."
    return ": no clear difference, so no reproducibility is shown."


def _alike_anyway(found: Findings, pair: Pair) -> str:
    """That the share says little, and what a graded measure says instead; empty where the share is sound."""
    column, shuffled = _headline(found, SHUFFLED, pair)
    if column is None or shuffled is None or not says_little(found, pair):
        return ""
    by = "This descriptor" if column.measure.descriptor is not None else f"The rule {column.rule(shuffled)}"
    other = "different index" if _elsewhere(found, pair) else "different noises"
    text = (
        f"{by} finds images of {other} alike in {percent(_near(column, shuffled))} of cases, so the share alone "
        "cannot show agreement."
    )
    return f"{text} {_graded_against_shuffled(found, pair)}".rstrip()


def _graded_against_shuffled(found: Findings, pair: Pair) -> str:
    for column in graded(found.columns):
        same, shuffled = found.score(column, SAME, *pair), found.score(column, SHUFFLED, *pair)
        if same is not None and shuffled is not None:
            on = "for equal index" if _elsewhere(found, pair) else "on the same noise"
            return (
                f"By {summary_title(column)}: {valued(column, same, with_interval=True)} {on}, "
                f"{valued(column, shuffled, with_interval=True)} otherwise."
            )
    return ""


def _against_gaussian(found: Findings, pair: Pair) -> str:
    column, same = _headline(found, SAME, pair)
    gaussian = [side for side in found.comparison.baselines if side.card.get("family") == GAUSSIAN_FAMILY]
    if column is None or same is None or not column.is_share:
        return ""
    scores = [item for side in gaussian for item in found.against(column, side.label, pair)]
    if not scores:
        return ""
    text = f"Against the Gaussian theory of the training data, {_have(column, scores)}"
    if (
        says_little(found, pair)
        or found.score(column, SHUFFLED, *pair) is None
        or not clearly_above_shuffled(found, pair)
    ):
        return f"{text}."
    nearest = [_near(column, score) for _, score in scores]
    if min(nearest) >= min(_ends(column, same)):
        return f"{text}: no less than against each other, so the agreement may be that of the Gaussian solution."
    if max(nearest) >= _near(column, same) / 2:
        return f"{text}: part of the agreement is closeness to the Gaussian solution."
    return f"{text}: far below, so the agreement is not that of the Gaussian solution."


# --- several pairs ---------------------------------------------------------------------------------------------------


def _many_pairs(found: Findings) -> list[str]:
    column = next(iter(found.columns), None)
    scored = [(pair, s) for pair in found.pairs if column and (s := found.score(column, SAME, *pair)) is not None]
    if column is None or not scored:
        return []
    said = [_many_head(found, column, scored), *_many_graded(found)]
    alike = [pair for pair, _ in scored if says_little(found, pair)]
    weak = [pair for pair, _ in scored if pair not in alike and not clearly_above_shuffled(found, pair)]
    if not alike:
        said += _highest_shuffled(found, column, [pair for pair, _ in scored])
    else:
        said.append(
            f"For {_some(alike, len(scored))} images of different noises are found alike in more than "
            f"{percent(HIGH_SHUFFLED_SHARE)} of cases, so the share alone cannot show agreement: {_list(alike)}."
        )
    graded_alone = [pair for pair in weak if nearer_by(found, pair) is not None]
    unclear = [pair for pair in weak if pair not in graded_alone]
    if graded_alone:
        said.append(
            f"For {_some(graded_alone, len(scored))} the share does not show it, but images are nearer on the same "
            f"noise than on mismatched noise, by {_nearer_titles(found, graded_alone)}: "
            f"{_list(graded_alone)}."
        )
    if unclear:
        count = found.comparison.num_samples
        few = f"; {count:,} noises may be too few to tell" if count < FEW_SAMPLES else ""
        said.append(
            f"{len(unclear)} of {len(scored)} pairs cannot be told from mismatched noise: {_list(unclear)}{few}."
        )
    return said


def _nearer_titles(found: Findings, pairs: Sequence[Pair]) -> str:
    titles = [summary_title(column) for pair in pairs if (column := nearer_by(found, pair)) is not None]
    return " or ".join(dict.fromkeys(titles))


def _many_head(found: Findings, column: Column, scored: Sequence[tuple[Pair, Score]]) -> str:
    comparison = found.comparison
    elsewhere = any(made_elsewhere(side) for side in comparison.models)
    any_two = len({score.value for _, score in scored}) == 1
    sides = "sets of images" if elsewhere else _models(comparison.models)
    who = f"{'any ' if any_two else ''}two of these {len(comparison.models)} {sides}"
    noises = (
        counted(comparison.num_samples, "index", "indices") if elsewhere else counted(comparison.num_samples, "noise")
    )
    start = f"Of {noises},"
    text = valued(column, scored[0][1]) if any_two else _range(column, scored)
    if not column.is_share:
        return f"{start} {who} have {summary_title(column)} {text}."
    verb = "have" if elsewhere else "make"
    return f"{start} {who} {verb} images that count as {_counts(column)} ({column.rule(scored[0][1])}) for {text}."


def _many_graded(found: Findings) -> list[str]:
    for column in graded(found.columns):
        scored = [(pair, s) for pair in found.pairs if (s := found.score(column, SAME, *pair)) is not None]
        if scored:
            return [f"{_capital(summary_title(column))}: {_range(column, scored)}."]
    return []


def _range(column: Column, scored: Sequence[tuple[Pair, Score]]) -> str:
    """ "97.3 % (a and b) to 100 % (c and d), the median pair 99.8 %"."""
    ranked = sorted(scored, key=lambda item: item[1].value)
    (worst, low), (best, high) = ranked[0], ranked[-1]
    if low.value == high.value:
        return f"{valued(column, low)}{' for every pair' if len(scored) > 1 else ''}"
    middle = median(score.value for _, score in ranked)
    middle_text = percent(middle) if column.is_share else column.with_unit(middle)
    ends = f"{valued(column, low)} ({_both(worst)}) to {valued(column, high)} ({_both(best)})"
    return f"{ends}, the median pair {middle_text}"


def _highest_shuffled(found: Findings, column: Column, pairs: Sequence[Pair]) -> list[str]:
    shuffled = [s for pair in pairs if (s := found.score(column, SHUFFLED, *pair)) is not None]
    if not shuffled:
        return []
    closest = (max if column.higher_is_closer else min)(shuffled, key=lambda score: score.value)
    word = "highest" if column.higher_is_closer else "lowest"
    return [f"With mismatched noise, the {word} of any pair is {valued(column, closest)}."]


def _models(models: Sequence[SideRecord]) -> str:
    variants = all(relation(models[0], other) == "variant" for other in models[1:])
    return "settings of one model" if variants else "models"


# --- a model and a data set ------------------------------------------------------------------------------------------


def is_training_set(comparison: Comparison) -> bool:
    """Whether models were searched in all that they were trained on, as their card names it."""
    return comparison.data.get("is_training_set") is True and not comparison.data.get("part")


def data_words(comparison: Comparison) -> str:
    """What the images are called: "the 50,000 training images", or "these 1,500 images"."""
    count = comparison.data.get("count")
    number = f"{count:,} " if isinstance(count, int) else ""
    return f"the {number}training images" if is_training_set(comparison) else f"these {number}images"


def _searched(found: Findings, pair: Pair) -> list[str]:
    model, data = pair
    column = next(iter(found.nearest_columns), None)
    score = found.score(column, NEAREST, model, data) if column else None
    if column is None or score is None:
        return []
    if not column.is_share:
        nearest = f"To the nearest of {data_words(found.comparison)}, {model} has {summary_title(column)}"
        return [f"{nearest} {valued(column, score, with_interval=True)}.", *_not_looked_at(found)]
    said = [_copies(found, model, column, score)]
    if _near(column, score):
        said += [_among(found, column, pair)]
    said += [_other_share(found, other, pair) for other in found.nearest_columns[1:] if _is_pixel_share(other)]
    return [sentence for sentence in [*said, *_not_looked_at(found)] if sentence]


def _copies(found: Findings, model: str, column: Column, score: Score) -> str:
    near, rule = _near(column, score), _near_rule(column, score)
    where = data_words(found.comparison)
    if not is_training_set(found.comparison):
        share = "None" if not near else percent(near)
        ends = _near_interval(column, score) if near else ""
        verb = "have" if near else "has"
        return f"{share} of {counted(score.count, 'image')} by {model}{ends} {verb} a near-copy among {where} ({rule})."
    rest = "none is a near-copy" if not near else "the others are near-copies" if near < 1 else "all are near-copies"
    return (
        f"{percent(1 - near)} of {counted(score.count, 'image')} by {model} are new{_far_interval(column, score)}: "
        f"{rest} of one of {where} ({rule})."
    )


def _among(found: Findings, column: Column, pair: Pair) -> str:
    """What near-copies are among the images themselves, so that copying can be told from what is usual."""
    model, data = pair
    within = found.score(column, NEAREST_OTHER, data, data)
    own, generated = (
        found.get(column.measure.id, *how) for how in ((NEAREST_OTHER, data, data), (NEAREST, model, data))
    )
    if within is None or own is None or generated is None:
        return ""
    whose = "the training images" if is_training_set(found.comparison) else "these images"
    decimals = max(2, column.measure.decimals - 1)
    return (
        f"Among {whose} themselves, {percent(_near(column, within))} have a near-copy; their median "
        f"{column.measure.title} with the nearest other is {own.distribution.median:.{decimals}f}, that of the "
        f"generated images with the nearest {generated.distribution.median:.{decimals}f}."
    )


def _other_share(found: Findings, column: Column, pair: Pair) -> str:
    score = found.score(column, NEAREST, *pair)
    if score is None:
        return ""
    named = f" ({column.title})" if is_training_set(found.comparison) else ""
    return f"By {column.rule(score)}, {percent(_near(column, score))} are copies{named}."


def _is_pixel_share(column: Column) -> bool:
    return column.is_share and column.measure.descriptor is None


def _not_looked_at(found: Findings) -> list[str]:
    """What a search among other images, or a part of them, leaves open."""
    data = found.comparison.data
    trained_on = str(data.get("trained_on") or "unknown")
    if is_training_set(found.comparison):
        return []
    if data.get("is_training_set"):
        return ["They are a part of its training images; the others were not looked at."]
    if trained_on.startswith("unknown"):
        return ["Whether the model was trained on them is not known."]
    return [f"They are not the images that its card names ({trained_on}); whether it copies those was not looked at."]


# --- parts of a problem ----------------------------------------------------------------------------------------------


def _references(found: Findings) -> list[str]:
    said = []
    for side in found.comparison.of_role("reference"):
        columns = graded(reference_columns(found, side.label))
        column = next((c for c in columns if c.kind == "median"), next(iter(columns), None))
        models = [other for other, reference in reference_pairs(found) if reference == side.label]
        scores = [(m, s) for m in models if column and (s := found.score(column, SAME, m, side.label)) is not None]
        if column is not None and scores:
            named = ", ".join(f"{label} {valued(column, score)}" for label, score in scores[:MOST_NAMED])
            said.append(f"{_capital(summary_title(column))} to the {side.label}: {named}{_more(scores)}.")
    return said


# --- words -----------------------------------------------------------------------------------------------------------


def _headline(found: Findings, pairing: str, pair: Pair) -> tuple[Column | None, Score | None]:
    for column in found.columns[:1]:
        return column, found.score(column, pairing, *pair)
    return None, None


def _counts(column: Column) -> str:
    return "the same" if column.higher_is_closer else "different"


def _low(score: Score) -> float:
    return score.value if score.low is None else score.low


def _high(score: Score) -> float:
    return score.value if score.high is None else score.high


def _near(column: Column, score: Score) -> float:
    """The share on the closer side."""
    return score.value if column.higher_is_closer else 1 - score.value


def _ends(column: Column, score: Score) -> tuple[float, float]:
    low, high = _low(score), _high(score)
    return (low, high) if column.higher_is_closer else (1 - high, 1 - low)


def _near_interval(column: Column, score: Score) -> str:
    low, high = _ends(column, score)
    return f" (95 % interval {low * 100:.1f} – {high * 100:.1f} %)"


def _far_interval(column: Column, score: Score) -> str:
    low, high = _ends(column, score)
    return f" (95 % interval {(1 - high) * 100:.1f} – {(1 - low) * 100:.1f} %)"


def _near_rule(column: Column, score: Score) -> str:
    """What counts as near, whichever side the share counts."""
    if score.threshold is None or column.higher_is_closer:
        return column.rule(score)
    at = threshold_text(score.threshold)
    return f"{column.measure.title} {OPPOSITE[column.kind]} {at} {column.measure.unit}".rstrip()


def _pixel_measurements(found: Findings, pairing: str, pair: Pair) -> list[Measurement]:
    return [m for m in found.measured(pairing, *pair) if found.facts[m.measure].descriptor is None]


def _elsewhere(found: Findings, pair: Pair) -> bool:
    return relation(*(found.comparison.side(label) for label in pair)) == "elsewhere"


def _both(pair: Pair) -> str:
    return f"{pair[0]} and {pair[1]}"


def _have(column: Column, scores: Sequence[tuple[str, Score]]) -> str:
    """ "a has 41.2 % and b 40.0 %"."""
    (label, first), *others = scores
    return " and ".join([f"{label} has {valued(column, first)}", *(f"{b} {valued(column, s)}" for b, s in others)])


def _list(pairs: Sequence[Pair]) -> str:
    return "; ".join(_both(pair) for pair in pairs[:MOST_NAMED]) + _more(pairs)


def _more(items: Sequence[object]) -> str:
    return "; …" if len(items) > MOST_NAMED else ""


def _some(pairs: Sequence[Pair], total: int) -> str:
    return f"{len(pairs)} of {total} pairs"


def _in_brackets(texts: Sequence[str]) -> str:
    return f" ({', '.join(texts)})" if texts else ""


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
