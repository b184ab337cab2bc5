"""Scores of pairs: right, symmetric, named, and beside their baselines."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reprozoo import compare, score
from reprozoo.base.errors import UsageError
from reprozoo.engine.progress import ProgressEvent
from reprozoo.engine.store import Store
from reprozoo.maps.condition import Condition
from reprozoo.maps.conditions import InTurn, RandomClasses
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.measures.descriptors.pixels import Pixels
from tests.fakes import SHAPE, FakeMap, FakeRecipe, FakeZoo, found, logged, run, snapshot, two

# --- scores ----------------------------------------------------------------------------------------------------------


def test_models_that_follow_the_noise_agree_on_it_and_not_on_mismatched_noise(store: Store) -> None:
    result = run(two(), store)
    same, shuffled = found(result), found(result, pairing="shuffled")
    assert (same.a, same.b, same.score("rp").value, shuffled.score("rp").value) == ("a", "b", 1.0, 0.0)
    assert same.score("rp").low < 1.0 < shuffled.score("rp").high + 1.0
    assert same.distribution.mean > 0.95
    assert abs(shuffled.distribution.mean) < 0.1
    assert same.values is not None
    assert same.values.shape == (1, 70)
    assert same.score("rp").count == same.count == 70
    assert sum(same.distribution.histogram) == sum(found(result, "mean_abs").distribution.histogram) == 70
    assert (shuffled.rounds, shuffled.count, sum(shuffled.distribution.histogram)) == (7, 70, 490)


def test_different_models_have_scores_near_zero(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("a", weights=1, same=0.05), FakeRecipe("b", weights=2, same=0.05))
    result = run(zoo, store)
    rp = result.score("rp", "a", "b")
    assert rp.successes == 0
    assert rp.high is not None
    assert 0 < rp.high < 0.06  # Wilson at 0 of 70
    assert result.score("mae", "a", "b").value == 0.0


def test_the_same_model_twice_has_rp_1_and_error_0_and_is_said_to_be_the_same(store: Store, log: Path) -> None:
    result = compare(["a", "a"], zoo=two(log), store=store, num_samples=70, descriptor="pixels", device="cpu")
    assert result.model_pairs() == [("a", "a #2")]
    errors = found(result, "mean_abs")
    assert (result.score("rp").value, result.score("mae").value, errors.distribution.quantiles["1"]) == (1.0, 1.0, 0.0)
    assert (errors.equal, result.score("psnr").value, result.score("pfd").value) == (70, 100.0, 0.0)
    assert any("same map" in warning for warning in result.warnings)
    assert logged(log) == 70 + 64  # once, and the noise floor


def test_scores_are_symmetric_and_the_order_of_models_is_irrelevant(store: Store, tmp_path: Path) -> None:
    zoo = FakeZoo(*(FakeRecipe(name, weights=i, same=0.5 + 0.1 * i) for i, name in enumerate("abc")))
    forward = run(zoo, store)
    backward = compare(
        ["c", "a", "b"], zoo=zoo, store=Store(tmp_path / "other"), num_samples=70, descriptor="pixels", noise_floor=0,
        device="cpu", baselines=[],
    )  # fmt: skip
    assert forward.model_pairs() == [("a", "b"), ("a", "c"), ("b", "c")]
    for m in forward.select(pairing="same"):
        (mirrored,) = backward.select(measure=m.measure, pairing="same", a=m.b, b=m.a)
        assert np.array_equal(m.values, mirrored.values)
        assert (m.scores, m.curve, m.distribution) == (mirrored.scores, mirrored.curve, mirrored.distribution)
    assert snapshot(store.root / "images") == snapshot(tmp_path / "other" / "images")
    matrix = forward.matrix("mae")
    assert [[matrix[j][i] for j in range(3)] for i in range(3)] == matrix
    assert [matrix[i][i] for i in range(3)] == [None] * 3
    assert matrix[0][2] == forward.score("mae", "c", "a").value


def test_errors_and_digests_are_those_of_the_images(store: Store) -> None:
    result = run(two(), store, num_samples=70)
    a, b = (result.images(label, range(70)) for label in "ab")
    assert a.shape == (70, *SHAPE)
    differences = np.abs(a.astype(int) - b)
    values = {name: found(result, name).values for name in ("mean_abs", "max_abs", "psnr")}
    assert values["mean_abs"][0] == pytest.approx(differences.mean(axis=(1, 2, 3)), rel=1e-6)
    assert values["max_abs"][0].tolist() == differences.max(axis=(1, 2, 3)).tolist()
    squares = (differences**2).mean(axis=(1, 2, 3))
    assert values["psnr"][0] == pytest.approx(10 * np.log10(255**2 / squares))
    assert result.models[0].images_sha256 == hashlib.sha256(a.tobytes()).hexdigest()
    direct = FakeMap(FakeRecipe("a", weights=1))(NoiseBank(0).noise(range(70), SHAPE))
    assert np.abs(a - (direct.numpy() * 127.5 + 127.5)).max() <= 0.51  # half a grey level, and float32


def test_values_of_mismatched_noises_are_those_of_the_partners_that_the_result_names(store: Store) -> None:
    result = run(two(), store, num_samples=70)
    a, b = (result.images(label, range(70)).astype(int) for label in "ab")
    pixels, features = found(result, "mean_abs", "shuffled"), found(result, "similarity", "shuffled")
    assert np.array_equal(pixels.partners[0], features.partners[0])
    assert pixels.values[0] == pytest.approx(np.abs(a - b[pixels.partners[0]]).mean(axis=(1, 2, 3)))
    by_hand = Pixels()(torch.from_numpy(result.images("a", range(70)))).numpy()
    others = Pixels()(torch.from_numpy(result.images("b", range(70)))).numpy()
    for values, partners in zip(features.values, features.partners, strict=True):
        assert (partners != np.arange(70)).all()
        assert values == pytest.approx((by_hand * others[partners]).sum(1), abs=1e-6)  # float32 sums


def test_names_carry_the_descriptor_and_the_thresholds(store: Store) -> None:
    result = run(two(), store, threshold=0.7)
    assert [result.score(name).label for name in ("rp", "mae")] == ["rp[pixels@32, >0.7]", "mae[<15/255]"]
    assert result.facts("similarity").threshold == 0.7


def test_a_score_can_have_another_threshold_than_its_measure(store: Store) -> None:
    values = found(run(two(), store)).values
    for threshold in ({"similarity": 0.99}, {"rp": 0.99}, {"similarity": 0.1, "rp": 0.99}):
        rp = run(two(), store, threshold=threshold).score("rp")
        assert (rp.threshold, rp.successes) == (0.99, int((values > np.float32(0.99)).sum()))


def test_a_score_is_asked_for_by_sides_or_where_there_is_one(store: Store) -> None:
    zoo = FakeZoo(*(FakeRecipe(name, weights=i) for i, name in enumerate("abc")))
    result = run(zoo, store, num_samples=4)
    assert result.score("rp", "c", "a") == result.score("rp", "a", "c")
    with pytest.raises(UsageError, match=r"'rp' was computed 3 times: name the sides; a × b"):
        result.score("rp")
    with pytest.raises(UsageError, match="no score 'fid' of these sides; the scores are: rp"):
        result.score("fid", "a", "b")
    with pytest.raises(UsageError, match="no side 'd'"):
        result.side("d")
    with pytest.raises(UsageError, match="no measure 'lpips' in this result"):
        result.facts("lpips")


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
        result = run(zoo, store, num_samples=count, conditions=conditions, threshold={"mae": 2})
        assert result.score("mae", pairing="shuffled").value == result.score("mae").value == 1.0
    mixed = run(zoo, store, num_samples=10, conditions=labels, threshold={"mae": 2})
    assert mixed.score("mae", pairing="shuffled").value == 0.0  # every label comes once: none has another noise


def test_each_condition_has_its_own_scores(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("a", same=0.7), FakeRecipe("b", weights=1, same=0.7))
    labels = InTurn(tuple(Condition(class_label=label) for label in (0, 5, 9)), names=("none", "some", "many"))
    result = run(zoo, store, num_samples=71, conditions=labels)
    same = found(result)
    assert same.values is not None
    assert [own.name for own in same.conditions] == result.conditions["names"] == ["none", "some", "many"]
    assert result.condition_names[:4] == ["none", "some", "many", "none"]
    rps = [own.scores[0] for own in same.conditions]
    assert [(rp.name, rp.count) for rp in rps] == [("rp", 24), ("rp", 24), ("rp", 23)]
    assert sum(rp.successes or 0 for rp in rps) == same.score("rp").successes
    for k, own in enumerate(same.conditions):
        assert own.median == pytest.approx(np.median(same.values[0, k::3]))
    assert found(run(zoo, store, conditions=Condition(class_label=1))).conditions == []
    drawn = found(run(zoo, store, conditions=RandomClasses())).conditions
    assert {own.name for own in drawn} == {f"class {label}" for label in range(10)}


def test_a_mirror_image_counts_when_asked_for(store: Store) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 16, 16), dtype=np.uint8)
    flipped = images.copy()
    flipped[:4] = flipped[:4, :, :, ::-1]
    plain = score(images, flipped, descriptor="pixels", store=store)
    mirrored = score(images, flipped, descriptor="pixels", store=store, mirror=True)
    assert (plain.score("rp").successes, mirrored.score("rp").successes) == (4, 8)
    assert (plain.score("rp").label, mirrored.score("rp").label) == (
        "rp[pixels@32, >0.9]", "rp[pixels@32, >0.9, mirrored or not]",
    )  # fmt: skip
    assert mirrored.score("rp", pairing="shuffled").value == 0
    assert mirrored.score("pfd").value == pytest.approx(0, abs=1e-6)
    assert found(mirrored, "max_abs").equal == 4  # pixels are compared as they are


class Prompted(Pixels):
    prompt_threshold = 0.4


def test_images_that_follow_a_prompt_have_a_threshold_of_their_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeMap, "accepts", frozenset({"prompt"}))
    monkeypatch.setattr(FakeRecipe, "check_conditions", lambda self, conditions: None)

    def threshold(descriptor: Pixels, **options: object) -> float | None:
        return run(two(), store, num_samples=2, descriptor=descriptor, **options).score("rp").threshold

    assert threshold(Prompted(), prompts="a cat") == 0.4
    assert threshold(Prompted(), prompts="a cat", threshold=0.7) == 0.7
    assert threshold(Prompted()) == 0.9
    assert threshold(Pixels(), prompts="a cat") == 0.9


def test_a_single_noise_has_no_shuffled_baseline(store: Store) -> None:
    result = run(two(), store, num_samples=1)
    assert result.select(pairing="shuffled") == []
    assert result.score("rp").count == 1


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


FEW: dict[str, Any] = {"num_samples": 30, "descriptor": "pixels", "device": "cpu"}


def test_the_gaussian_baseline_is_that_of_the_training_data(store: Store) -> None:
    result = compare(["a", "b"], zoo=zoo_with_baseline(), store=store, **FEW)
    assert [side.label for side in result.baselines] == ["gauss"]
    assert [pair for pair in result.pairs() if "gauss" in pair] == [("gauss", "a")]
    assert result.select(pairing="repeat", a="gauss") == []
    assert {m.pairing for m in result.measurements if "gauss" in m.labels} == {"same"}
    assert result.score("rp", "a", "gauss") == result.score("rp", "gauss", "a")
    assert result.images("gauss", [2]).shape == (1, *SHAPE)
    asked = compare(["a", "b"], zoo=zoo_with_baseline(), store=store, baselines=["gauss"], **FEW)
    assert [pair for pair in asked.pairs() if "gauss" in pair] == [("gauss", "a"), ("gauss", "b")]


def test_a_baseline_that_is_among_the_models_is_neither_sampled_nor_listed_twice(store: Store, log: Path) -> None:
    zoo = zoo_with_baseline()
    zoo.recipes["gauss"] = replace(zoo.recipes["gauss"], log=log)
    for baselines in (None, ["gauss"]):
        result = compare(["a", "gauss"], zoo=zoo, store=store, baselines=baselines, noise_floor=0, **FEW)
        assert result.baselines == []
        assert [side.label for side in result.sides] == ["a", "gauss"]
        assert result.pairs() == [("a", "gauss")]
    assert logged(log) == 30


def test_the_training_data_of_a_theory_are_an_option(store: Store) -> None:
    zoo = zoo_with_baseline()
    zoo.recipes["a"] = replace(zoo.recipes["a"], options={"data": "spots"})
    assert compare(["a", "b"], zoo=zoo, store=store, **FEW).baselines == []


def test_a_baseline_that_cannot_be_had_is_a_word_only_where_it_was_asked_for(store: Store) -> None:
    with_it = compare(["a", "b"], zoo=zoo_with_baseline(), store=store, **FEW)
    zoo = zoo_with_baseline()
    del zoo.recipes["gauss"]
    result = compare(["a", "b"], zoo=zoo, store=store, **FEW)
    assert result.baselines == []
    assert set(result.warnings) <= set(with_it.warnings)
    assert not any("gauss" in warning for warning in result.warnings)
    with pytest.raises(UsageError, match="no model is called 'gauss'"):
        compare(["a", "b"], zoo=zoo, store=store, baselines=["gauss"], **FEW)


def test_a_baseline_that_does_not_fit_is_refused_where_it_was_asked_for(store: Store) -> None:
    zoo = two()
    zoo.recipes["large"] = FakeRecipe("large", weights=3, shape=(3, 16, 16))
    with pytest.raises(UsageError, match=r"[ab] and large cannot be compared: the noise shape"):
        compare(["a", "b"], zoo=zoo, store=store, baselines=["large"], **FEW)


def test_a_result_is_json_and_holds_no_values_of_single_noises(store: Store) -> None:
    result = run(two(), store, noise_floor=8)
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert document["kind"] == "comparison"
    assert document["schema_version"] == 2
    assert document["question"]["sides"] == ["a", "b"]
    assert len(document["measurements"]) == len(result.measurements)
    assert not {"values", "partners", "own"} & set(document["measurements"][0])
    rp = document["measurements"][0]["scores"][0]
    assert (rp["name"], rp["value"], rp["count"]) == ("rp", 1.0, 70)


def test_a_result_without_a_store_has_no_images(store: Store) -> None:
    with pytest.raises(UsageError, match="its images are not at hand"):
        replace(run(two(), store, num_samples=2), image_loader=None).images("a", [0])


def test_a_result_says_where_it_comes_from(store: Store) -> None:
    result = run(two(), store)
    assert result.plugins == [{"name": "fakes", "distribution": "tests", "version": "0", "gave": ["family fake"]}]
    assert result.environment["torch"].startswith(torch.__version__.split("+")[0])
    assert {"python", "numpy", "platform", "cpu", "reprozoo"} <= set(result.environment)
    assert result.noise["seed"] == 0
    assert len(result.noise["sha256"]) == 64
    assert result.noise_indices == list(range(70))
    assert [descriptor["id"] for descriptor in result.descriptors] == ["pixels@32"]
    assert result.schema_version == 2


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
