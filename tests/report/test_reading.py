"""Results in a folder: what is written is read back whole, and damage is a sentence."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprozoo.base.errors import IntegrityError, ReprozooError, UsageError
from reprozoo.engine.result import ROW_COLUMNS, Comparison
from reprozoo.engine.store import Store
from reprozoo.report.files import scores_csv, to_json, write_result
from reprozoo.report.reading import read_result
from tests.report.runs import Runs

NAMES = ("two", "three", "classes", "variant", "pearson", "folders", "copying", "elsewhere")
SCHEMA1 = Path(__file__).parent / "schema1"


def arrays(result: Comparison) -> list[Any]:
    return [(m.values, m.partners, m.own) for m in result.measurements]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_back(runs: Runs, name: str, tmp_path: Path) -> None:
    result = getattr(runs, name)
    paths = write_result(result, tmp_path / "out")
    assert [path.name for path in paths] == ["report.html", "result.json", "values.safetensors", "scores.csv"]
    again = read_result(tmp_path / "out")
    assert again == replace(result, question=again.question)
    assert json.loads(to_json(again)) == json.loads(to_json(result)) == json.loads(paths[1].read_text())
    for first, second in zip(arrays(result), arrays(again), strict=True):
        for one, other in zip(first, second, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)
    assert read_result(paths[1]).created == result.created


def test_images_are_at_hand_while_the_store_has_them(runs: Runs, tmp_path: Path) -> None:
    write_result(runs.two, tmp_path)
    again = read_result(tmp_path, runs.store)
    for label in ("a", "b", "theory-gaussian"):
        np.testing.assert_array_equal(again.images(label, [3, 1]), runs.two.images(label, [3, 1]))
    with pytest.raises(UsageError, match="not in the store"):
        again.images("a", [9999])
    with pytest.raises(UsageError, match="not in the store"):
        read_result(tmp_path, Store(tmp_path / "empty")).images("a", [0])
    with pytest.raises(UsageError, match="without a store"):
        read_result(tmp_path).images("a", [0])


@pytest.mark.parametrize("name", ["two", "pearson", "copying"])
def test_the_long_table_has_every_value_exactly(runs: Runs, name: str) -> None:
    result = getattr(runs, name)
    rows = list(csv.reader(io.StringIO(scores_csv(result))))
    assert tuple(rows[0]) == ROW_COLUMNS
    kinds = {(m.measure, m.pairing, m.a, m.b): m.values.dtype for m in result.measurements if m.values is not None}
    for row, expected in zip(rows[1:], result.rows(), strict=True):
        assert row[:-1] == [str(item) for item in expected[:-1]]
        kind = kinds[expected[0], expected[1], expected[2], expected[3]]
        assert kind.type(row[-1]) == kind.type(expected[-1])


def test_a_values_file_of_another_run_is_noticed(runs: Runs, tmp_path: Path) -> None:
    write_result(runs.two, tmp_path / "two")
    write_result(runs.variant, tmp_path / "variant")
    (tmp_path / "variant" / "values.safetensors").rename(tmp_path / "two" / "values.safetensors")
    with pytest.raises(IntegrityError, match="is not the file that"):
        read_result(tmp_path / "two")
    (tmp_path / "two" / "values.safetensors").unlink()
    with pytest.raises(UsageError, match="it belongs to"):
        read_result(tmp_path / "two")


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        (lambda d: d | {"schema_version": 3}, UsageError, "schema version 1 or 2, got 3"),
        (lambda d: d | {"kind": "else"}, UsageError, "expected a result"),
        (lambda d: d | {"sides": [{}]}, IntegrityError, "label.*missing"),
        (lambda d: d | {"surprise": 1}, IntegrityError, 'no key "surprise"'),
        (lambda d: d | {"elapsed_s": "long"}, IntegrityError, "expected a number"),
        (lambda d: {k: v for k, v in d.items() if k != "noise"}, IntegrityError, '"noise" is missing'),
        (lambda d: d | {"measurements": [d["measurements"][0] | {"values": [1]}]}, IntegrityError, "belong into"),
        (lambda d: d | {"measurements": [d["measurements"][0] | {"count": 3}]}, IntegrityError, "has 3 values"),
        (lambda d: [d], IntegrityError, "expected a JSON object"),
    ],
)
def test_a_damaged_result_is_a_sentence(
    runs: Runs, tmp_path: Path, change: Any, kind: type[Exception], sentence: str
) -> None:
    path = write_result(runs.two, tmp_path)[1]
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(kind, match=sentence):
        read_result(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "NaN", "null", "[" * 100_000, '{"schema_version": NaN}', "\x00"])
def test_what_is_no_json_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(IntegrityError):
        read_result(tmp_path)
    with pytest.raises(UsageError, match="name the folder of a run"):
        read_result(tmp_path / "nothing")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_part_of_a_document_may_be_anything(runs: Runs, tmp_path: Path, data: st.DataObject) -> None:
    """Also of the first version's documents."""
    source = data.draw(st.sampled_from(["now", "compare", "generalize"]))
    if source == "now":
        folder = tmp_path / "now"
        if not folder.exists():
            write_result(runs.two, folder)
        document = json.loads(to_json(runs.two))
    else:
        folder = tmp_path / source
        folder.mkdir(exist_ok=True)
        document = json.loads((SCHEMA1 / source / "result.json").read_text())
    place: Any = document
    for _ in range(data.draw(st.integers(0, 3))):
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        place = place[key]
    key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(st.sampled_from([None, -1, "text", [], {}, [[]], 1e300, True]))
    (folder / "result.json").write_text(json.dumps(document))
    error = None
    try:
        read_result(folder)
    except ReprozooError as raised:
        error = raised
    assert error is None or str(folder) in str(error)


# --- the first version -----------------------------------------------------------------------------------------------


def test_a_comparison_of_the_first_version_opens() -> None:
    result = read_result(SCHEMA1 / "compare")
    assert [side.label for side in result.models] == ["tiny-gan-a", "tiny-gan-b"]
    document = json.loads((SCHEMA1 / "compare" / "result.json").read_text())
    (pair,) = document["pairs"]
    for name in ("rp", "mae"):
        score = result.score(name)
        assert [score.value, score.low, score.high, score.successes, score.count] == [
            pair[name][key] for key in ("value", "low", "high", "successes", "count")
        ]
    (likeness,) = result.select(measure="similarity", pairing="same")
    assert likeness.distribution.quantiles == pair["similarity"]["quantiles"]
    assert likeness.values is not None
    assert (likeness.values.dtype, likeness.values.shape) == (np.float32, (1, 4))
    assert likeness.values[0, 1] == np.float32("0.259826571")
    assert result.score("rp", "tiny-gan-a", "tiny-gan-b", pairing="shuffled").value == pair["shuffled"]["rp"]["value"]
    assert result.score("rp", "tiny-gan-a", "tiny-gan-a", pairing="repeat").value == 1.0
    assert result.noise_indices == [0, 1, 2, 3]


def test_a_generalization_of_the_first_version_opens() -> None:
    result = read_result(SCHEMA1 / "generalize")
    document = json.loads((SCHEMA1 / "generalize" / "result.json").read_text())
    assert result.score("gl", "tiny-w32-n64").value == document["gl"]["value"]
    assert result.score("memorization").value == document["memorization"]["value"]
    (nearest,) = result.select(measure="similarity", pairing="nearest")
    assert nearest.partners is not None
    assert nearest.partners[0].tolist() == [n["train_index"] for n in document["neighbours"]]
    assert result.data["is_training_set"] is True


@pytest.mark.parametrize("name", ["compare", "generalize"])
def test_results_of_the_first_version_are_written_as_those_of_today(name: str, tmp_path: Path) -> None:
    result = read_result(SCHEMA1 / name)
    write_result(result, tmp_path)
    assert to_json(read_result(tmp_path)) == to_json(result)


def test_a_picture_is_not_a_damaged_result(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    with pytest.raises(IntegrityError, match="is not a result: expected text, got other bytes; name the folder"):
        read_result(path)
    path.write_text("{")
    with pytest.raises(IntegrityError, match="is not a result, or damaged"):
        read_result(path)
