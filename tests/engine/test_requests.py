"""What must not be believed, and what cannot be carried out: each a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reprozoo import compare
from reprozoo.base.devices import resolve_device
from reprozoo.base.errors import ContractError, IntegrityError, UsageError
from reprozoo.engine.store import Store
from reprozoo.maps.condition import Condition
from reprozoo.measures.descriptors import Descriptor
from tests.fakes import FakeRecipe, FakeZoo, found, logged, run, two

# --- what must not be believed ---------------------------------------------------------------------------------------


def test_the_same_tensors_in_a_file_of_ones_own_are_a_warning(store: Store) -> None:
    """As after a conversion: other bytes, the same images."""
    zoo = FakeZoo(FakeRecipe("a", weights=1), FakeRecipe("b", weights=1, claimed_weights=2, source="local"))
    result = run(zoo, store)
    assert any("the same tensors were saved twice, or one was not run" in warning for warning in result.warnings)


def test_canary_one_models_images_under_anothers_name_are_an_error(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("a", weights=1), FakeRecipe("b", weights=1, claimed_weights=2))
    with pytest.raises(IntegrityError, match="the same weights twice"):
        run(zoo, store)


def test_canary_two_models_in_one_store_do_not_agree(store: Store) -> None:
    result = run(two(), store)
    assert not np.array_equal(result.images("a", range(70)), result.images("b", range(70)))


def test_the_same_weights_under_two_names_are_said_to_be_the_same(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("a", weights=1), FakeRecipe("b", weights=1, options={"steps": 9}))
    result = run(zoo, store)
    assert any("have the same weights; their images are bit-identical" in warning for warning in result.warnings)
    zoo = FakeZoo(FakeRecipe("a", weights=1), FakeRecipe("b", weights=1, same=0.8))
    assert "a and b have the same weights." in run(zoo, store).warnings


def test_equal_weights_under_options_of_one_card_are_no_warning(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("m", weights=1, card="m"), FakeRecipe("m+steps=9", weights=1, same=0.8, card="m"))
    assert not any("same weights" in warning for warning in run(zoo, store).warnings)
    zoo = FakeZoo(FakeRecipe("m", weights=1, card="m"), FakeRecipe("m+new=1", weights=1, options={"new": 1}, card="m"))
    assert any("what differs in their options has no effect" in warning for warning in run(zoo, store).warnings)


class Blind(Descriptor):
    """Sees the same in every image."""

    id, dim = "blind", 2

    def identity(self) -> dict[str, Any]:
        return {"id": self.id}

    def describe(self, images_u8: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0]]).repeat(len(images_u8), 1)


def test_a_descriptor_that_finds_everything_alike_is_warned_about(store: Store) -> None:
    result = run(two(), store, descriptor=Blind())
    assert any("images of different noises count as the same in 100.0 % of cases" in w for w in result.warnings)


def test_similarities_at_the_threshold_and_few_noises_are_warned_about(store: Store) -> None:
    result = run(two(), store, num_samples=20)
    assert any("Only 20 noises" in warning for warning in result.warnings)
    values = found(result).values
    assert values is not None
    at = run(two(), store, num_samples=20, threshold=float(values[0, 3]))
    assert any("1 noise has its value within rounding of the threshold of rp[" in warning for warning in at.warnings)
    assert at.score("rp").near == 1


# --- requests that cannot be carried out -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"num_samples": 0}, "num_samples: expected a whole number from 1 to 10,000,000, got 0"),
        ({"num_samples": 10**9}, "num_samples: expected a whole number from 1 to 10,000,000, got 1,000,000,000"),
        ({"seed": -1}, "seed: expected a whole number from 0"),
        ({"batch_size": 0}, "batch_size: expected a whole number of at least 1, got 0"),
        ({"noise_floor": -1}, "noise_floor: expected a whole number of at least 0, got -1"),
        ({"descriptor": "pixel"}, "did you mean 'pixels'"),
        ({"threshold": 1.0}, "a threshold of similarity is from -1 to below 1, got 1"),
        ({"threshold": {"rp": -1.5}}, "a threshold of rp is from -1 to below 1"),
        ({"threshold": {"mae": 0.0}}, "a threshold of mae is above 0 and at most 255, got 0"),
        ({"threshold": {"mae": 256}}, "above 0 and at most 255"),
        ({"threshold": {"simlarity": 0.5}}, "did you mean 'similarity'"),
        ({"threshold": {"psnr": 20}}, "nothing called 'psnr' has a threshold"),
        ({"threshold": {"nothing": 1}}, "these have: .*rp.* mae"),
        ({"measures": ["similarty"]}, "no measure is called 'similarty' .did you mean 'similarity'"),
        ({"threads": 0}, "at least one thread"),
        ({"device": "cuda:99"}, "cannot be used"),
        ({"noise": "nowhere.npy"}, "there is no file"),
        ({"conditions": Condition(prompt="a cat")}, "would ignore the prompt"),
        ({"baselines": ["nobody"]}, "no model is called"),
    ],
)
def test_bad_requests_are_sentences_and_nothing_is_sampled(
    store: Store, log: Path, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        run(two(log), store, **change)
    assert logged(log) == 0


def test_one_model_is_no_comparison(store: Store) -> None:
    for sides in (["a"], "a", {"a": "a"}):
        with pytest.raises(UsageError, match=r"compare takes two or more models; .*: generalize, got 1"):
            compare(sides, zoo=two(), store=store)


def test_models_of_different_shapes_are_not_compared(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("a"), FakeRecipe("b", shape=(3, 16, 16)))
    with pytest.raises(UsageError, match="a and b cannot be compared: the noise shape of one is 3×8×8"):
        run(zoo, store)


def test_work_that_does_not_fit_on_the_disk_is_refused_before_it_begins(
    store: Store, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(UsageError, match="GB are free"):
        run(two(log), store)
    assert logged(log) == 0


def test_whatever_a_plugin_raises_becomes_a_sentence(store: Store) -> None:
    zoo = FakeZoo(FakeRecipe("a", error="tensor on the\nwrong device"), FakeRecipe("b", weights=2))
    with pytest.raises(ContractError, match="a failed on noises 0 to 63: RuntimeError: tensor on the wrong device"):
        run(zoo, store)
    assert not list(store.root.rglob("*.lease"))


def test_auto_is_a_device_that_is_there() -> None:
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
