"""The phenomenon, in the models that ship; docs/tiny-zoo.md has it on 1,000 noises."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

import reprozoo
from reprozoo.cards import BundledSource, Registry
from reprozoo.results import Comparison, PairScores
from reprozoo.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.network]
NOISES = 48
CARDS = Registry([Path(__file__).parent.parent / "registry"]).models.values()
# Of the models that ship, those trained on all of CIFAR-10 without classes, by the shape of their noise.
UNCONDITIONAL = {
    shape: [
        card.id
        for card in CARDS
        if card.noise_shape == shape
        and card.num_classes is None
        and card.training.get("training_images") == 50_000
        and any(isinstance(source, BundledSource) for source in card.weights)
    ]
    for shape in [(3, 32, 32), (128,)]
}
DIFFUSION, LATENT = UNCONDITIONAL.values()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def compared(ids: list[str], store: Store) -> Comparison:
    return reprozoo.compare(ids, num_samples=NOISES, baselines=[], noise_floor=0, device="cpu", threads=1, store=store)


@pytest.fixture(scope="module")
def diffusion(store: Store) -> Comparison:
    return compared(DIFFUSION, store)


def shuffled(pair: PairScores) -> float:
    assert pair.shuffled is not None
    return pair.shuffled.rp.value


@pytest.mark.parametrize(("one", "other"), list(combinations(DIFFUSION, 2)))
def test_diffusion_models_agree_because_they_share_the_noise(diffusion: Comparison, one: str, other: str) -> None:
    pair = diffusion.pair(one, other)
    assert pair.rp.low > 0.8
    assert shuffled(pair) < 0.05
