"""Every check of the contract passes on a map that keeps it and fails on one that breaks exactly that."""

from __future__ import annotations

import pytest

from reprozoo.maps import NoiseToImageMap
from reprozoo.testing import CHECKS, assert_map_contract, run_checks
from tests import toys


@pytest.mark.parametrize("target", [toys.Toy(), toys.ToyClasses(), toys.ToyDenoiser()])
def test_a_sound_map_passes_every_check(target: NoiseToImageMap) -> None:
    results = run_checks(target)
    assert [result.name for result in results] == list(CHECKS)
    assert all(result.ok for result in results), results


@pytest.mark.parametrize(
    ("broken", "check", "sentence"),
    [
        (toys.WrongShape, "shape and range", "returned"),
        (toys.OutOfRange, "shape and range", "clamps"),
        (toys.NotFinite, "shape and range", "NaN"),
        (toys.Raises, "shape and range", "RuntimeError: the network is broken"),
        (toys.Forgetful, "determinism", "two runs on the same noise differ"),
        (toys.MixesBatch, "batch independence", "alone and in a batch"),
        (toys.ByPosition, "permutation", "permuted"),
        (toys.IgnoresNoise, "uses its noise", "ignores its noise"),
        (toys.WritesNoise, "noise not modified", "wrote into the noise"),
        (toys.DrawsTorch, "global generators", "draws from a global random generator"),
        (toys.DrawsPython, "global generators", "draws from a global random generator"),
        (toys.WrongNfe, "network evaluations", "declares nfe = 3, called its denoiser 7 times"),
    ],
)
def test_each_check_catches_what_it_is_for(broken: type[NoiseToImageMap], check: str, sentence: str) -> None:
    result = {result.name: result for result in run_checks(broken())}[check]
    assert not result.ok
    assert sentence in result.detail


def test_assert_map_contract_names_the_broken_check() -> None:
    assert_map_contract(toys.Toy())
    with pytest.raises(AssertionError, match="uses its noise: two different noises give the same image"):
        assert_map_contract(toys.IgnoresNoise())
