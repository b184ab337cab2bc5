"""The sentences say what the numbers say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reprozoo.engine.results import Comparison
from reprozoo.report import words
from tests.report import made_results as made


def pair_of(flags: list[bool], shuffled: list[bool], gaussians: tuple[list[bool], ...] = ()) -> Comparison:
    """A comparison whose RP score is the share of ``flags``, and so on."""
    images = made.pictures(len(flags))
    result = made.comparison({"a": images, "b": images[::-1].copy()}, baseline=images if gaussians else None)
    (pair,) = result.pairs
    assert pair.shuffled is not None
    crossed = replace(pair.shuffled, rp=made.proportion(np.array(shuffled)))
    pair = replace(pair, rp=made.proportion(np.array(flags)), shuffled=crossed, identical=0)
    result = replace(result, pairs=[pair])
    if not gaussians:
        return result
    (baseline,) = result.baselines
    against = [
        replace(other, rp=made.proportion(np.array(values)))
        for other, values in zip(baseline.pairs, gaussians, strict=True)
    ]
    return replace(result, baselines=[replace(baseline, pairs=against)])


def share(percent: int, count: int = 100) -> list[bool]:
    return [i < percent * count // 100 for i in range(count)]


@pytest.mark.parametrize(
    ("value", "text"), [(0.8834, "88.3 %"), (1.0, "100 %"), (0.0, "0 %"), (0.9999, "99.9+ %"), (0.0001, "<0.1 %")]
)
def test_all_and_nothing_are_said_only_of_all_and_nothing(value: float, text: str) -> None:
    assert words.percent(value) == text


def test_agreement_from_the_noise() -> None:
    said = words.verdicts(pair_of(share(88), share(0)))
    assert said[0].startswith("From the same noise, a and b make the same image for 88.0 % of 100 noises")
    assert "80.2 – 93.0 %" in said[0]  # Wilson for 88 of 100
    assert said[1] == "With mismatched noise it is 0 %: the agreement comes from sharing the noise."


def test_no_reproducibility_where_shuffled_is_as_high() -> None:
    said = words.verdicts(pair_of(share(50), share(48)))
    assert said[1] == "With mismatched noise it is 48.0 %: no clear difference, so no reproducibility is shown."


def test_no_conclusion_from_the_gaussian_baseline_without_reproducibility() -> None:
    said = words.verdicts(pair_of(share(2), share(1), (share(98), share(0))))
    assert said[2] == "Against the Gaussian theory of the training data, a 98.0 % and b 0 %."


@pytest.mark.parametrize(
    ("gaussians", "text"),
    [
        ((share(95), share(92)), "may be that of the Gaussian solution"),
        ((share(64), share(98)), "part of the agreement"),
        ((share(10), share(12)), "is not that of the Gaussian solution"),
    ],
)
def test_gaussian_baseline(gaussians: tuple[list[bool], ...], text: str) -> None:
    said = words.verdicts(pair_of(share(88), share(0), gaussians))
    assert text in said[2]


def test_another_baseline_is_no_gaussian_theory() -> None:
    result = pair_of(share(88), share(0), (share(95), share(92)))
    (baseline,) = result.baselines
    card = baseline.run.description["card"] | {"family": "edm"}
    run = replace(baseline.run, description=baseline.run.description | {"card": card})
    said = words.verdicts(replace(result, baselines=[replace(baseline, run=run)]))
    assert len(said) == 2
    assert "Gaussian" not in " ".join(said)


def test_no_conclusion_from_the_gaussian_baseline_without_a_shuffled_one() -> None:
    result = pair_of([False], [False], ([False], [False]))
    (pair,) = result.pairs
    said = words.verdicts(replace(result, pairs=[replace(pair, shuffled=None)]))
    assert said[1:] == ["Against the Gaussian theory of the training data, a 0 % and b 0 %."]


def test_identical_images() -> None:
    images = made.pictures(12)
    said = words.verdicts(made.comparison({"a": images, "b": images}))
    assert said[0] == "a and b make bit-identical images from all 12 noises."


def test_several_models() -> None:
    images = made.pictures(60)
    near = made.blended(images, made.pictures(60, seed=1))
    unrelated = made.pictures(60, seed=9)
    said = words.verdicts(made.comparison({"a": images, "b": near, "c": unrelated}))
    assert "two of these 3 models" in said[0]
    assert "(a and b)" in said[0]
    assert said[2].startswith("2 of 3 pairs cannot be told from mismatched noise: ")


def test_several_models_of_which_no_two_agree() -> None:
    unrelated = {name: made.pictures(60, seed=seed) for seed, name in enumerate("abc")}
    said = words.verdicts(made.comparison(unrelated))
    assert said[0].endswith("two of these 3 models make the same image for 0 % of them, whichever two.")


def test_copies_of_the_training_set() -> None:
    train = made.pictures(40)
    assert words.gl_verdict(made.generalization(train[:10], train)).startswith("0 % of 10 images by tiny-edm are new")
    unrelated = made.generalization(made.pictures(10, seed=9), train)
    assert unrelated.gl.value > 0.5
    assert f"{words.percent(unrelated.gl.value)} of 10 images" in words.gl_verdict(unrelated)
    twins = made.generalization(train[:10], np.concatenate([train, train[:10]]))
    assert "Of training images, 40.0 % have a near-copy among the others." in words.gl_verdict(twins)
    assert "near-copy among the others" not in words.gl_verdict(replace(twins, train_gl=None))  # of an older file
    new = replace(unrelated, gl=made.proportion(np.ones(10, bool)))
    assert "): none is a near-copy of one of 40 training images." in words.gl_verdict(new)


def test_note_of_the_descriptor() -> None:
    images = made.pictures(4)
    result = made.comparison({"a": images, "b": images})
    assert words.descriptor_note(result) == ""
    noted = replace(result, descriptor=result.descriptor | {"note": "scores lie lower than the paper's"})
    assert words.descriptor_note(noted) == "Scores lie lower than the paper's."
