"""What the grids of images are made of: which sides, which noises, which values.

The lowest noises of every pair are always there; others are spread evenly over the ranks. Where noises of many pairs
are more than a page holds, a column has pictures of the pairs that it is there for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import UsageError
from reprozoo.engine.result import Comparison, Measurement
from reprozoo.measures.base import MeasureFacts
from reprozoo.report import tiles
from reprozoo.report.findings import NEAREST, SAME, SIGNS, Column, Findings, Pair, measures_of
from reprozoo.report.tiles import Pixels
from reprozoo.report.verdict import data_words

MOST_NUMBERS = 400_000  # under images, over all measures; beyond, the headline's measure has them alone


@dataclass
class Grid:
    """What a gallery is made of.

    Attributes:
        rows: labels of sides, or names of rows.
        indices: noise index of each column.
        images: per row, of the columns in ``shown`` of that row.
        shown: per row, the columns that have a picture.
        alts: per row and column.
        measures: those of the numbers under images.
        pairs: measure id -> (row, row) in ascending order -> value of each column.
        sortable: how many rows count when columns are sorted; baselines after them do not.
        partners: row -> the row that it is always compared with; empty where the reader chooses.
    """

    title: str
    note: str
    rows: list[str]
    indices: list[int]
    images: list[Pixels]
    shown: list[list[int]]
    alts: list[list[str]]
    measures: list[MeasureFacts]
    thresholds: dict[str, tuple[float, str]]
    pairs: dict[str, dict[tuple[int, int], NDArray[Any]]]
    sortable: int
    references: int
    partners: dict[int, int] = field(default_factory=dict)


# --- the same noises through every model -----------------------------------------------------------------------------


def models_grid(found: Findings) -> Grid | None:
    """Models, baselines and parts of a problem, noise by noise."""
    comparison = found.comparison
    pairs = found.pairs or found.baseline_pairs
    head = _first_measured(found, pairs)
    if comparison.image_loader is None or head is None:
        return None
    closeness = {pair: values for pair in pairs if (values := _closeness(found, head, pair)) is not None}
    labels = _at_hand(comparison, [s.label for s in comparison.of_role("model", "baseline", "reference")])
    if not labels:
        return None
    limit = tiles.full_columns([comparison.side(label).image_shape for label in labels])
    always, wanted_by = _always(closeness)
    rows = tiles.chosen_rows(np.mean(list(closeness.values()), axis=0), always, limit=limit)
    whole = _whole_columns(rows, always, wanted_by, limit)
    shown = [_shown(rows, whole, wanted_by, label, comparison) for label in labels]
    noises = comparison.noise_indices
    indices = [noises[row] for row in rows]
    measures = _shown_measures(found, len(rows))
    sortable = [s.label for s in comparison.models if s.label in labels]
    references = [s.label for s in comparison.of_role("model", "baseline") if s.label in labels]
    return Grid(
        title="The same noises through every model" if comparison.noise else "The images of every side, by index",
        note=_note(rows, comparison, whole, head, labels),
        rows=labels,
        indices=indices,
        images=[comparison.images(label, [indices[k] for k in columns])
                for label, columns in zip(labels, shown, strict=True)],
        shown=shown,
        alts=[[f"{label}, noise {index}" for index in indices] for label in labels],
        measures=measures,
        thresholds=_thresholds(found.columns),
        pairs={facts.id: _pair_values(found, facts, references, rows) for facts in measures},
        sortable=len(sortable),
        references=len(references),
    )  # fmt: skip


def _first_measured(found: Findings, pairs: Sequence[Pair]) -> MeasureFacts | None:
    """The headline's measure, or the first whose values are at hand for every pair."""
    for facts in measures_of(found.columns):
        if pairs and all(_values(found.get(facts.id, SAME, *pair)) is not None for pair in pairs):
            return facts
    return None


def _always(closeness: Mapping[Pair, NDArray[Any]]) -> tuple[list[int], dict[int, set[str]]]:
    """The lowest rows of every pair, those of most pairs first, and the sides that each is shown for."""
    wanted_by: dict[int, set[str]] = {}
    counts: Counter[int] = Counter()
    for pair, values in closeness.items():
        for row in tiles.lowest_rows(values):
            wanted_by.setdefault(row, set()).update(pair)
            counts[row] += 1
    return [row for row, _ in counts.most_common()], wanted_by


def _whole_columns(
    rows: Sequence[int], always: Sequence[int], wanted_by: Mapping[int, set[str]], limit: int
) -> set[int]:  # fmt: skip
    """The rows of the result whose column has a picture of every side."""
    others = [row for row in rows if row not in wanted_by]
    return set([*always, *others][: max(limit, 1)])


def _shown(
    rows: Sequence[int], whole: set[int], wanted_by: Mapping[int, set[str]], label: str, comparison: Comparison
) -> list[int]:  # fmt: skip
    """The columns that have a picture of a side: the whole ones, and those of its own pairs."""
    everywhere = comparison.side(label).role != "model"
    return [
        k for k, row in enumerate(rows) if row in whole or (not everywhere and label in wanted_by.get(row, ()))
    ] or [0]  # fmt: skip


def _shown_measures(found: Findings, columns: int) -> list[MeasureFacts]:
    measures = measures_of(found.columns)
    numbers = columns * len(measures) * (len(found.pairs) + len(found.baseline_pairs))
    return measures if numbers <= MOST_NUMBERS else measures[:1]


def _pair_values(
    found: Findings, facts: MeasureFacts, labels: Sequence[str], rows: Sequence[int]
) -> dict[tuple[int, int], NDArray[Any]]:  # fmt: skip
    place = {label: i for i, label in enumerate(labels)}
    values = {}
    for pair in [*found.pairs, *found.baseline_pairs]:
        own = _values(found.get(facts.id, SAME, *pair))
        if own is not None and all(label in place for label in pair):
            first, second = sorted(place[label] for label in pair)
            values[first, second] = own[list(rows)]
    return values


# --- generated images and the nearest of a data set ------------------------------------------------------------------


def neighbours_grid(found: Findings) -> Grid | None:
    """Generated images, each over the image of the data set nearest to it by the headline's measure."""
    comparison = found.comparison
    pairs = found.searched
    searching = [f for f in measures_of(found.nearest_columns) if _all_searched(found, f, pairs)]
    if comparison.image_loader is None or not searching:
        return None
    head = searching[0]
    measured = [m for pair in pairs if (m := found.get(head.id, NEAREST, *pair)) is not None]
    closeness = [-_far(head, m) for m in measured]
    labels = _at_hand(comparison, dict.fromkeys(label for m in measured for label in (m.a, m.b)))
    measured = [m for m in measured if m.a in labels]
    if not measured:
        return None
    limit = tiles.full_columns([comparison.side(m.a).image_shape for m in measured for _ in range(2)])
    always = {row for values in closeness for row in tiles.lowest_rows(-values)}  # the likeliest copies
    rows = tiles.chosen_rows(np.mean(closeness, axis=0), always, limit=limit)
    noises = comparison.noise_indices
    indices = [noises[row] for row in rows]
    grid = Grid(
        title="Generated images and the nearest images",
        note=_note(rows, comparison, set(rows), head, labels, lowest=False) + _without_nearest(measured, labels),
        rows=[], indices=indices, images=[], shown=[], alts=[], measures=searching,
        thresholds=_thresholds(found.nearest_columns), pairs={f.id: {} for f in searching}, sortable=0, references=0,
    )  # fmt: skip
    for m in measured:
        _add_neighbours(grid, found, m, rows, nearest_at_hand=m.b in labels)
    grid.sortable = grid.references = len(grid.rows)
    return grid


def _without_nearest(measured: Iterable[Measurement], labels: Iterable[str]) -> str:
    return "" if all(m.b in labels for m in measured) else " The images that they are near to are not at hand here."


def _all_searched(found: Findings, facts: MeasureFacts, pairs: Sequence[Pair]) -> bool:
    measured = [found.get(facts.id, NEAREST, *pair) for pair in pairs]
    return bool(pairs) and all(_values(m) is not None and m is not None and m.partners is not None for m in measured)


def _add_neighbours(grid: Grid, found: Findings, m: Measurement, rows: Sequence[int], *, nearest_at_hand: bool) -> None:
    """The row of a model, and the row of the images nearest to its own."""
    comparison = found.comparison
    partners = np.atleast_2d(np.asarray(m.partners))[0][list(rows)].tolist()
    own = len(grid.rows)
    every = list(range(len(rows)))
    grid.rows.append(m.a)
    grid.images.append(comparison.images(m.a, grid.indices))
    grid.alts.append([f"{m.a}, noise {index}" for index in grid.indices])
    grid.shown.append(every)
    values = {f.id: _values(found.get(f.id, NEAREST, m.a, m.b)) for f in grid.measures}
    other = own + nearest_at_hand
    grid.partners |= {own: other, other: own}
    for name, array in values.items():
        assert array is not None, name
        grid.pairs[name][own, other] = array[list(rows)]
    if nearest_at_hand:
        grid.rows.append(f"nearest of {data_words(comparison)}")
        grid.images.append(comparison.images(m.b, partners))
        grid.alts.append([f"nearest image of {m.b}, number {partner}" for partner in partners])
        grid.shown.append(every)


# --- values, images, words --------------------------------------------------------------------------------------------


def _thresholds(columns: Iterable[Column]) -> dict[str, tuple[float, str]]:
    """Measure id -> the threshold of its first share, and the sign."""
    found: dict[str, tuple[float, str]] = {}
    for column in columns:
        if column.is_share and column.spec.at is not None:
            found.setdefault(column.measure.id, (column.spec.at, SIGNS[column.kind]))
    return found


def _values(measurement: Measurement | None) -> NDArray[Any] | None:
    """(n,) of the first round."""
    if measurement is None or measurement.values is None:
        return None
    values: NDArray[Any] = np.atleast_2d(measurement.values)[0]
    return values


def _closeness(found: Findings, facts: MeasureFacts, pair: Pair) -> NDArray[Any] | None:
    measurement = found.get(facts.id, SAME, *pair)
    if measurement is None or measurement.values is None:
        return None
    closeness: NDArray[Any] = -_far(facts, measurement)
    return closeness


def _far(facts: MeasureFacts, measurement: Measurement) -> NDArray[Any]:
    """(n,) larger where images differ more."""
    values = np.atleast_2d(np.asarray(measurement.values, np.float64))[0]
    away: NDArray[Any] = -values if facts.closer == "higher" else values
    return away


def _at_hand(comparison: Comparison, labels: Iterable[str]) -> list[str]:
    """The sides whose images can be read."""
    noises = comparison.noise_indices
    ends = [noises[0], noises[-1]]
    return [
        label
        for label in labels
        if _readable(comparison.images, label, [0] if comparison.side(label).role == "data" else ends)
    ]


def not_at_hand(comparison: Comparison) -> str:
    """A sentence about sides whose images cannot be shown; empty where all are at hand."""
    labels = [side.label for side in comparison.sides]
    here = _at_hand(comparison, labels) if comparison.image_loader is not None and comparison.indices else []
    gone = [label for label in labels if label not in here]
    if not gone:
        return ""
    whose = "of this result" if not here else f"of {', '.join(gone)}"
    return f"The images {whose} are not at hand any more, so they are not shown; run it again to see them."


def _readable(read: Callable[[str, Sequence[int]], Pixels], label: str, indices: Sequence[int]) -> bool:
    try:
        read(label, indices)
    except UsageError:
        return False
    return True


def _note(
    rows: Sequence[int],
    comparison: Comparison,
    whole: set[int],
    head: MeasureFacts,
    labels: Sequence[str],
    *,
    lowest: bool = True,
) -> str:
    total, shape = comparison.num_samples, comparison.side(labels[0]).image_shape
    which = "that are least alike of every pair" if lowest else "that are nearest to the data set"
    text = f"All {total:,} noises are here." if len(rows) == total else (
        f"{len(rows):,} of {total:,} noises are here: the {tiles.LOWEST} {which} by {head.title}, and others evenly "
        "over its ranks."
    )  # fmt: skip
    if len(whole) < len(rows):
        text += (
            f" {len(whole):,} of them have a picture of every model, the others of pairs that are least alike there."
        )
    if max(shape[1:]) > tiles.MAX_TILE:
        text += f" The images are {shape[2]} × {shape[1]} pixels and reduced here."
    missing = [side.label for side in comparison.models if side.label not in labels]
    if missing:
        text += f" The images of {', '.join(missing)} are not in the store any more."
    return text + " A filled dot under an image means: on the closer side of the threshold."
