"""Sampled once: what the store holds is not made again, and what can change an image is."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reprozoo import compare
from reprozoo.base.errors import PartialError, UsageError
from reprozoo.engine.executors import LocalExecutor, ShardTask
from reprozoo.engine.sampling import images_document, sample_models
from reprozoo.engine.setup import Setup, default_batch_size
from reprozoo.engine.store import Store
from reprozoo.maps.condition import Condition
from reprozoo.maps.conditions import InTurn, RandomClasses
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.maps.noise.classes import random_class
from reprozoo.maps.noise.files import export_noise
from tests.fakes import SHAPE, FakeMap, FakeRecipe, FakeZoo, found, logged, run, two

PIXELS: dict[str, Any] = {"descriptor": "pixels", "device": "cpu"}

# --- sampled once ----------------------------------------------------------------------------------------------------


def test_a_second_run_samples_nothing_loads_nothing_and_says_the_same(
    store: Store, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = two(log)
    first = run(zoo, store, noise_floor=64)
    monkeypatch.setattr(FakeRecipe, "load", lambda self: pytest.fail("a model was loaded"))
    monkeypatch.setattr(NoiseBank, "noise", lambda *_: pytest.fail("noise was drawn"))
    monkeypatch.setattr(
        "reprozoo.measures.descriptors.pixels.Pixels.describe", lambda *_: pytest.fail("an image was described")
    )
    second = run(zoo, store, noise_floor=64)
    assert logged(log) == 2 * (70 + 64)
    assert [model.sampled for model in first.models] == [70, 70]
    assert [(model.sampled, model.reused) for model in second.models] == [(0, 70), (0, 70)]
    assert first.measurements == second.measurements
    assert first.noise == second.noise


def test_more_noises_reuse_what_is_there_and_no_image_is_made_that_was_not_asked_for(store: Store, log: Path) -> None:
    zoo = two(log)
    run(zoo, store, num_samples=70)
    assert logged(log) == 2 * 70
    grown = run(zoo, store, num_samples=150)
    assert logged(log) == 2 * 150
    assert [(model.sampled, model.reused) for model in grown.models] == [(80, 70), (80, 70)]
    run(zoo, store, num_samples=10)
    assert logged(log) == 2 * 150


def test_a_third_model_samples_only_itself(store: Store, log: Path) -> None:
    run(two(log), store)
    zoo = two(log)
    zoo.recipes["c"] = FakeRecipe("c", weights=3, log=log)
    run(zoo, store)
    assert logged(log) == 3 * 70


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"dtype": "float16"}, {"batch_size": 16}, {"conditions": Condition(class_label=1)}]
)
def test_each_choice_that_can_change_an_image_is_sampled_anew(store: Store, log: Path, change: dict[str, Any]) -> None:
    run(two(log), store)
    run(two(log), store, **change)
    assert logged(log) == 4 * 70


@pytest.mark.parametrize("change", [{"weights": 5}, {"same": 0.8}, {"drift": 0.001}, {"options": {"steps": 9}}])
def test_each_part_of_a_recipe_is_part_of_the_key(store: Store, change: dict[str, Any]) -> None:
    setup = Setup(NoiseBank(0), range(10), store=store)
    recipe = FakeRecipe()
    keys = {store.entry("images", images_document(r, setup, 64)).key for r in (recipe, replace(recipe, **change))}
    assert len(keys) == 2


def test_a_noise_file_is_read_and_its_digest_reported(store: Store, tmp_path: Path) -> None:
    sha256 = export_noise(NoiseBank(3), range(20), SHAPE, tmp_path / "noise.safetensors")
    from_file = run(two(), store, num_samples=20, noise=tmp_path / "noise.safetensors")
    from_seed = run(two(), store, num_samples=20, seed=3)
    assert from_file.noise["sha256"] == from_seed.noise["sha256"] == sha256
    assert from_file.models[0].images_sha256 == from_seed.models[0].images_sha256
    assert from_file.models[0].images_key != from_seed.models[0].images_key
    with pytest.raises(UsageError, match="holds 20 noises"):
        run(two(), store, num_samples=21, noise=tmp_path / "noise.safetensors")


def test_every_noise_can_have_a_class_of_its_own(store: Store, log: Path) -> None:
    few = run(two(log), store, num_samples=4, seed=5, conditions=RandomClasses())
    many = run(two(log), store, num_samples=9, seed=5, conditions=RandomClasses())
    assert logged(log) == 2 * 9
    for i in range(9):
        label = Condition(class_label=random_class(5, i, 10))
        own = FakeMap(FakeRecipe("a", weights=1))(NoiseBank(5).noise([i], SHAPE), [label])
        assert np.abs(many.images("a", [i])[0] - (own[0].numpy() * 127.5 + 127.5)).max() <= 0.51
    assert np.array_equal(few.images("a", range(4)), many.images("a", range(4)))
    assert many.conditions == {"random_class": {"seed": 5, "num_classes": 10}}


def test_a_random_class_is_refused_by_a_model_without_classes(store: Store) -> None:
    for recipes in ((FakeRecipe("a", classes=None), FakeRecipe("b", weights=1)), (FakeRecipe("a", classes=None),) * 2):
        with pytest.raises(UsageError, match="a would ignore the class label"):
            compare(["a", recipes[1].id], zoo=FakeZoo(*recipes), store=store, conditions=RandomClasses(), **PIXELS)
    mixed = FakeZoo(FakeRecipe("a"), FakeRecipe("b", weights=1, classes=1000))
    with pytest.raises(UsageError, match="10 and 1000 classes"):
        run(mixed, store, conditions=RandomClasses())


def test_conditions_are_taken_in_turn_and_keep_their_noise_when_more_is_asked_for(store: Store, log: Path) -> None:
    labels = [Condition(class_label=label) for label in range(3)]
    few = run(two(log), store, num_samples=4, conditions=labels)
    many = run(two(log), store, num_samples=9, conditions=labels)
    assert logged(log) == 2 * 9
    assert np.array_equal(few.images("a", range(4)), many.images("a", range(4)))
    for i in range(9):
        own = FakeMap(FakeRecipe("a", weights=1))(NoiseBank(0).noise([i], SHAPE), [labels[i % 3]])
        assert np.abs(many.images("a", [i])[0] - (own[0].numpy() * 127.5 + 127.5)).max() <= 0.51
    assert many.conditions == {"in_turn": [{"class_label": label} for label in range(3)]}


# --- batches and memory ----------------------------------------------------------------------------------------------


def test_out_of_memory_halves_the_batch_goes_on_and_is_said(store: Store, log: Path) -> None:
    zoo = FakeZoo(FakeRecipe("a", weights=1, fail_above=20, log=log), FakeRecipe("b", weights=2))
    result = run(zoo, store, num_samples=130)
    assert result.models[0].smallest_batch_size == 16
    assert result.models[1].smallest_batch_size == 64
    assert max(map(int, log.read_text().split())) == 16
    assert any("Memory ran out for a at batches of 64" in warning for warning in result.warnings)
    again = run(zoo, store, num_samples=130)  # everything is there, and it is said all the same
    assert again.models[0].sampled == 0
    assert (again.models[0].smallest_batch_size, again.warnings) == (16, result.warnings)


def test_memory_for_not_even_one_image_is_a_sentence(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("a", fail_above=0), FakeRecipe("b", weights=2))
    with pytest.raises(PartialError, match="memory does not suffice for one image of a"):
        run(zoo, store)


def test_what_was_finished_before_memory_ran_out_is_kept(
    store: Store, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FakeMap.generate

    def failing(self: FakeMap, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        if logged(log) >= 40:
            raise torch.OutOfMemoryError("fake: out of memory")
        return real(self, noise, conditions)

    with monkeypatch.context() as patch:
        patch.setattr(FakeMap, "generate", failing)
        with pytest.raises(PartialError, match="finished images are kept"):
            run(two(log), store, batch_size=8, noise_floor=0)
    result = run(two(log), store, batch_size=8, noise_floor=0)
    assert result.models[0].reused == 40
    assert logged(log) == 2 * result.num_samples


def test_the_default_batch_depends_on_size_and_kind_of_device_alone() -> None:
    assert default_batch_size((3, 32, 32), "cpu") == default_batch_size((3, 64, 64), "cuda:1") == 64
    assert default_batch_size((3, 64, 64), "cpu") == 16
    assert default_batch_size((3, 512, 512), "cpu") == 1
    assert default_batch_size((3, 512, 512), "cuda") == 4


def test_batches_may_be_larger_than_a_shard(store: Store, log: Path) -> None:
    run(two(log), store, num_samples=300, batch_size=100)
    assert log.read_text().split()[:4] == ["100", "28", "100", "28"]  # shards of 128 rows


def test_the_noise_floor_is_zero_for_a_map_that_does_not_care_and_seen_for_one_that_does(store: Store) -> None:
    steady = run(two(), store, noise_floor=64)
    floor = found(steady, "max_abs", "repeat", a="a")
    assert (floor.a, floor.b, floor.count, floor.equal) == ("a", "a", 64, 64)
    assert (steady.side("a").batch_size, steady.side("a").other_batch_size) == (64, 21)
    assert (steady.score("rp", "a", "a", pairing="repeat").value, floor.score("max_abs").value) == (1.0, 0)
    drifting = run(two(drift=1e-4), store, noise_floor=64)
    floor = found(drifting, "max_abs", "repeat", a="a")
    assert floor.score("max_abs").value == 1  # 43 or 63 images more in a batch: 0.55 or 0.8 grey levels
    assert floor.equal < 64
    assert 0.3 < found(drifting, "mean_abs", "repeat", a="a").distribution.mean < 1


@pytest.mark.parametrize("count", [2, 16, 21, 22])
def test_the_noise_floor_of_few_noises_has_other_batches_too(store: Store, count: int) -> None:
    result = run(two(drift=0.02), store, num_samples=count, noise_floor=64)
    assert result.side("a").other_batch_size == max(1, count // 3)
    assert found(result, "max_abs", "repeat", a="a").equal == 0


@pytest.mark.parametrize("floor", [3, 66])
def test_the_noise_floor_is_measured_on_as_many_noises_as_were_asked_for(store: Store, floor: int) -> None:
    result = run(two(drift=1e-4), store, num_samples=70, noise_floor=floor)
    for measure in ("mean_abs", "similarity"):
        assert found(result, measure, "repeat", a="b").count == floor


def test_one_noise_has_no_noise_floor(store: Store) -> None:
    result = run(two(), store, num_samples=1, noise_floor=64)
    assert result.select(pairing="repeat") == []
    assert result.side("a").other_batch_size == 0


def test_a_drifting_model_whose_floor_is_below_one_is_said_to_be(store: Store) -> None:
    result = run(two(drift=2e-2), store, noise_floor=64)
    assert any("reproduces itself at another batch size for only" in warning for warning in result.warnings)


def test_a_task_can_be_sent_to_another_process(store: Store) -> None:
    setup = Setup(NoiseBank(0), range(4), conditions=InTurn((Condition(class_label=1),)), store=store)
    document = images_document(FakeRecipe(), setup, 4)
    task = ShardTask(FakeRecipe(), setup.noise, setup.conditions, store.root, document, 0, 4, 4)
    sent = pickle.loads(pickle.dumps(task))
    (done,) = LocalExecutor().run([sent])
    assert done.made == 4
    assert store.entry("images", document).rows(range(4)).shape == (4, *SHAPE)


def test_a_side_knows_its_sampling_time(store: Store) -> None:
    recipe = FakeRecipe(seconds_a_batch=0.02)
    (side,) = sample_models([recipe], ["a"], Setup(NoiseBank(0), range(10), store=store), repeats=[0])
    assert side.record.sampling_s >= 0.02
    assert math.isfinite(side.record.sampling_s)
