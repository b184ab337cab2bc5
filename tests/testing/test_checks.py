"""Every check passes on a map that keeps its promise, and fails on one that breaks exactly that."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest
import torch

from reprozoo.base.errors import UsageError
from reprozoo.maps.condition import Condition
from reprozoo.maps.contract import NoiseToImageMap
from reprozoo.testing import (
    BATCH,
    CHECKS,
    DENOISER_CHECKS,
    MAP_CHECKS,
    CheckResult,
    Subject,
    assert_denoiser_contract,
    assert_map_contract,
    run_checks,
)
from tests import toys
from tests.testing import broken

IN_A_FRESH_PROCESS = ("spawn", "offline", "memory")


def by_status(results: list[CheckResult], status: str) -> dict[str, str]:
    return {result.name: result.detail for result in results if result.status == status}


@pytest.mark.parametrize(
    "target", [toys.Toy(), toys.ToyClasses(), toys.ToyDenoiser(), broken.UsesPrompt(), broken.UsesObservation()]
)
def test_a_sound_map_passes(target: NoiseToImageMap) -> None:
    results = run_checks(target)
    assert [result.name for result in results] == list(CHECKS)
    assert by_status(results, "failed") == {}
    skipped = by_status(results, "skipped")
    assert {*IN_A_FRESH_PROCESS, "licence"} <= set(skipped)
    assert ("uses-condition" in skipped) == (not target.accepts)
    assert set(DENOISER_CHECKS) & set(skipped) == (
        set() if isinstance(target, toys.ToyDenoiser) else set(DENOISER_CHECKS)
    )
    assert all(result.seconds > 0 for result in results)


@pytest.mark.parametrize(
    ("target", "check", "sentence"),
    [
        (toys.WrongShape, "images", r"returned \(3, 1, 4, 4\) where its contract says images of shape \(3, 3, 4, 4\)"),
        (toys.OutOfRange, "images", "a map clamps its images itself"),
        (toys.NotFinite, "images", "NaN or infinite pixels"),
        (broken.Raises, "images", "RuntimeError: the network is broken"),
        (broken.WholeNumbers, "images", r"generate returned torch\.int64; images are floating-point"),
        (broken.Remembers, "determinism", r"two runs on the same noise differ by up to 0\.01"),
        (broken.CountsBatch, "batch-size", r"alone and in a batch of 3 differ by 0\.02 \(limit 0\.002\)"),
        (broken.ByPosition, "permutation", "permuted noises give images that differ by 0"),
        (broken.IgnoresNoise, "uses-noise", "the map ignores its noise"),
        (broken.IgnoresClass, "uses-condition", "two different values of the class label give the same image"),
        (broken.IgnoresPrompt, "uses-condition", "two different values of the prompt give the same image"),
        (broken.IgnoresObservation, "uses-condition", "two different values of the observation give the same image"),
        (broken.WritesNoise, "noise-unmodified", "wrote into the noise it was given"),
        (broken.DRAWS["torch"], "global-generators", "draws from or seeds the global random generator of torch;"),
        (broken.DRAWS["torch seeded"], "global-generators", "draws from or seeds the global random generator of torch"),
        (broken.DRAWS["NumPy"], "global-generators", "draws from or seeds the global random generator of NumPy;"),
        (broken.DRAWS["Python"], "global-generators", "draws from or seeds the global random generator of Python;"),
        (broken.ReadsSeed, "global-generators", "depend on the seed of a global random generator"),
        (broken.WrongNfe, "network-evaluations", "declares nfe = 3, called its denoiser 7 times"),
        (broken.SinglePrecision, "denoiser-dtype", r"made torch\.float32 \(3, 3, 4, 4\): another type"),
        (broken.NotFiniteAtTheTop, "denoiser-range", "NaN or infinity at sigma = 100"),
        (broken.StageOfTheFirst, "denoiser-rows", r"beside rows of other sigmas, differs by 0\.1"),
        (broken.Detached, "denoiser-gradient", "no gradient reaches x"),
        (broken.HalfDetached, "denoiser-gradient", "rises by 0.0384., the gradient says 0.0192.: a part is detached"),
        (broken.LeaksGradient, "denoiser-gradient", "a row's gradient reaches other rows"),
        (broken.WritesSigma, "denoiser-inputs", "the denoiser wrote into sigma"),
    ],
)
def test_each_check_alone_catches_what_it_is_for(
    target: Callable[[], NoiseToImageMap], check: str, sentence: str
) -> None:
    failed = by_status(run_checks(target()), "failed")
    assert list(failed) == [check]
    assert re.search(sentence, failed[check])


def test_estimates_of_another_shape() -> None:
    (result,) = run_checks(broken.AnotherShape(), checks=["denoiser-dtype"])
    assert result.status == "failed"
    assert result.detail.endswith("made torch.float64 (3, 1, 3, 4, 4): another shape")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_generator_of_a_gpu_is_watched() -> None:
    failed = by_status(run_checks(broken.DRAWS["CUDA"]()), "failed")
    assert list(failed) == ["global-generators"]
    assert "generator of CUDA;" in failed["global-generators"]


def test_global_generators_are_put_back() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run_checks(broken.DRAWS["torch"](), checks=["global-generators"])
    assert torch.equal(torch.rand(3), expected)


def test_without_images_the_other_checks_say_so_once() -> None:
    results = run_checks(broken.Raises())
    assert set(by_status(results, "skipped")) == set(CHECKS) - {"images"}
    assert results[1].detail == "the map gives no images: the first check that failed says why"


def test_a_recipe_is_sent_to_a_fresh_process() -> None:
    results = run_checks(broken.ToyRecipe(), checks=MAP_CHECKS)
    assert by_status(results, "failed") == {}
    assert set(by_status(results, "skipped")) == {"uses-condition", "network-evaluations"}
    assert by_status(results, "ok")["spawn"] == "a fresh process differs by 0/255"
    assert by_status(results, "ok")["licence"] == "MIT"


@pytest.mark.parametrize(
    ("make", "check", "sentence"),
    [
        (broken.AtHome, "spawn", "makes other images of the same noise: they differ by 0."),
        (broken.asks_the_network, "offline", "it asks the network for 127.0.0.1:9 while it is loaded or run"),
        pytest.param(
            broken.keeps_its_tensor, "memory", "there stays 1 of its 1 tensors, 192 bytes", marks=pytest.mark.slow
        ),
    ],
)
def test_a_fresh_process_tells(
    make: Callable[[], NoiseToImageMap], check: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(broken.HOME_PROCESS, str(os.getpid()))
    failed = by_status(run_checks(broken.ToyRecipe(make)), "failed")
    assert list(failed) == [check]
    assert sentence in failed[check]


def test_a_recipe_that_cannot_be_pickled() -> None:
    results = run_checks(broken.ToyRecipe(lambda: toys.Toy()))
    assert list(by_status(results, "failed")) == ["spawn"]
    assert "the recipe cannot be pickled" in by_status(results, "failed")["spawn"]
    assert by_status(results, "skipped")["offline"] == "the recipe does not reach a fresh process; see spawn"


@pytest.mark.parametrize(
    ("licence", "status", "sentence"),
    [
        ("CC-BY-4.0", "ok", "CC-BY-4.0"),
        (" ", "failed", "the card states no licence"),
        ("unknown (code MIT)", "skipped", "the card says: unknown (code MIT)"),
    ],
)
def test_licence(licence: str, status: str, sentence: str) -> None:
    (result,) = run_checks(broken.ToyRecipe(licence=licence), checks=["licence"])
    assert result.status == status
    assert sentence in result.detail


def test_memory_of_a_function() -> None:
    def outcome(make: Callable[[], NoiseToImageMap]) -> CheckResult:
        return run_checks(make, checks=["memory"])[0]

    assert outcome(broken.ToyBias).status == "ok"
    kept = outcome(broken.keeps_its_tensor)
    assert kept.status == "failed"
    assert "there stays 1 of its 1 tensors, 192 bytes: something still refers to it" in kept.detail
    one = broken.ToyBias()
    assert outcome(lambda: one).detail.startswith("the function returns the same map each time")


def test_a_function_is_called_when_a_check_needs_it() -> None:
    made = []

    def make() -> NoiseToImageMap:
        made.append(toys.Toy())
        return made[-1]

    subject = Subject(make)
    assert subject.name.endswith("make")
    assert not made
    results = run_checks(subject, checks=["images", "determinism"])
    assert [result.status for result in results] == ["ok", "ok"]
    assert len(made) == 1
    assert "returned int where a NoiseToImageMap was expected" in run_checks(lambda: 3, checks=["images"])[0].detail


def test_asserting() -> None:
    assert_map_contract(toys.ToyDenoiser())
    assert_denoiser_contract(toys.ToyDenoiser())
    with pytest.raises(AssertionError, match="the map breaks its contract: uses-noise: two different noises give"):
        assert_map_contract(broken.IgnoresNoise())
    assert_map_contract(broken.Detached())
    with pytest.raises(AssertionError, match="the denoiser breaks its contract: denoiser-gradient: no gradient"):
        assert_denoiser_contract(broken.Detached())
    with pytest.raises(AssertionError, match="no check of the denoiser could be run: the map has no denoiser"):
        assert_denoiser_contract(toys.Toy())


def test_conditions_of_ones_own() -> None:
    labels = [Condition(class_label=label) for label in (7, 7, 9)]
    assert by_status(run_checks(toys.ToyClasses(), labels), "failed") == {}
    with pytest.raises(UsageError, match=f"expected {BATCH} conditions, one for each sample of a check, got 2"):
        run_checks(toys.ToyClasses(), labels[:2])
    wrong = by_status(run_checks(toys.Toy(), labels), "failed")
    assert "would ignore the class label" in wrong["images"]


def test_what_cannot_be_checked_is_a_sentence() -> None:
    with pytest.raises(
        UsageError, match=r"no check is called 'determinsm' \(did you mean 'determinism'\?\); there are"
    ):
        run_checks(toys.Toy(), checks=["determinsm"])
    with pytest.raises(UsageError, match=r"expected a map, a map spec, a recipe or a function .* got int"):
        run_checks(3)  # type: ignore[arg-type]
    results = run_checks("no-such-model")
    assert list(by_status(results, "failed")) == ["images"]
    assert "no-such-model" in results[0].detail
