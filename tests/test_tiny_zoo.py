"""The phenomenon, in the models that ship; docs/tiny-zoo.md has it on 1,000 noises."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

import reprozoo
from reprozoo.engine.result import Comparison, Score
from reprozoo.engine.store import Store
from reprozoo.zoo.cards import BundledSource, Registry

pytestmark = [pytest.mark.slow, pytest.mark.network]
SETTINGS: dict[str, Any] = {"num_samples": 48, "device": "cpu", "threads": 1}
CARDS = Registry([Path(__file__).parent.parent / "registry"]).models.values()


def shipped(training_images: int, *, of_vectors: bool = False) -> list[str]:
    """Models without classes that ship, and saw so many images: of noises like images, or of vectors."""
    return [
        card.id
        for card in CARDS
        if (card.noise_shape != card.image_shape) == of_vectors
        and card.num_classes is None
        and card.training.get("training_images") == training_images
        and any(isinstance(source, BundledSource) for source in card.weights)
    ]


DIFFUSION, MEMORIZING = shipped(50_000), shipped(64)
GANS_AND_VAES = shipped(50_000, of_vectors=True)
BETWEEN = shipped(512)
REGAINED = {count: shipped(count) for count in (4_096, 32_768)}
HALVES = shipped(25_000)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def compared(ids: list[str], store: Store) -> Comparison:
    return reprozoo.compare(ids, baselines=[], noise_floor=0, store=store, **SETTINGS)


@pytest.fixture(scope="module")
def diffusion(store: Store) -> Comparison:
    return compared(DIFFUSION, store)


def rp(comparison: Comparison, one: str, other: str, pairing: str = "same") -> Score:
    return comparison.score("rp", one, other, pairing=pairing)


def shuffled(comparison: Comparison, one: str, other: str) -> float:
    return rp(comparison, one, other, "shuffled").value


def gl(found: Comparison) -> Score:
    return found.select(measure="similarity", pairing="nearest")[0].score("gl")


def similarities(found: Comparison, pairing: str) -> NDArray[Any]:
    values = found.select(measure="similarity", pairing=pairing)[0].values
    assert values is not None
    return values[0]


def low(score: Score) -> float:
    assert score.low is not None
    return score.low


def high(score: Score) -> float:
    assert score.high is not None
    return score.high


@pytest.mark.parametrize(("one", "other"), list(combinations(DIFFUSION, 2)))
def test_diffusion_models_agree_because_they_share_the_noise(diffusion: Comparison, one: str, other: str) -> None:
    assert low(rp(diffusion, one, other)) > 0.8
    assert shuffled(diffusion, one, other) < 0.05


@pytest.mark.parametrize(("one", "other"), list(combinations(GANS_AND_VAES, 2)))
def test_gans_and_vaes_do_not_agree_though_they_share_the_noise(one: str, other: str, store: Store) -> None:
    assert high(rp(compared([one, other], store), one, other)) < 0.2


@pytest.mark.parametrize(("one", "other"), list(combinations(HALVES, 2)))
def test_models_of_disjoint_halves_are_nearer_to_each_other_than_to_what_they_saw(
    one: str, other: str, store: Store
) -> None:
    in_pixels: dict[str, Any] = {"descriptor": "pixels", "store": store, **SETTINGS}  # SSCD of the halves takes long
    pair = reprozoo.compare([one, other], baselines=[], noise_floor=0, **in_pixels)
    with_other = similarities(pair, "same")
    for model in (one, other):
        found = reprozoo.generalize(model, **in_pixels)
        assert found.data["count"] == 25_000
        assert found.score("memorization").value < 0.1
        assert (with_other > similarities(found, "nearest")).all()


@pytest.mark.parametrize(("one", "other"), list(combinations(HALVES, 2)))
def test_models_of_disjoint_halves_agree_because_they_share_the_noise(one: str, other: str, store: Store) -> None:
    found = compared([one, other], store)
    assert low(rp(found, one, other)) > 0.8
    assert shuffled(found, one, other) < 0.05


@pytest.mark.parametrize("model", MEMORIZING)
def test_a_model_of_64_images_copies_them_as_their_optimal_denoiser_does(model: str, store: Store) -> None:
    found = reprozoo.generalize(model, store=store, **SETTINGS)
    assert found.data["count"] == 64
    assert gl(found).value < 0.1
    assert found.score("memorization").value > 0.9
    optimal = f"theory-empirical+data=recipe-data+split={model}"
    pair = compared([model, optimal], store)
    assert low(rp(pair, model, optimal)) > shuffled(pair, model, optimal)


@pytest.mark.parametrize("model", BETWEEN)
def test_a_model_of_512_images_copies_less_than_one_of_its_width_of_64(model: str, store: Store) -> None:
    of_64 = model.replace("512", "64")
    assert of_64 in MEMORIZING
    less = reprozoo.generalize(model, store=store, **SETTINGS)
    assert less.data["count"] == 512
    assert low(gl(less)) > high(gl(reprozoo.generalize(of_64, store=store, **SETTINGS)))
    assert high(gl(less)) < 1  # and yet some are copies


@pytest.mark.parametrize(("one", "other"), list(combinations(MEMORIZING, 2)))
def test_two_models_of_64_images_copy_the_same_one_because_they_share_the_noise(
    one: str, other: str, store: Store
) -> None:
    found = compared([one, other], store)
    assert low(rp(found, one, other)) > 0.2
    assert shuffled(found, one, other) < 0.1


@pytest.mark.parametrize("count", REGAINED)
def test_models_of_many_images_agree_again_with_each_other_and_with_the_one_that_made_them(
    count: int, store: Store
) -> None:
    assert len(REGAINED[count]) == 2
    trained = compared([*REGAINED[count], "tiny-edm"], store)
    assert len(trained.model_pairs()) == 3
    for one, other in trained.model_pairs():
        assert low(rp(trained, one, other)) > 0.8
        assert shuffled(trained, one, other) < 0.05
    for model in REGAINED[count]:
        of_512 = model.replace(f"n{count}", "n512")
        assert of_512 in BETWEEN
        lost = compared([of_512, "tiny-edm"], store)
        assert low(rp(trained, model, "tiny-edm")) > high(rp(lost, of_512, "tiny-edm"))
