"""What the HTML page shows, as plain data: a result in, rows and figures out. The templates only lay it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from reprozoo import __version__
from reprozoo.engine.results import Comparison, ConditionScores, Generalization, PairScores, Proportion
from reprozoo.report import charts, provenance, words
from reprozoo.report.gallery import Gallery, comparison_gallery, generalization_gallery
from reprozoo.report.plain import Rows

PAIRS_OPEN = 6  # pairs whose figures are shown at once; the others are folded away
MATRIX_OF_TWO = 2


@dataclass(frozen=True)
class PairRow:
    """One pair: its line of the score table, and its figures; ``against`` has the models' scores by baseline."""

    a: str
    b: str
    rp: Proportion
    strip: Markup
    shuffled: Proportion | None
    floors: list[tuple[str, Proportion]]
    against: list[list[tuple[str, Proportion]]]
    mae: Proportion
    median: float
    conditions: list[ConditionScores]
    histogram: Markup
    curve: Markup


@dataclass(frozen=True)
class HeatCell:
    """A cell of a matrix: ``shade`` in [0, 1]; ``itself`` on the diagonal."""

    text: str
    shade: float
    itself: bool


@dataclass(frozen=True)
class Matrix:
    """Every model against every other, by one score."""

    caption: str
    rows: list[list[HeatCell]]


@dataclass(frozen=True)
class Page:
    """What every page has."""

    title: str
    facts: list[str]
    verdicts: list[str]
    warnings: list[str]
    gallery: Gallery | None
    glossary: dict[str, str]
    command: str
    details: list[tuple[str, Rows]]
    score_note: str
    version: str = __version__


@dataclass(frozen=True)
class ComparisonPage(Page):
    """The page of a ``Comparison``."""

    models: Sequence[str] = ()
    pairs: Sequence[PairRow] = ()
    baselines: Sequence[str] = ()
    matrices: Sequence[Matrix] = ()
    pairs_open: int = PAIRS_OPEN
    problem: str = ""
    reconstructions: Sequence[tuple[str, str, str]] = ()

    @property
    def has_floors(self) -> bool:
        return any(pair.floors for pair in self.pairs)


@dataclass(frozen=True)
class GeneralizationPage(Page):
    """The page of a ``Generalization``: (name, score, what it is) and one histogram."""

    scores: Sequence[tuple[str, Proportion, Markup]] = ()
    histogram: Markup = field(default_factory=Markup)


def comparison_page(comparison: Comparison) -> ComparisonPage:
    """Everything the page of ``comparison`` shows; images are read from the store here."""
    labels = [run.label for run in comparison.models]
    two = len(labels) == MATRIX_OF_TWO
    names = comparison.score_names
    return ComparisonPage(
        title=" × ".join(labels) if two else f"{len(labels)} models on the same noise",
        facts=_facts(comparison),
        verdicts=words.verdicts(comparison),
        warnings=comparison.warnings,
        gallery=comparison_gallery(comparison),
        glossary=words.glossary(comparison),
        command=provenance.command_of(comparison),
        details=provenance.sections(comparison),
        models=labels,
        score_note=f"{names['rp']} and {names['mae']}. {words.descriptor_note(comparison)}",
        pairs=[_pair_row(comparison, pair) for pair in comparison.pairs],
        baselines=[baseline.run.label for baseline in comparison.baselines],
        matrices=_matrices(comparison),
        problem=words.problem(comparison),
        reconstructions=[
            (label, words.spread(found.psnr), words.spread(found.misfit))
            for label, found in words.reconstructions(comparison)
        ],
    )


def generalization_page(result: Generalization) -> GeneralizationPage:
    """Everything the page of ``result`` shows."""
    threshold = float(result.settings["threshold"])
    scores = [
        ("GL score", result.gl),
        ("GL of training images", result.train_gl),
        ("Memorization", result.memorization),
    ]
    dataset = " ".join(str(result.dataset[key]) for key in ("id", "split") if key in result.dataset)
    return GeneralizationPage(
        title=f"{result.model.label} against its training set",
        facts=[dataset, f"{result.train_count:,} training images", *_facts(result)],
        verdicts=[words.gl_verdict(result)],
        warnings=result.warnings,
        gallery=generalization_gallery(result),
        glossary=words.GENERALIZE_GLOSSARY,
        command=provenance.command_of(result),
        details=provenance.sections(result),
        score_note=f"{result.score_names['gl']}. {words.descriptor_note(result)}",
        scores=[(name, score, charts.strip(score, [], label=name)) for name, score in scores if score is not None],
        histogram=charts.histogram(
            result.similarity, result.train, threshold=threshold, label="Similarity to the nearest training image"
        ),
    )


def _facts(result: Comparison | Generalization) -> list[str]:
    count = result.num_samples if isinstance(result, Comparison) else result.gl.count
    facts = [f"{count:,} noises"]
    if result.settings.get("seed") is not None:
        facts.append(f"seed {result.settings['seed']}")
    facts.append(str(result.descriptor.get("id", "")))
    return [
        fact
        for fact in (
            *facts,
            result.created.replace("T", " ").split(".")[0].removesuffix("+00:00").removesuffix("Z") + " UTC",
        )
        if fact
    ]


def _pair_row(comparison: Comparison, pair: PairScores) -> PairRow:
    label, threshold = f"{pair.model_a} and {pair.model_b}", float(comparison.settings["threshold"])
    shuffled = pair.shuffled
    floors = words.noise_floors(comparison, pair)
    against = [words.baseline_scores(baseline, pair) for baseline in comparison.baselines]
    marks = [("shuffled", shuffled.rp.value)] if shuffled is not None else []
    marks += [("noise-floor", score.value) for _, score in floors]
    marks += [("baseline", score.value) for scores in against for _, score in scores]
    return PairRow(
        a=pair.model_a,
        b=pair.model_b,
        rp=pair.rp,
        strip=charts.strip(pair.rp, marks, label=f"RP score of {label}"),
        shuffled=shuffled.rp if shuffled is not None else None,
        floors=floors,
        against=against,
        mae=pair.mae,
        median=pair.similarity.quantiles["0.5"],
        conditions=words.lowest_conditions(pair, len(pair.by_condition)),
        histogram=charts.histogram(
            pair.similarity, shuffled.similarity if shuffled else None, threshold=threshold, label=label
        ),
        curve=charts.threshold_curve(
            pair.curve, shuffled.curve if shuffled else None, threshold=threshold, score=pair.rp.value, label=label
        ),
    )


def _matrices(comparison: Comparison) -> list[Matrix]:
    labels = [run.label for run in comparison.models]
    scores = {
        "RP score": {_key(p): p.rp.value for p in comparison.pairs},
        "MAE score": {_key(p): p.mae.value for p in comparison.pairs},
        "Mean similarity": {_key(p): p.similarity.mean for p in comparison.pairs},
    }
    return [Matrix(caption, _heat_rows(labels, values)) for caption, values in scores.items()]


def _heat_rows(labels: Sequence[str], values: Mapping[frozenset[str], float]) -> list[list[HeatCell]]:
    def cell(a: str, b: str) -> HeatCell:
        value = 1.0 if a == b else values[frozenset((a, b))]
        return HeatCell(f"{value:.2f}", min(max(value, 0.0), 1.0), a == b)

    return [[cell(a, b) for b in labels] for a in labels]


def _key(pair: PairScores) -> frozenset[str]:
    return frozenset((pair.model_a, pair.model_b))
