"""Scores of pairs: right, symmetric, named, and beside their baselines."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reprozoo.base.errors import UsageError
from reprozoo.engine import ProgressEvent, compare, score
from reprozoo.engine.judging import make_rules
from reprozoo.engine.results import Comparison, Generalization
from reprozoo.engine.store import Store
from reprozoo.maps.condition import Condition
from reprozoo.maps.conditions import InTurn, RandomClasses
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.measures.descriptors.pixels import Pixels
from tests.fakes import SHAPE, FakeMap, FakeRecipe, FakeZoo, logged, run, snapshot, two

# --- scores ----------------------------------------------------------------------------------------------------------


def test_models_that_follow_the_noise_agree_on_it_and_not_on_mismatched_noise(store: Store) -> None:
    pair = run(two(), store).pairs[0]
    assert pair.rp.value == 1.0
    assert pair.shuffled is not None
    assert pair.shuffled.rp.value == 0.0
    assert pair.rp.low < 1.0 < pair.shuffled.rp.high + 1.0
    assert pair.similarity.mean > 0.95
    assert abs(pair.shuffled.similarity.mean) < 0.1
    assert pair.similarities is not None
    assert len(pair.similarities) == pair.rp.count == 70
    assert sum(pair.similarity.histogram) == sum(pair.mean_absolute_error.histogram) == 70


def test_different_models_have_scores_near_zero(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("a", weights=1, same=0.05), FakeRecipe("b", weights=2, same=0.05))
    pair = run(zoo, store).pairs[0]
    assert pair.rp.successes == 0
    assert 0 < pair.rp.high < 0.06  # Wilson at 0 of 70
    assert pair.mae.value == 0.0


def test_the_same_model_twice_has_rp_1_and_error_0_and_is_said_to_be_the_same(store: Store, log: Path) -> None:
    result = compare(["a", "a"], zoo=two(log), store=store, num_samples=70, descriptor="pixels", device="cpu")
    (pair,) = result.pairs
    assert (pair.rp.value, pair.mae.value, pair.mean_absolute_error.quantiles["1"]) == (1.0, 1.0, 0.0)
    assert (pair.model_a, pair.model_b, pair.identical) == ("a", "a #2", 70)
    assert any("same map" in warning for warning in result.warnings)
    assert logged(log) == 70 + 64  # once, and the noise floor


def test_scores_are_symmetric_and_the_order_of_models_is_irrelevant(store: Store, tmp_path: Path) -> None:
    zoo = FakeZoo(*(FakeRecipe(name, weights=i, same=0.5 + 0.1 * i) for i, name in enumerate("abc")))
    forward = run(zoo, store)
    backward = compare(
        ["c", "a", "b"], zoo=zoo, store=Store(tmp_path / "other"), num_samples=70, descriptor="pixels", noise_floor=0,
        device="cpu", baselines=[],
    )  # fmt: skip
    for pair in forward.pairs:
        mirrored = backward.pair(pair.model_b, pair.model_a)
        assert np.array_equal(pair.similarities, mirrored.similarities)
        assert np.array_equal(pair.mean_absolute_errors, mirrored.mean_absolute_errors)
        assert (pair.rp, pair.mae, pair.curve) == (mirrored.rp, mirrored.mae, mirrored.curve)
    assert snapshot(store.root / "images") == snapshot(tmp_path / "other" / "images")
    matrix = np.array(forward.matrix("mae"))
    assert np.array_equal(matrix, matrix.T)
    assert np.array_equal(np.diag(matrix), np.ones(3))


def test_errors_and_digests_are_those_of_the_images(store: Store) -> None:
    result = run(two(), store, num_samples=70)
    a, b = (result.images(label, range(70)) for label in "ab")
    assert a.shape == (70, *SHAPE)
    expected = np.abs(a.astype(int) - b).mean(axis=(1, 2, 3))
    assert result.pairs[0].mean_absolute_errors == pytest.approx(expected, rel=1e-6)
    assert result.models[0].images_sha256 == hashlib.sha256(a.tobytes()).hexdigest()
    direct = FakeMap(FakeRecipe("a", weights=1))(NoiseBank(0).noise(range(70), SHAPE))
    assert np.abs(a - (direct.numpy() * 127.5 + 127.5)).max() <= 0.51  # half a grey level, and float32


def test_names_carry_the_descriptor_and_the_thresholds(store: Store) -> None:
    assert run(two(), store, threshold=0.7).score_names == {"rp": "rp[pixels@32, >0.7]", "mae": "mae[<15/255]"}


def test_pairs_that_share_a_model_are_tested_against_each_other(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("a"), FakeRecipe("b", weights=1), FakeRecipe("c", weights=2, same=0.1))
    result = run(zoo, store)
    assert len(result.tests) == 3
    first = result.tests[0]
    assert (first.first, first.second) == (["a", "b"], ["a", "c"])
    assert first.only_first == 70
    assert first.p_value < 1e-9


def test_the_shuffled_baseline_keeps_the_condition(store: Store) -> None:
    """Ten labels of ten shades: with another label, a model would never meet a twin of itself within a shade."""
    zoo = FakeZoo(FakeRecipe("a", same=0.0, weights=1), FakeRecipe("b", same=1e-6, weights=1))
    labels = [Condition(class_label=label) for label in range(10)]
    for conditions, count in ((labels, 70), (RandomClasses(), 200)):
        pair = run(zoo, store, num_samples=count, conditions=conditions, mae_threshold=2).pairs[0]
        assert pair.shuffled is not None
        assert pair.shuffled.mae.value == pair.mae.value == 1.0
    mixed = run(zoo, store, num_samples=10, conditions=labels, mae_threshold=2).pairs[0].shuffled
    assert mixed is not None
    assert mixed.mae.value == 0.0  # every label comes once: there is no other noise of the same one


def test_each_condition_has_its_own_scores(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("a", same=0.7), FakeRecipe("b", weights=1, same=0.7))
    labels = InTurn(tuple(Condition(class_label=label) for label in (0, 5, 9)), names=("none", "some", "many"))
    result = run(zoo, store, num_samples=71, conditions=labels)
    pair = result.pairs[0]
    assert pair.similarities is not None
    assert [scores.name for scores in pair.by_condition] == result.conditions["names"] == ["none", "some", "many"]
    assert [scores.rp.count for scores in pair.by_condition] == [24, 24, 23]
    assert sum(scores.rp.successes for scores in pair.by_condition) == pair.rp.successes
    for k, scores in enumerate(pair.by_condition):
        assert scores.median_similarity == pytest.approx(np.median(pair.similarities[k::3]))
    assert Comparison.from_json(json.loads(json.dumps(result.to_json()))).pairs[0].by_condition == pair.by_condition
    assert run(zoo, store, conditions=Condition(class_label=1)).pairs[0].by_condition == []
    drawn = run(zoo, store, conditions=RandomClasses()).pairs[0].by_condition
    assert {scores.name for scores in drawn} == {f"class {label}" for label in range(10)}


def test_a_mirror_image_counts_when_asked_for(store: Store) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 16, 16), dtype=np.uint8)
    flipped = images.copy()
    flipped[:4] = flipped[:4, :, :, ::-1]
    plain = score(images, flipped, descriptor="pixels", store=store)
    mirrored = score(images, flipped, descriptor="pixels", store=store, mirror=True)
    assert (plain.pairs[0].rp.successes, mirrored.pairs[0].rp.successes) == (4, 8)
    assert (plain.score_names["rp"], mirrored.score_names["rp"]) == (
        "rp[pixels@32, >0.9]", "rp[pixels@32, >0.9, mirrored or not]",
    )  # fmt: skip
    assert mirrored.pairs[0].shuffled is not None
    assert mirrored.pairs[0].shuffled.rp.value == 0


def test_images_that_follow_a_prompt_have_a_threshold_of_their_own() -> None:
    class Prompted(Pixels):
        prompt_threshold = 0.4

    prompts = InTurn((Condition(prompt="a cat"),))
    assert make_rules(Prompted(), None, 15, conditions=prompts).threshold == 0.4
    assert make_rules(Prompted(), 0.7, 15, conditions=prompts).threshold == 0.7
    assert make_rules(Prompted(), None, 15, conditions=InTurn()).threshold == 0.9
    assert make_rules(Pixels(), None, 15, conditions=prompts).threshold == 0.9


def test_a_single_noise_has_no_shuffled_baseline(store: Store) -> None:
    pair = run(two(), store, num_samples=1).pairs[0]
    assert pair.shuffled is None
    assert pair.rp.count == 1


# --- baselines, results, progress ------------------------------------------------------------------------------------


class Card:
    """What ``references`` reads of a card."""

    def __init__(self, id: str, family: str, dataset: str) -> None:
        self.id, self.family, self.training, self.noise_shape = id, family, {"dataset": dataset}, SHAPE


def zoo_with_baseline() -> FakeZoo:
    zoo = FakeZoo(
        FakeRecipe("a", weights=1, training="cifar10"),
        FakeRecipe("b", weights=2),
        FakeRecipe("gauss", weights=3, family="theory-gaussian", training="cifar10", same=0.5),
    )
    models = {"gauss": Card("gauss", "theory-gaussian", "cifar10")}
    zoo.registry = type("Registry", (), {"models": models, "descriptors": {}})()  # type: ignore[attr-defined]
    return zoo


def test_the_gaussian_baseline_is_that_of_the_training_data(store: Store) -> None:
    options = {"store": store, "num_samples": 30, "descriptor": "pixels", "device": "cpu"}
    result = compare(["a", "b"], zoo=zoo_with_baseline(), **options)
    (baseline,) = result.baselines
    assert baseline.run.label == "gauss"
    assert [(pair.model_a, pair.model_b) for pair in baseline.pairs] == [("gauss", "a")]
    assert baseline.run.noise_floor is None
    assert result.pair("a", "gauss") is baseline.pairs[0]
    assert result.images("gauss", [2]).shape == (1, *SHAPE)
    asked = compare(["a", "b"], zoo=zoo_with_baseline(), baselines=["gauss"], **options)
    assert [pair.model_b for pair in asked.baselines[0].pairs] == ["a", "b"]
    assert compare(["a", "gauss"], zoo=zoo_with_baseline(), **options).baselines[0].pairs[0].model_b == "a"


def test_the_training_data_of_a_theory_are_an_option(store: Store) -> None:
    zoo = zoo_with_baseline()
    zoo.recipes["a"] = replace(zoo.recipes["a"], options={"data": "spots"})
    assert compare(["a", "b"], zoo=zoo, store=store, num_samples=4, descriptor="pixels", device="cpu").baselines == []


def test_a_baseline_that_cannot_be_had_is_a_note(store: Store) -> None:
    zoo = zoo_with_baseline()
    del zoo.recipes["gauss"]
    result = compare(["a", "b"], zoo=zoo, store=store, num_samples=8, descriptor="pixels", device="cpu")
    assert result.baselines == []
    assert any(warning.startswith("no Gaussian baseline (gauss)") for warning in result.warnings)


def test_a_comparison_goes_to_json_and_back(store: Store) -> None:
    result = run(two(), store, noise_floor=8)
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert document["kind"] == "comparison"
    assert document["schema_version"] == 1
    again = Comparison.from_json(document)
    assert again == result
    assert again.to_json() == result.to_json()
    assert again.pairs[0].similarities is None
    with pytest.raises(UsageError, match="holds no images"):
        again.images("a", [0])
    with pytest.raises(UsageError, match="schema version 99"):
        Comparison.from_json({**document, "schema_version": 99})
    with pytest.raises(UsageError, match="expected the JSON of a generalization"):
        Generalization.from_json(document)


def test_a_result_says_where_it_comes_from(store: Store) -> None:
    result = run(two(), store)
    assert result.plugins == [{"name": "fakes", "distribution": "tests", "version": "0", "gave": ["family fake"]}]
    assert result.environment["torch"].startswith(torch.__version__.split("+")[0])
    assert {"python", "numpy", "platform", "cpu", "reprozoo"} <= set(result.environment)
    assert result.noise["seed"] == 0
    assert len(result.noise["sha256"]) == 64
    assert result.noise_indices == list(range(70))
    assert result.descriptor["id"] == "pixels@32"


def test_progress_reaches_the_total_of_each_stage(store: Store) -> None:
    events: list[ProgressEvent] = []
    run(two(), store, progress=events.append)
    for stage, total in (("sampling", 140), ("scoring", 70), ("describing", 140)):
        own = [event for event in events if event.stage == stage]
        assert [own[0].done, own[-1].done] == [0, total]
        assert all(event.total == total for event in own)
        assert [event.done for event in own] == sorted(event.done for event in own)
    events.clear()
    run(two(), store, progress=events.append)
    assert {event.stage for event in events} == {"scoring"}
