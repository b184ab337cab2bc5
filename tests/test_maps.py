"""The contract of a map, and the sentences that meet whoever breaks it."""

from __future__ import annotations

import pytest
import torch

from reprozoo.base.errors import ContractError, IntegrityError, UsageError
from reprozoo.maps.condition import Condition
from reprozoo.maps.noise.bank import NoiseBank
from tests import toys

NOISE = NoiseBank(0).noise(range(3), toys.SHAPE)


def test_images_are_float32_in_range() -> None:
    images = toys.Toy()(NOISE)
    assert images.dtype == torch.float32
    assert images.shape == (3, *toys.SHAPE)
    assert float(images.abs().max()) <= 1


@pytest.mark.parametrize(
    ("broken", "error", "sentence"),
    [
        (toys.WrongShape, ContractError, r"returned \(3, 1, 4, 4\) where its contract says"),
        (toys.OutOfRange, ContractError, r"pixel values up to .* clamps its images itself"),
        (toys.NotFinite, IntegrityError, "NaN or infinite pixels.*--dtype float32"),
    ],
)
def test_a_broken_map_is_named(broken: type[toys.Toy], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        broken()(NOISE)


@pytest.mark.parametrize(
    ("noise", "sentence"),
    [
        (NOISE.double(), "expected float32 noise"),
        (NOISE[:, :, :2], r"takes noise of shape \(batch, 3, 4, 4\), got \(3, 3, 2, 4\)"),
        (torch.full_like(NOISE, torch.inf), "NaN or infinity"),
    ],
)
def test_bad_noise_is_refused(noise: torch.Tensor, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        toys.Toy()(noise)


@pytest.mark.parametrize(
    ("target", "conditions", "sentence"),
    [
        (toys.Toy(), [Condition(class_label=1)] * 3, "would ignore the class label"),
        (toys.Toy(), [Condition(prompt="a cat")] * 3, "would ignore the prompt"),
        (toys.Toy(), [Condition()] * 2, "one condition for each of 3 noises, got 2"),
        (toys.ToyClasses(), None, "needs a class label"),
        (toys.ToyClasses(), [Condition(class_label=10)] * 3, "class label 10 is out of range.*0 to 9"),
        (toys.ToyClasses(), [Condition(class_label=-1)] * 3, "class label -1 is out of range"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(
    target: toys.Toy, conditions: list[Condition] | None, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        target(NOISE, conditions)


def test_conditions_reach_their_row() -> None:
    labels = [Condition(class_label=label) for label in (0, 5, 9)]
    images = toys.ToyClasses()(NOISE, labels)
    expected = torch.tanh(0.5 * NOISE + torch.tensor([0.0, 0.5, 0.9]).reshape(-1, 1, 1, 1))
    torch.testing.assert_close(images, expected)


def test_condition_as_json_holds_what_is_given() -> None:
    assert Condition().to_json() == {}
    assert Condition(prompt="a cat", class_label=3).to_json() == {"prompt": "a cat", "class_label": 3}


def test_denoiser_map_counts_its_sampler() -> None:
    assert toys.ToyDenoiser(steps=18).nfe == 35


def test_gradients_stay_out_of_a_call() -> None:
    noise = NOISE.clone().requires_grad_()
    assert not toys.Toy()(noise).requires_grad
