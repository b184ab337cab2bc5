"""Results in a folder: ``result.json``, ``pairs.csv`` and ``report.html``, each written wholly or not at all.

The JSON holds every score with its provenance; the CSV holds the values of single noises, exact to the last bit of a
float32; ``read_comparison`` puts the two together again.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from reprozoo.base.errors import UsageError
from reprozoo.base.files import ELSEWHERE, prepare_folder, write_whole
from reprozoo.engine.results import Comparison, Generalization, PairScores, with_arrays

RESULT_FILE, PAIRS_FILE, NEIGHBOURS_FILE, REPORT_FILE = "result.json", "pairs.csv", "neighbours.csv", "report.html"
PAIR_COLUMNS = ("model_a", "model_b", "index", "similarity", "mean_absolute_error", "same")


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write all three files.

    Returns:
        Their paths, the report first.

    Raises:
        UsageError: the folder cannot be written.
        PartialError: the disk is full.
    """
    from reprozoo.report.html import comparison_html

    return _write_all(
        folder,
        {
            REPORT_FILE: lambda: comparison_html(comparison),
            RESULT_FILE: lambda: to_json(comparison),
            PAIRS_FILE: lambda: pairs_csv(comparison),
        },
    )


def write_generalization(result: Generalization, folder: Path) -> list[Path]:
    """As ``write_comparison``, with the nearest training image of each noise in ``neighbours.csv``."""
    from reprozoo.report.html import generalization_html

    return _write_all(
        folder,
        {
            REPORT_FILE: lambda: generalization_html(result),
            RESULT_FILE: lambda: to_json(result),
            NEIGHBOURS_FILE: lambda: neighbours_csv(result),
        },
    )


def to_json(result: Comparison | Generalization) -> str:
    """The document of ``result.json``."""
    return json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def pairs_csv(comparison: Comparison) -> str:
    """A row for each pair and noise; ``same`` is 1 where the pair's similarity is above the threshold."""
    threshold = np.float32(comparison.settings["threshold"])
    indices = comparison.noise_indices
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(PAIR_COLUMNS)
    for pair in _pairs(comparison):
        if pair.similarities is None or pair.mean_absolute_errors is None:
            continue
        for index, similarity, error in zip(indices, pair.similarities, pair.mean_absolute_errors, strict=True):
            same = int(similarity > threshold)
            writer.writerow((pair.model_a, pair.model_b, index, f"{similarity:.9g}", f"{error:.9g}", same))
    return buffer.getvalue()


def neighbours_csv(result: Generalization) -> str:
    """A row for each noise: its nearest training image and their similarity."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("index", "train_index", "similarity"))
    writer.writerows((n.index, n.train_index, f"{n.similarity:.9g}") for n in result.neighbours)
    return buffer.getvalue()


def read_comparison(folder: Path) -> Comparison:
    """The comparison that ``write_comparison`` wrote, with the values of single noises but without images.

    Raises:
        UsageError: a file is missing, or is not what it should be.
    """
    try:
        comparison = Comparison.from_json(json.loads((folder / RESULT_FILE).read_text(encoding="utf-8")))
        rows = list(csv.DictReader(io.StringIO((folder / PAIRS_FILE).read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"cannot read the results in {folder}: {error}") from error
    values: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        pair = values.setdefault((row["model_a"], row["model_b"]), [])
        pair.append((float(row["similarity"]), float(row["mean_absolute_error"])))
    arrays = {key: np.array(pair, dtype=np.float32).reshape(-1, 2).T for key, pair in values.items()}
    return with_arrays(comparison, {key: (array[0], array[1]) for key, array in arrays.items()})


def _pairs(comparison: Comparison) -> Iterator[PairScores]:
    yield from comparison.pairs
    for baseline in comparison.baselines:
        yield from baseline.pairs


def _write_all(folder: Path, contents: dict[str, Callable[[], str]]) -> list[Path]:
    prepare_folder(folder)
    for name, content in contents.items():
        write_whole(folder / name, content().encode(), remedy=ELSEWHERE)
    return [folder / name for name in contents]
