"""What the numbers mean, in sentences: the same on the terminal, in the page and in the tests."""

from __future__ import annotations

from statistics import median

from reprozoo.engine.results import (
    Baseline,
    Comparison,
    ConditionScores,
    Distribution,
    Generalization,
    PairScores,
    Proportion,
    Reconstruction,
)

GAUSSIAN_FAMILY = "theory-gaussian"
GLOSSARY = {
    "RP score": "Share of noises from which two models make the same image: images whose similarity, by the descriptor "
    "named beside it, is strictly above the threshold. 1: always; 0: never. Its name carries descriptor and threshold, "
    "because scores of different descriptors cannot be compared.",
    "95 % interval": "Where the score would lie for infinitely many noises (Wilson). More noises make it narrower.",
    "MAE score": "Share of noises whose two images differ by less than the threshold on average over all pixels and "
    "channels, in units of 1/255. It needs no descriptor.",
    "Shuffled": "The same images, paired across different noises of the same class or prompt. What the score is when "
    "the noise says nothing: a score near it means no reproducibility, whatever its value.",
    "Noise floor": "A model against itself, computed at another batch size. No pair can be expected to score above it.",
    "Against a baseline": "Each model against a reference. theory-gaussian is the exact solution for Gaussian data "
    "with the training set's mean and covariance: two poorly trained models can agree because both still compute that.",
}
INVERSE_GLOSSARY = {
    "PSNR": "Likeness of a model's image to the truth, in dB: 10 log10 of 255² over the mean squared difference. "
    "What was hidden is not known, so that an image may be right and yet differ.",
    "Misfit": "Root mean square of what differs between the measurement that was given and the same measurement of the "
    "model's image, in units of 1/255. 0: the image explains all that was seen; rounding alone makes up to 0.3.",
}
GENERALIZE_GLOSSARY = {
    "GL score": "Share of images that are not near-copies of a training image: whose nearest training image, by the "
    "descriptor, has similarity at or below the threshold. 1: none is a copy; 0: all are.",
    "Memorization": "Share of images whose l2 distance to the nearest training image is less than a third of the "
    "distance to the second nearest (arXiv:2310.02664).",
    "GL of training images": "The GL score of training images, each against the others: what images of the same kind "
    "score though nothing copied them. Near-duplicates within the set lower it too.",
    "Training images among themselves": "The similarity of training images to the nearest other training image: what "
    "is usual within the set, where near-duplicates exist without any model.",
    "95 % interval": GLOSSARY["95 % interval"],
}


def percent(share: float) -> str:
    """88.3 %, but 100 % and 0 % only when it is all or none."""
    text = f"{share * 100:.1f}"
    if text in ("100.0", "0.0"):
        text = {1.0: "100", 0.0: "0"}.get(share, "99.9+" if share > 0.5 else "<0.1")
    return f"{text} %"


def spread(values: Distribution) -> str:
    """The median and the middle 90 %: "19.1 (17.8 – 20.4)"."""
    median, low, high = (values.quantiles[level] for level in ("0.5", "0.05", "0.95"))
    return f"{median:.1f} ({low:.1f} – {high:.1f})"


def problem(comparison: Comparison) -> str:
    """The inverse problem of a comparison in a few words; empty where there is none."""
    settings = comparison.settings
    if settings.get("inverse") is None:
        return ""
    noise = settings.get("observation_noise")
    return (
        f"{settings['inverse']} of {settings['observation']}"
        + (f", noise {noise:g}" if noise else "")
        + (f", by {settings['solver']}")
    )


def reconstructions(comparison: Comparison) -> list[tuple[str, Reconstruction]]:
    """(model, how well it found the images again) of models and baselines; empty where nothing was observed."""
    runs = [*comparison.models, *(baseline.run for baseline in comparison.baselines)]
    return [(run.label, run.reconstruction) for run in runs if run.reconstruction is not None]


def glossary(comparison: Comparison) -> dict[str, str]:
    """The words that a comparison's page uses."""
    return GLOSSARY | (INVERSE_GLOSSARY if reconstructions(comparison) else {})


def verdicts(comparison: Comparison) -> list[str]:
    """A few sentences that say what the scores mean; the first is the headline."""
    if len(comparison.pairs) == 1:
        return _one_pair(comparison, comparison.pairs[0])
    return _many_pairs(comparison)


def lowest_conditions(pair: PairScores, most: int) -> list[ConditionScores]:
    """The conditions on which two models agree least, lowest first."""
    return sorted(pair.by_condition, key=lambda scores: (scores.rp.value, scores.median_similarity))[:most]


def baseline_scores(baseline: Baseline, pair: PairScores) -> list[tuple[str, Proportion]]:
    """(model, its RP score against the baseline) for those models of a pair that it was compared with."""
    return [(other.model_b, other.rp) for other in baseline.pairs if other.model_b in (pair.model_a, pair.model_b)]


def noise_floors(comparison: Comparison, pair: PairScores) -> list[tuple[str, Proportion]]:
    """(model, its RP score against itself) for both models of a pair, where it was measured."""
    runs = [comparison.model(label) for label in dict.fromkeys((pair.model_a, pair.model_b))]
    return [(run.label, run.noise_floor.rp) for run in runs if run.noise_floor is not None]


def descriptor_note(result: Comparison | Generalization) -> str:
    """What a reader must know of the descriptor, as a sentence; empty where there is nothing."""
    note = str(result.descriptor.get("note") or "")
    return note and f"{note[0].upper()}{note[1:].rstrip('.')}."


def gl_verdict(result: Generalization) -> str:
    """What the GL score means, in a sentence or two."""
    copies = result.gl.count - result.gl.successes
    what = "none is a near-copy" if not copies else "the others are near-copies"
    text = (
        f"{percent(result.gl.value)} of {result.gl.count:,} images by {result.model.label} are new (95 % interval "
        f"{_interval(result.gl)}): {what} of one of {result.train_count:,} training images."
    )
    if result.train_gl is not None and copies:
        text += f" Of training images, {percent(1 - result.train_gl.value)} have a near-copy among the others."
    if result.train is not None and copies:
        text += (
            f" The median similarity with the nearest is {result.train.quantiles['0.5']:.2f} for training images, "
            f"{result.similarity.quantiles['0.5']:.2f} for generated ones."
        )
    if result.memorization is not None:
        text += f" By pixel distance, {percent(result.memorization.value)} count as memorized."
    return text


def _one_pair(comparison: Comparison, pair: PairScores) -> list[str]:
    if pair.identical == pair.rp.count:
        head = f"{pair.model_a} and {pair.model_b} make bit-identical images from all {pair.rp.count:,} noises."
    else:
        head = (
            f"From the same noise, {pair.model_a} and {pair.model_b} make the same image for "
            f"{percent(pair.rp.value)} of {pair.rp.count:,} noises (95 % interval {_interval(pair.rp)})."
        )
    return [head, *filter(None, (_against_shuffled(pair), _against_gaussian(comparison, pair)))]


def _against_shuffled(pair: PairScores) -> str:
    if pair.shuffled is None:
        return ""
    shuffled = pair.shuffled.rp
    if _is_reproducible(pair):
        return f"With mismatched noise it is {percent(shuffled.value)}: the agreement comes from sharing the noise."
    return (
        f"With mismatched noise it is {percent(shuffled.value)}: no clear difference, so no reproducibility is shown."
    )


def _is_reproducible(pair: PairScores) -> bool:
    """Whether the score is clearly above that of mismatched noise, as far as this was measured."""
    return pair.shuffled is None or pair.shuffled.rp.high < pair.rp.low


def _against_gaussian(comparison: Comparison, pair: PairScores) -> str:
    gaussian = [baseline for baseline in comparison.baselines if _family(baseline) == GAUSSIAN_FAMILY]
    scores = [score for baseline in gaussian for score in baseline_scores(baseline, pair)]
    if not scores:
        return ""
    named = " and ".join(f"{name} {percent(score.value)}" for name, score in scores)
    text = f"Against the Gaussian theory of the training data, {named}"
    if pair.shuffled is None or not _is_reproducible(pair):
        return f"{text}."
    if min(score.value for _, score in scores) >= pair.rp.low:
        return f"{text}: no less than against each other, so the agreement may be that of the Gaussian solution."
    if max(score.value for _, score in scores) >= pair.rp.value / 2:
        return f"{text}: part of the agreement is closeness to the Gaussian solution."
    return f"{text}: far below, so the agreement is not that of the Gaussian solution."


def _family(baseline: Baseline) -> str:
    return str(baseline.run.description.get("card", {}).get("family", ""))


def _many_pairs(comparison: Comparison) -> list[str]:
    ranked = sorted(comparison.pairs, key=lambda pair: pair.rp.value)
    worst, best = ranked[0], ranked[-1]
    if worst.rp.value == best.rp.value:
        share = f"{percent(best.rp.value)} of them, whichever two"
    else:
        share = (
            f"{percent(worst.rp.value)} ({worst.model_a} and {worst.model_b}) to {percent(best.rp.value)} "
            f"({best.model_a} and {best.model_b}) of them; the median pair, for "
            f"{percent(median(pair.rp.value for pair in ranked))}"
        )
    head = (
        f"From the same {comparison.num_samples:,} noises, two of these {len(comparison.models)} models make the same "
        f"image for {share}."
    )
    shuffled = [pair.shuffled.rp.value for pair in ranked if pair.shuffled is not None]
    tail = [f"With mismatched noise, the highest of any pair is {percent(max(shuffled))}."] if shuffled else []
    weak = [pair for pair in ranked if not _is_reproducible(pair)]
    if weak:
        names = "; ".join(f"{pair.model_a} and {pair.model_b}" for pair in weak[:3]) + ("; …" if len(weak) > 3 else "")
        tail.append(f"{len(weak)} of {len(ranked)} pairs cannot be told from mismatched noise: {names}.")
    return [head, *tail]


def _interval(score: Proportion) -> str:
    return f"{score.low * 100:.1f} – {score.high * 100:.1f} %"
