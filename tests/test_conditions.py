"""Conditions are a function of the noise's index alone."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reprozoo.base.errors import UsageError
from reprozoo.maps.condition import Condition
from reprozoo.maps.conditions import (
    MOST_LABELS,
    Conditions,
    InTurn,
    RandomClasses,
    as_conditions,
    class_labels,
    conditions_of_classes,
)
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.maps.noise.classes import random_class
from reprozoo.maps.noise.files import NoiseFile, export_noise

LABELS = tuple(Condition(class_label=label) for label in (3, 1, 4))


def test_conditions_come_in_turn() -> None:
    turns = InTurn(LABELS)
    assert [turns.at(i).class_label for i in (0, 1, 2, 3, 100)] == [3, 1, 4, 3, 1]
    assert turns.groups([0, 1, 2, 3, 100]).tolist() == [0, 1, 2, 0, 1]
    assert turns.every() == LABELS
    assert turns.to_json() == {"in_turn": [{"class_label": 3}, {"class_label": 1}, {"class_label": 4}]}


def test_no_condition_is_the_empty_one() -> None:
    nothing = InTurn()
    assert nothing.at(5) == Condition()
    assert nothing.groups(range(3)).tolist() == [0, 0, 0]
    assert (nothing.every(), nothing.to_json()) == ((), {})


def test_conditions_have_names() -> None:
    mixed = InTurn((Condition(class_label=3), Condition(prompt="a cat"), Condition(prompt="a dog", class_label=1)))
    assert [mixed.name(group) for group in range(3)] == ["class 3", "a cat", "class 1, a dog"]
    named = InTurn(LABELS, names=("x", "y", "z"))
    assert named.name(2) == "z"
    assert named.to_json() == InTurn(LABELS).to_json() == InTurn(LABELS).record()  # a name changes no image
    assert named.record() == {**named.to_json(), "names": ["x", "y", "z"]}
    assert InTurn().name(0) == ""
    assert RandomClasses(0, 10).name(7) == "class 7"


def test_random_classes_are_those_of_the_noise() -> None:
    classes = RandomClasses().bound(NoiseBank(7), [10, None, 10])
    assert [classes.at(i).class_label for i in range(50)] == [random_class(7, i, 10) for i in range(50)]
    assert classes.groups([4, 9]).tolist() == [random_class(7, 4, 10), random_class(7, 9, 10)]
    assert classes.to_json() == {"random_class": {"seed": 7, "num_classes": 10}}
    chosen = RandomClasses(seed=1, num_classes=4).bound(NoiseBank(7), [10])
    assert (chosen.seed, chosen.num_classes) == (1, 4)


def test_a_noise_file_gives_the_classes_of_the_seed_it_records(tmp_path: Path) -> None:
    export_noise(NoiseBank(7), range(4, 9), (2, 2), tmp_path / "noise.safetensors")
    export_noise(NoiseBank(7), range(4), (2, 2), tmp_path / "noise.npy")
    recorded, plain = NoiseFile(tmp_path / "noise.safetensors"), NoiseFile(tmp_path / "noise.npy")
    assert RandomClasses().bound(recorded, [10]) == RandomClasses().bound(NoiseBank(7), [10])
    assert RandomClasses().bound(plain, [10]) == RandomClasses(seed=0, num_classes=10)


def test_random_classes_need_models_of_equal_classes() -> None:
    with pytest.raises(UsageError, match="10 and 1000 classes"):
        RandomClasses().bound(NoiseBank(0), [1000, 10])
    with pytest.raises(UsageError, match="a seed and a number of classes"):
        RandomClasses().at(0)


@pytest.mark.parametrize("source", [InTurn(LABELS), RandomClasses(2, 10)])
def test_a_source_can_be_sent_to_another_process(source: Conditions) -> None:
    sent = pickle.loads(pickle.dumps(source))
    assert sent == source
    assert np.array_equal(sent.groups(range(9)), source.groups(range(9)))


def test_what_is_given_becomes_a_source() -> None:
    assert as_conditions(LABELS[0]) == InTurn(LABELS[:1])
    assert as_conditions(list(LABELS)) == InTurn(LABELS)
    assert as_conditions(RandomClasses(3)) == RandomClasses(3)


@pytest.mark.parametrize(
    ("text", "labels"),
    [("3", [3]), ("1,5,7", [1, 5, 7]), ("0-3", [0, 1, 2, 3]), ("9, 0-1", [9, 0, 1]), ("5-5", [5]), ("random", None)],
)
def test_class_labels_are_numbers_ranges_or_random(text: str, labels: list[int] | None) -> None:
    assert class_labels(text) == labels
    source = conditions_of_classes(text)
    assert source == (RandomClasses() if labels is None else InTurn(tuple(Condition(class_label=n) for n in labels)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cat", "'cat' is no class label; expected 3, 1,5,7, 0-9 or random"),
        ("", "'' is no class label"),
        ("1,,2", "'1,,2' is no class label"),
        ("3.5", "'3.5' is no class label"),
        ("9-0", "'9-0' is no range of class labels"),
        (f"0-{MOST_LABELS}", "is no range of class labels"),
    ],
)
def test_what_names_no_class_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        class_labels(text)


def test_conditions_need_no_numpy_before_they_are_grouped() -> None:
    script = "import sys, reprozoo.maps.conditions; print('numpy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
