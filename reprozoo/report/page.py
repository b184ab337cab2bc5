"""What the HTML page shows, as plain data: a result in, rows and figures out. The templates only lay it out."""

from __future__ import annotations

from dataclasses import dataclass, field

from reprozoo import __version__
from reprozoo.engine.result import Comparison
from reprozoo.report import provenance, words
from reprozoo.report.figures import Distributions, distributions_of
from reprozoo.report.findings import Findings
from reprozoo.report.gallery import Gallery, galleries
from reprozoo.report.grids import not_at_hand
from reprozoo.report.matrices import Matrix, matrices
from reprozoo.report.plain import Rows
from reprozoo.report.tables import (
    PairRow,
    ReferenceTable,
    ScoreTable,
    beside,
    context_heads,
    legend_of,
    others,
    pair_row,
    reference_table,
    score_tables,
)
from reprozoo.report.verdict import data_words, verdicts


@dataclass(frozen=True)
class Page:
    """The page of a result."""

    title: str
    facts: list[str]
    verdicts: list[str]
    warnings: list[str]
    score_note: str
    tables: list[tuple[str, ScoreTable]]
    pair_heads: list[str]
    beside_heads: list[tuple[str, str]]
    other_heads: list[tuple[str, str]]
    headline: str
    pairs: list[PairRow]
    legend: list[tuple[str, str]]
    references: ReferenceTable | None
    models: list[str]
    matrices: list[Matrix]
    distributions: list[Distributions]
    galleries: list[Gallery]
    images_note: str
    glossary: dict[str, str]
    command: str
    made_from_objects: bool
    details: list[tuple[str, Rows]]
    version: str = field(default=__version__)


def page_of(comparison: Comparison) -> Page:
    """Everything the page of a result shows; images are read from the store here."""
    found = Findings(comparison)
    several = len(found.pairs) > 1
    head = found.columns[0] if found.columns else None
    command, objects = provenance.command_of(comparison)
    return Page(
        title=_title(found),
        facts=_facts(found),
        verdicts=verdicts(comparison),
        warnings=comparison.warnings,
        score_note=_score_note(found),
        tables=score_tables(found),
        pair_heads=context_heads(found) if several else [],
        beside_heads=[(column.heading, column.unit) for column in beside(found)],
        other_heads=[(column.heading, column.unit) for column in others(found)],
        headline=head.heading if head else "",
        pairs=[pair_row(found, pair) for pair in found.pairs] if several else [],
        legend=legend_of(found),
        references=reference_table(found),
        models=[side.label for side in comparison.models],
        matrices=matrices(found),
        distributions=distributions_of(found),
        galleries=galleries(found),
        images_note=not_at_hand(comparison),
        glossary=words.glossary(found),
        command=command,
        made_from_objects=objects,
        details=provenance.sections(comparison),
    )


def _title(found: Findings) -> str:
    labels = [side.label for side in found.comparison.models]
    if found.searched and not found.pairs:
        return f"{' and '.join(dict.fromkeys(a for a, _ in found.searched))} against {_whose(found)}"
    if len(labels) <= 2:
        return " × ".join(labels)
    return f"{len(labels)} models on the same noise" if found.comparison.noise else f"{len(labels)} sets of images"


def _whose(found: Findings) -> str:
    """The data set by what it is to the model."""
    words = data_words(found.comparison)
    return "its training images" if words.startswith("the ") else words.removeprefix("these ")


def _facts(found: Findings) -> list[str]:
    comparison = found.comparison
    data = " ".join(str(comparison.data[key]) for key in ("id", "split") if comparison.data.get(key))
    count = (
        words.counted(comparison.num_samples, "noise")
        if comparison.noise
        else f"{comparison.num_samples:,} images each"
    )
    seed = comparison.noise.get("seed")
    made = comparison.created.replace("T", " ").split(".")[0].removesuffix("+00:00").removesuffix("Z")
    return [
        fact
        for fact in (
            comparison.problem,
            data,
            count,
            "" if seed is None else f"seed {seed}",
            *(str(descriptor.get("id", "")) for descriptor in comparison.descriptors),
            f"{made} UTC",
        )
        if fact
    ]


def _score_note(found: Findings) -> str:
    labels = [c.label for c in [*found.columns, *found.nearest_columns] if c.is_share]
    text = f"{' and '.join(dict.fromkeys(labels))}." if labels else ""
    return " ".join(filter(None, [text, *words.descriptor_notes(found.comparison)]))
