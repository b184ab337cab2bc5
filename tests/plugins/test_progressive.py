"""Progressive distillation: Flax's file and the original's numbers, the student's number of steps, the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from reprozoo import IntegrityError, UsageError
from reprozoo.testing import assert_map_contract
from tests.families import assert_golden, load_family
from tests.originals import progressive_file
from tests.seeded import Golden


@pytest.fixture
def golden() -> Golden:
    return Golden.read("progressive")


def test_as_the_original(golden: Golden, tmp_path: Path) -> None:
    loaded = load_family(golden.facts["card"], {"weights": progressive_file(tmp_path / "cifar_4", golden.weights(), 4)})
    assert_golden(golden, loaded)
    assert_map_contract(loaded)


def test_a_student_takes_its_own_number_of_steps_and_a_teacher_any(golden: Golden, tmp_path: Path) -> None:
    card = golden.facts["card"] | {"sampler": golden.facts["card"]["sampler"] | {"steps": 8}}
    with pytest.raises(UsageError, match="is a student of 4 steps of DDIM, uniform in time, and was asked for steps=8"):
        load_family(card, {"weights": progressive_file(tmp_path / "cifar_4", golden.weights(), 4)})
    assert load_family(card, {"weights": progressive_file(tmp_path / "cifar_original", golden.weights(), 0)}).nfe == 8


@pytest.mark.parametrize("sampler", [{"name": "heun", "steps": 4}, {"name": "rk45"}])
def test_a_student_takes_no_other_sampler(golden: Golden, tmp_path: Path, sampler: dict[str, object]) -> None:
    card = golden.facts["card"] | {"sampler": sampler}
    with pytest.raises(UsageError, match="is a student of 4 steps of DDIM"):
        load_family(card, {"weights": progressive_file(tmp_path / "cifar_4", golden.weights(), 4)})
    teacher = load_family(card, {"weights": progressive_file(tmp_path / "cifar_original", golden.weights(), 0)})
    student = load_family(
        golden.facts["card"], {"weights": progressive_file(tmp_path / "cifar_4", golden.weights(), 4)}
    )
    assert (teacher.is_posterior_mean, student.is_posterior_mean) == (True, False)


def test_another_network_is_refused_with_a_sentence(golden: Golden, tmp_path: Path) -> None:
    card = golden.facts["card"] | {"network": golden.facts["card"]["network"] | {"emb_ch": 64}}
    file = progressive_file(tmp_path / "cifar_4", golden.weights(), 4)
    with pytest.raises(IntegrityError, match=r"another shape dense0\.weight, \(32, 32\) where the card's network has"):
        load_family(card, {"weights": file})
