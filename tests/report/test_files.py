"""Result files: complete, exact, whole or not at all."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from reprozoo.base.errors import PartialError, UsageError
from reprozoo.engine.results import Generalization
from reprozoo.report import files
from tests.report import made_results as made


@pytest.fixture(scope="module")
def result() -> files.Comparison:
    images = made.pictures(20, size=8)
    other = made.blended(images, made.pictures(20, seed=3, size=8))
    return made.comparison({"a": images, "b": other, 'c,"d"': images}, baseline=other)


def test_what_was_written_is_read_back(result: files.Comparison, tmp_path: Path) -> None:
    paths = files.write_comparison(result, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["report.html", "result.json", "pairs.csv"]
    again = files.read_comparison(tmp_path / "new" / "folder")
    assert again == result
    pairs = [*result.pairs, *result.baselines[0].pairs]
    back = [*again.pairs, *again.baselines[0].pairs]
    for before, after in zip(pairs, back, strict=True):
        np.testing.assert_array_equal(before.similarities, after.similarities)  # to the last bit
        np.testing.assert_array_equal(before.mean_absolute_errors, after.mean_absolute_errors)


def test_pairs_csv(result: files.Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(files.pairs_csv(result))))
    assert len(rows) == (3 + 3) * 20
    assert tuple(rows[0]) == files.PAIR_COLUMNS
    assert {row["model_b"] for row in rows} >= {'c,"d"'}
    own = [row for row in rows if (row["model_a"], row["model_b"]) == ("a", "b")]
    assert sum(int(row["same"]) for row in own) == result.pairs[0].rp.successes


def test_json_of_a_generalization(tmp_path: Path) -> None:
    images = made.pictures(6, size=8)
    made_here = made.generalization(images, images)
    files.write_generalization(made_here, tmp_path)
    assert Generalization.from_json(json.loads((tmp_path / "result.json").read_text())) == made_here
    rows = list(csv.DictReader((tmp_path / "neighbours.csv").open()))
    assert [row["train_index"] for row in rows] == list("012345")


def test_nothing_else_is_left(result: files.Comparison, tmp_path: Path) -> None:
    for _ in range(2):
        files.write_comparison(result, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_full_disk_is_partial(result: files.Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "report.html").write_text("before")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PartialError, match="the disk is full"):
        files.write_comparison(result, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "before"


@pytest.mark.parametrize(
    "content", [None, "{", '{"kind": "comparison", "schema_version": 1}', '{"kind": "generalization"}']
)
def test_results_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(UsageError):
        files.read_comparison(tmp_path)
