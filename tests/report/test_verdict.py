"""What a report says of every kind of side and score; no two of its sentences contradict each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reprozoo import score
from reprozoo.engine.result import Comparison, Measurement
from reprozoo.report.findings import Findings
from reprozoo.report.verdict import relation, says_little, verdicts, within_floor
from tests.fakes import FakeRecipe, FakeZoo, some_images
from tests.report.runs import Runs, changed

FROM_NOISE = "comes from sharing the noise"
GAUSSIAN = "Gaussian"


def with_score(m: Measurement, **changes: Any) -> Measurement:
    """The headline of a measurement changed."""
    return replace(m, scores=[replace(m.scores[0], **changes), *m.scores[1:]])


def shuffled_at(result: Comparison, value: float) -> Comparison:
    """A descriptor that finds images of different noises alike this often."""
    ends = {"value": value, "low": value * 0.8, "high": min(1.0, value * 1.2)}
    return changed(result, lambda m: with_score(m, **ends), measure="similarity", pairing="shuffled")


def share_at(result: Comparison, value: float) -> Comparison:
    ends = {"value": value, "low": max(0.0, value - 0.05), "high": min(1.0, value + 0.05)}
    return changed(result, lambda m: with_score(m, **ends), measure="similarity", pairing="same", a="a", b="b")


def gaussian_at(result: Comparison, value: float) -> Comparison:
    return changed(
        result, lambda m: with_score(m, value=value), measure="similarity", pairing="same", a="theory-gaussian"
    )


def rounding(runs: Runs) -> Comparison:
    """Two models that differ by no more than each does from itself at another batch size."""
    models = (FakeRecipe(name, weights=1, same=0.9, drift=drift) for name, drift in (("a", 2e-3), ("c", 2.001e-3)))
    return runs.compare(*(replace(model, claimed_weights=k) for k, model in enumerate(models)))


def twice(runs: Runs) -> Comparison:
    return runs.compare(FakeRecipe("a", weights=1), FakeRecipe("c", weights=1, claimed_weights=1, source="local"))


def part_of(result: Comparison) -> Comparison:
    return replace(result, data=result.data | {"part": True})


def unknown(result: Comparison) -> Comparison:
    return replace(result, data=result.data | {"is_training_set": False, "trained_on": "unknown"})


CASES: dict[str, tuple[Callable[[Runs], Comparison], list[str], list[str]]] = {
    # case: result, what is said, what is not
    "two models": (
        lambda runs: runs.two,
        ["From the same noise, a and b make images that count as the same (similarity > 0.9) for 100 % of 37 noises",
         "they differ by 9.59 of 255 on average (median PSNR 26.6 dB)",
         "With mismatched noise it is 0 %: the agreement comes from sharing the noise.",
         "Against the Gaussian theory of the training data, a has 0 % and b 0 %: far below"],
        ["make the same image", "training images"],
    ),
    "two models, little agreement": (
        lambda runs: share_at(runs.two, 0.3),
        ["for 30.0 % of 37 noises (95 % interval 25.0 – 35.0 %)",
         "what agreement there is comes from sharing the noise"],
        [],
    ),
    "two models, no agreement": (
        lambda runs: share_at(runs.two, 0.0),
        ["With mismatched noise it is 0 %. The share does not show it, but images are nearer on the same noise: mean "
         "|Δ| 9.59 of 255 (", "49.17 of 255", "on mismatched noise."],
        [FROM_NOISE, "so the agreement", "no clear difference", "too few"],
    ),
    "a descriptor that finds everything alike": (
        lambda runs: shuffled_at(runs.two, 0.375),
        ["This descriptor finds images of different noises alike in 37.5 % of cases, so the share alone cannot show "
         "agreement.",
         "By mean |Δ|: 9.59 of 255", "on the same noise, 49.17 of 255"],
        [FROM_NOISE, "the agreement is not that", "part of the agreement"],
    ),
    "as near to the Gaussian solution": (
        lambda runs: gaussian_at(runs.two, 1.0),
        ["no less than against each other, so the agreement may be that of the Gaussian solution"], [],
    ),
    "half of it may be the Gaussian solution": (
        lambda runs: gaussian_at(runs.two, 0.6), ["part of the agreement is closeness to the Gaussian solution"], [],
    ),
    "a model and its variant": (
        lambda runs: runs.variant,
        ["Between a and a+steps=9, one model in two settings, images move: mean |Δ| 2.87 of 255 (",
         "above what rounding does (0.00 of 255)", "They count as the same (similarity > 0.9) for 100 %"],
        [GAUSSIAN, "make the same image", FROM_NOISE],
    ),
    "no more than rounding": (
        rounding,
        ["From the same noise, a and c make the same image for 100 %", "which is what rounding does"],
        ["count as the same"],
    ),
    "bit-identical": (
        twice, ["a and c make bit-identical images from all 37 noises."], [FROM_NOISE, GAUSSIAN, "rounding"],
    ),
    "bit-identical, whatever the noise": (
        lambda runs: shuffled_at(twice(runs), 0.9),
        ["make bit-identical images", "alike in 90.0 % of cases, so the share alone cannot show agreement"],
        [FROM_NOISE],
    ),
    "several models": (
        lambda runs: runs.three,
        ["Of 37 noises, two of these 3 models make images that count as the same (similarity > 0.9) for 0 % (",
         "to 100 % (a and b)", "Mean |Δ|: 9.59 of 255 (a and b) to 36.50 of 255",
         "With mismatched noise, the highest of any pair is 0 %.",
         "For 2 of 3 pairs the share does not show it, but images are nearer on the same noise than on mismatched "
         "noise, by mean |Δ|: a and a-name"],
        ["make the same image", GAUSSIAN, "cannot be told"],
    ),
    "several models, a descriptor that finds everything alike": (
        lambda runs: shuffled_at(runs.three, 0.2),
        ["For 3 of 3 pairs images of different noises are found alike in more than 5.0 % of cases"],
        [FROM_NOISE, "the highest of any pair", "cannot be told from"],
    ),
    "settings of one model": (
        lambda runs: runs.compare(*(FakeRecipe(f"a+steps={k}", weights=1, same=k / 10) for k in (7, 8, 9))),
        ["two of these 3 settings of one model make"], [GAUSSIAN],
    ),
    "images made elsewhere": (
        lambda runs: runs.folders,
        ["Paired by index, the images of before and after count as the same (similarity > 0.9) for 0 % of 12 images",
         "With other images it is 0 %: too few images to tell (12)."],
        ["same noise", FROM_NOISE, GAUSSIAN],
    ),
    "a model and its training images": (
        lambda runs: runs.copying,
        ["75.0 % of 20 images by a are new (95 % interval 53.1 – 88.8 %): the others are near-copies of one of the 35 "
         "training images (similarity > 0.9).",
         "Among the training images themselves, 0 % have a near-copy", "25.0 % are copies (memorization)"],
        ["these", "not looked at"],
    ),
    "a model and other images": (
        lambda runs: runs.elsewhere,
        ["None of 20 images by a has a near-copy among these 15 images (similarity > 0.9).",
         "They are not the images that its card names (made train); whether it copies those was not looked at."],
        [" new", "the training images", "the 15 training images", "memorization"],
    ),
    "other images that it copies": (
        lambda runs: runs.searched(runs.copies, training="made", images_sha256="0" * 64),
        ["25.0 % of 20 images by a (95 % interval 11.2 – 46.9 %) have a near-copy among these 35 images",
         "Among these images themselves", "was not looked at"],
        [" new", "the training images"],
    ),
    "a part of its training images": (
        lambda runs: part_of(runs.copying),
        ["among these 35 images", "They are a part of its training images; the others were not looked at."], [" new"],
    ),
    "a model of unknown training": (
        lambda runs: unknown(runs.elsewhere), ["Whether the model was trained on them is not known."], [" new"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_said(runs: Runs, case: str) -> None:
    make, said, unsaid = CASES[case]
    text = " ".join(verdicts(make(runs)))
    for part in said:
        assert part in text
    for part in unsaid:
        assert part not in text


@pytest.mark.parametrize("case", CASES)
def test_no_two_sentences_contradict_each_other(runs: Runs, case: str) -> None:
    result = CASES[case][0](runs)
    found, text = Findings(result), " ".join(verdicts(result))
    if any(says_little(found, pair) for pair in found.pairs):
        assert FROM_NOISE not in text
    if "make the same image" in text:
        assert all(within_floor(found, pair) for pair in found.pairs)
    if any(relation(*map(result.side, pair)) != "models" for pair in found.pairs):
        assert GAUSSIAN not in text
    if result.data and not (result.data["is_training_set"] and not result.data.get("part")):
        assert "are new" not in text
        assert "of the training images" not in text


def test_a_warning_about_another_descriptor_changes_no_verdict(runs: Runs) -> None:
    """One descriptor tells noises apart and one does not: the sentences are about the first alone."""
    result = runs.two_descriptors
    shuffled = result.select(pairing="shuffled", a="a", b="b")
    assert {m.scores[0].value for m in shuffled if "similarity" in m.measure} == {0.0, 1.0}
    assert any("says little" in warning for warning in result.warnings)
    text = " ".join(verdicts(result))
    assert FROM_NOISE in text
    assert "cannot show agreement" not in text


def test_a_warning_about_a_longer_name_changes_no_verdict(runs: Runs) -> None:
    result = replace(runs.two, warnings=["a+steps=9 × b2: … so rp[pixels@32, >0.9] says little about these images"])
    assert verdicts(result) == verdicts(runs.two)


def test_one_noise_is_one(runs: Runs) -> None:
    result = runs.compare(
        FakeRecipe("a", weights=1), FakeRecipe("b", weights=2, same=0.8), num_samples=1, noise_floor=0
    )
    text = " ".join(verdicts(result))
    assert "for 100 % of 1 noise " in text
    assert "1 noises" not in text


def test_what_any_two_models_have_is_said_of_any_two(runs: Runs) -> None:
    result = runs.compare(
        *(FakeRecipe(name, weights=1, same=0.9 - k / 100, claimed_weights=k) for k, name in enumerate("abc"))
    )
    text = " ".join(verdicts(result))
    assert (
        "Of 37 noises, any two of these 3 models make images that count as the same (similarity > 0.9) for 100 %."
        in text
    )
    assert "whichever" not in text


def test_what_many_images_do_not_show_is_not_reproducible(runs: Runs) -> None:
    images = {"before": some_images(120, seed=4), "after": some_images(120, seed=5)}
    result = score(images, zoo=FakeZoo(), store=runs.store, descriptor="pixels", progress=False)
    assert "no clear difference, so no reproducibility is shown" in " ".join(verdicts(result))


def test_pairs_that_nothing_tells_from_mismatched_noise(runs: Runs) -> None:
    result = runs.three
    for m in result.select(pairing="same", a="b", b="a-name-that-is-rather-long"):
        shuffled = result.select(measure=result.facts(m.measure).name, pairing="shuffled", a=m.a, b=m.b)[0]
        result = replace(
            result, measurements=[replace(shuffled, pairing="same") if one is m else one for one in result.measurements]
        )
    text = " ".join(verdicts(result))
    assert (
        "1 of 3 pairs cannot be told from mismatched noise: b and a-name-that-is-rather-long; 37 noises may be too few "
        "to tell."
    ) in text
    assert "For 1 of 3 pairs the share does not show it" in text


def test_a_warning_of_the_engine_and_the_verdict_agree(runs: Runs) -> None:
    """Models that ignore their noise: everything is alike, and nothing is said to come from the noise."""
    result = runs.compare(FakeRecipe("a", weights=1, same=0.0), FakeRecipe("b", weights=1, same=0.02))
    assert any("says little" in warning for warning in result.warnings)
    text = " ".join(verdicts(result))
    assert "cannot show agreement" in text
    assert FROM_NOISE not in text


def test_truth_is_compared_by_the_measures_that_are_taken_of_it(runs: Runs) -> None:
    """A reference beside two models, as problems bring it."""
    result = runs.two
    truth = replace(result.side("theory-gaussian"), label="truth", role="reference")
    moved = [replace(m, a=m.b, b="truth") if m.a == "theory-gaussian" else m for m in result.measurements]
    sides = [truth if side.label == "theory-gaussian" else side for side in result.sides]
    text = " ".join(verdicts(replace(result, sides=sides, measurements=moved)))
    assert "Median PSNR to the truth: a 18.0 dB, b 18.1 dB." in text
    assert GAUSSIAN not in text


def test_an_empty_result_says_nothing(runs: Runs) -> None:
    assert verdicts(replace(runs.two, measurements=[])) == []


def test_a_share_of_what_differs_is_said_as_such(runs: Runs) -> None:
    """A stranger's share may count the farther side."""
    specs = list(runs.two.measures[0].scores)
    assert specs[0].kind == "share_above"
    specs[0] = replace(specs[0], kind="share_not_above", higher_is_closer=False)
    measures = [replace(runs.two.measures[0], scores=specs), *runs.two.measures[1:]]
    counted = replace(runs.two, measures=measures)
    result = changed(
        counted, lambda m: with_score(m, value=0.0, low=0.0, high=0.1), measure="similarity", pairing="same"
    )
    result = changed(
        result, lambda m: with_score(m, value=1.0, low=0.9, high=1.0), measure="similarity", pairing="shuffled"
    )
    text = " ".join(verdicts(result))
    assert "images that count as different (similarity ≤ 0.9) for 0 %" in text
    assert "With mismatched noise it is 100 %: the agreement comes from sharing the noise." in text


def test_of_one_image_it_is_not_said_that_all_are_equal() -> None:
    image = some_images(1)
    said = verdicts(score({"mine": image, "theirs": image}, descriptor="pixels"))
    assert said[0] == "The images of mine and theirs are bit-identical."
