"""Results in a folder: the report, ``result.json``, the values of single noises and their long table.

Each file is written wholly or not at all. ``result.json`` names the sha256 of the values file, so that scores and
values of different runs are never read as one result (``report.reading``).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from reprozoo.base.files import ELSEWHERE, prepare_folder, write_whole
from reprozoo.engine.result import BESIDE, ROW_COLUMNS, Comparison

REPORT_FILE, RESULT_FILE, VALUES_FILE, ROWS_FILE = "report.html", "result.json", "values.safetensors", "scores.csv"
DIGEST = "values_sha256"


def write_result(comparison: Comparison, folder: Path) -> list[Path]:
    """Write all files of a result.

    Returns:
        Their paths: report, result, values, table.

    Raises:
        UsageError: the folder cannot be written.
        PartialError: the disk is full.
    """
    from reprozoo.report.html import report_html

    values = values_bytes(comparison)
    contents = {
        REPORT_FILE: report_html(comparison).encode(),
        RESULT_FILE: _document(comparison, values).encode(),
        VALUES_FILE: values,
        ROWS_FILE: scores_csv(comparison).encode(),
    }
    prepare_folder(folder)
    for name in (VALUES_FILE, ROWS_FILE, RESULT_FILE, REPORT_FILE):  # the result last of what belongs together
        write_whole(folder / name, contents[name], remedy=ELSEWHERE)
    return [folder / name for name in contents]


def to_json(comparison: Comparison) -> str:
    """The document of ``result.json``."""
    return _document(comparison, values_bytes(comparison))


def scores_csv(comparison: Comparison) -> str:
    """A row for each measurement and noise, values exact to the last bit (``ROW_COLUMNS``)."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(ROW_COLUMNS)
    digits = {(m.measure, m.pairing, m.a, m.b): _digits(m.values) for m in comparison.measurements}
    for *columns, value in comparison.rows():
        measure, pairing, a, b, *_ = columns
        writer.writerow((*columns, f"{value:.{digits[str(measure), str(pairing), str(a), str(b)]}g}"))
    return buffer.getvalue()


def values_bytes(comparison: Comparison) -> bytes:
    """The values of single noises as a safetensors file: "0.values", "0.partners", "0.own" of the first measurement."""
    return save(dict(_arrays(comparison)))


def _arrays(comparison: Comparison) -> Iterator[tuple[str, NDArray[Any]]]:
    for number, measurement in enumerate(comparison.measurements):
        for name in BESIDE:
            array = getattr(measurement, name)
            if array is not None:
                yield f"{number}.{name}", np.ascontiguousarray(array)


def _document(comparison: Comparison, values: bytes) -> str:
    document = comparison.to_json() | {DIGEST: hashlib.sha256(values).hexdigest()}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _digits(values: NDArray[Any] | None) -> int:
    """Significant digits that tell every value of a type from the next."""
    return 9 if values is not None and values.dtype.itemsize <= 4 else 17
