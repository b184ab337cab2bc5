"""Numbers and terms in words: the same on the terminal, in the page and in the tests."""

from __future__ import annotations

from reprozoo.engine.result import Comparison, ConditionScores, Distribution, Score
from reprozoo.report.findings import Column, Findings

INTERVAL = (
    "Where the score would lie for infinitely many noises: Wilson for shares, order statistics for medians, a "
    "bootstrap of the noises for means. More noises make it narrower."
)
SHUFFLED_MEANING = (
    "The same images, paired across different noises of the same class or prompt: what a score is when the noise says "
    "nothing. A score near it shows no reproducibility, whatever its value."
)
FLOOR_MEANING = "A model against itself at another batch size: what rounding does. Expect no pair to be closer."
BASELINE_MEANING = (
    "Each model against a reference. The Gaussian theory is the exact solution for data with the training set's mean "
    "and covariance: two poorly trained models can agree because both still compute that."
)
NEAREST_MEANING = "Of all images of the data set, the one that the measure puts closest to an image."
AMONG_MEANING = (
    "The same for images of the data set, each against all others: what is usual within the set, where near-duplicates "
    "exist without any model."
)
KINDS = {"mean": "mean", "median": "median"}


def percent(share: float) -> str:
    """88.3 %, but 100 % and 0 % only when it is all or none."""
    text = f"{share * 100:.1f}"
    if text in ("100.0", "0.0"):
        text = {1.0: "100", 0.0: "0"}.get(share, "99.9+" if share > 0.5 else "<0.1")
    return f"{text} %"


def percent_interval(score: Score) -> str:
    """ " (95 % interval 94.3 – 100.0 %)", to follow a share; empty where the score has none."""
    if score.low is None or score.high is None:
        return ""
    return f" (95 % interval {score.low * 100:.1f} – {score.high * 100:.1f} %)"


def interval(column: Column, score: Score) -> str:
    """ "0.943 – 1.000"; empty where the score has none."""
    if score.low is None or score.high is None:
        return ""
    return f"{column.text(score.low)} – {column.text(score.high)}"


def valued(column: Column, score: Score, *, with_interval: bool = False) -> str:
    """A score in a sentence: "88.3 %", "15.2 of 255", "20.1 m (19.8 – 20.4)"."""
    text = percent(score.value) if column.is_share else column.with_unit(score.value)
    ends = interval(column, score) if with_interval and not column.is_share else ""
    return f"{text} ({ends})" if ends else text


def summary_title(column: Column) -> str:
    """How the values were summed up, and what they are: "median depth"; the title alone where it says both."""
    kind = KINDS.get(column.kind, "")
    return column.title if column.title.startswith(kind) else f"{kind} {column.title}"


def spread(values: Distribution, decimals: int) -> str:
    """The median and the middle 90 %: "19.1 (17.8 – 20.4)"."""
    median, low, high = (values.quantiles[level] for level in ("0.5", "0.05", "0.95"))
    return f"{median:.{decimals}f} ({low:.{decimals}f} – {high:.{decimals}f})"


def lowest_conditions(conditions: list[ConditionScores], column: Column, most: int) -> list[ConditionScores]:
    """The conditions on which two models agree least, least first."""
    sign = 1 if column.higher_is_closer else -1
    by_values = 1 if column.measure.closer == "higher" else -1

    def place(scores: ConditionScores) -> tuple[float, float]:
        found = next((s.value for s in scores.scores if s.name == column.name), 0.0)
        return sign * found, by_values * scores.median

    return sorted(conditions, key=place)[:most]


def counted(count: int, thing: str, things: str = "") -> str:
    """ "1 noise", "1,000 noises"."""
    return f"{count:,} {thing if count == 1 else things or f'{thing}s'}"


def descriptor_notes(comparison: Comparison) -> list[str]:
    """What a reader must know of the descriptors, a sentence each, after the descriptors that it is about."""
    about: dict[str, list[str]] = {}
    for descriptor in comparison.descriptors:
        if note := str(descriptor.get("note") or ""):
            about.setdefault(note, []).append(str(descriptor.get("id", "")))
    return [f"{', '.join(dict.fromkeys(ids))}: {note.rstrip('.')}." for note, ids in about.items()]


def glossary(found: Findings) -> dict[str, str]:
    """The words that a page uses; those for a measure are its own."""
    references = [c for side in found.comparison.of_role("reference") for c in reference_columns(found, side.label)]
    words: dict[str, str] = {}
    for column in [*found.columns, *found.nearest_columns, *references]:
        words.setdefault(column.heading, column.spec.meaning)
    words["95 % interval"] = INTERVAL
    pairings = {measurement.pairing for measurement in found.comparison.measurements}
    words |= {"Shuffled": SHUFFLED_MEANING} if "shuffled" in pairings else {}
    words |= {"Noise floor": FLOOR_MEANING} if "repeat" in pairings else {}
    words |= {"Against a baseline": BASELINE_MEANING} if found.baseline_pairs else {}
    words |= {"Nearest image": NEAREST_MEANING} if "nearest" in pairings else {}
    return words | ({"Among themselves": AMONG_MEANING} if "nearest-other" in pairings else {})


def reference_columns(found: Findings, label: str) -> list[Column]:
    """The scores of models against a part of a problem, such as the truth."""
    return found.columns_of("same", [(a, b) for a, b in reference_pairs(found) if b == label])


def reference_pairs(found: Findings) -> list[tuple[str, str]]:
    """(model or baseline, part of a problem) of all that were compared."""
    pairs = [*found.pairs_of("reference", "model"), *found.pairs_of("reference", "baseline")]
    return [(other, reference) for reference, other in pairs]
