"""A finished run, read again: scores, values of single noises, and images while the store has them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.base.records import read_record
from reprozoo.engine.naming import is_folder
from reprozoo.engine.result import BESIDE, SCHEMA_VERSION, Comparison, ImageLoader, Measurement, SideRecord
from reprozoo.engine.sides import ImageRows, folder_side, read_side_images
from reprozoo.engine.store import Entry, Store
from reprozoo.engine.training_set import data_rows
from reprozoo.report.files import DIGEST, RESULT_FILE, VALUES_FILE

RUN_AGAIN = "run it again, or read it with the version that wrote it"


def read_result(folder: Path, store: Store | None = None) -> Comparison:
    """The result that a run wrote to a folder.

    Args:
        folder: of the run, or its ``result.json``.
        store: where images are read from; without it a result has none.

    Raises:
        UsageError: there is no result, or it is of an unknown version.
        IntegrityError: a file is damaged, or not of this run.
    """
    path = folder / RESULT_FILE if folder.is_dir() else folder
    document = _parsed(path)
    version = document.get("schema_version")
    if version == 1:
        from reprozoo.report.schema1 import read_schema1

        comparison = read_schema1(document, path)
    elif version == SCHEMA_VERSION and document.get("kind") == "comparison":
        comparison = _read(document, path)
    else:
        raise UsageError(
            f"{path}: expected a result of schema version 1 or {SCHEMA_VERSION}, got {version!r}; {RUN_AGAIN}"
        )
    return comparison if store is None else with_stored_images(comparison, store)


def with_stored_images(comparison: Comparison, store: Store) -> Comparison:
    """The same with its images, as long as the store has them."""
    return replace(comparison, image_loader=stored_images(comparison, store))


def stored_images(comparison: Comparison, store: Store) -> ImageLoader:
    """Images of a result by label and index; looked up when the first are asked for.

    Images of models come from the store; those of folders and data sets from where they were, while they are the same.
    """
    found: dict[str, ImageRows] = {}

    def load_images(label: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        side = comparison.side(label)
        if label not in found:
            found[label] = _images(side, comparison, store)
        rows = found[label]
        if isinstance(rows, Entry) and rows.missing(sorted(set(indices)), block=1):
            raise UsageError(f"the images of {label} are not in the store any more; run it again")
        images: NDArray[np.uint8] = rows.rows(list(indices))
        return images

    return load_images


def _images(side: SideRecord, comparison: Comparison, store: Store) -> ImageRows:
    if side.role == "data":
        return _data(side, comparison)
    if Path(side.spec).exists() and is_folder(side.spec):
        folder, _ = folder_side(read_side_images(side.spec), side.spec, side.label)
        return _unchanged(side, folder.images)
    entry = store.entry_of_key("images", side.images_key)
    if entry is None:
        raise UsageError(f"the images of {side.label} are not in the store; run it again")
    return entry


def _data(side: SideRecord, comparison: Comparison) -> ImageRows:
    """A data set that lies on this machine; one that a plugin makes is not made again."""
    from reprozoo.zoo.datasets import load_dataset
    from reprozoo.zoo.plugins import installed_registry

    registry = installed_registry()
    known = {name for card in registry.datasets.values() for name in (card.id, *card.aliases)}
    if side.spec not in known and not Path(side.spec).exists():
        raise UsageError(f"the images of {side.label} are not at hand; run it again")
    images = load_dataset(side.spec, comparison.data.get("split"), registry=registry, offline=True)
    return _unchanged(side, data_rows(images))


def _unchanged(side: SideRecord, rows: ImageRows) -> ImageRows:
    if rows.key != side.images_key:
        raise UsageError(f"the images of {side.label} are not those that were compared; run it again")
    return rows


def _parsed(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}; name the folder of a run") from error
    except UnicodeDecodeError as error:
        raise IntegrityError(
            f"{path} is not a result: expected text, got other bytes; name the folder of a run"
        ) from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is not a result, or damaged: expected JSON, got: {error}; {RUN_AGAIN}") from error
    if not isinstance(document, dict):
        raise IntegrityError(f"{path}: expected a JSON object, got a {type(document).__name__}; {RUN_AGAIN}")
    return document


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _read(document: Mapping[str, Any], path: Path) -> Comparison:
    table = {name: value for name, value in document.items() if name not in ("kind", DIGEST)}
    for measurement in table.get("measurements", ()) if isinstance(table.get("measurements"), list) else ():
        if isinstance(measurement, dict) and set(BESIDE) & set(measurement):
            raise IntegrityError(f"{path}: values of single noises belong into {VALUES_FILE}; {RUN_AGAIN}")
    try:
        comparison = read_record(Comparison, table, str(path))
    except UsageError as error:
        raise IntegrityError(f"{error}; the file is damaged: {RUN_AGAIN}") from error
    arrays = _read_values(path.with_name(VALUES_FILE), document.get(DIGEST))
    measurements = [_with_arrays(m, i, arrays, path) for i, m in enumerate(comparison.measurements)]
    return replace(comparison, measurements=measurements)


def _read_values(path: Path, digest: Any) -> dict[str, NDArray[Any]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}; it belongs to result.json") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise IntegrityError(f"{path} is not the file that result.json was written with; {RUN_AGAIN}")
    try:
        return dict(load(content))
    except (SafetensorError, ValueError) as error:
        raise IntegrityError(f"{path} is damaged: {error}; {RUN_AGAIN}") from error


def _with_arrays(m: Measurement, number: int, arrays: Mapping[str, NDArray[Any]], path: Path) -> Measurement:
    found: dict[str, Any] = {name: arrays[f"{number}.{name}"] for name in BESIDE if f"{number}.{name}" in arrays}
    values = found.get("values")
    if values is not None and values.shape != (m.rounds, m.count):
        raise IntegrityError(
            f"{path}: measurement {number} has {m.count} values and the values file {values.shape}; {RUN_AGAIN}"
        )
    return replace(m, **found)
