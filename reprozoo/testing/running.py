"""The table of checks, and how they are run: one by one, each with its own outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from reprozoo.base.errors import ReprozooError, UsageError, did_you_mean
from reprozoo.maps.condition import Condition
from reprozoo.testing import denoiser_checks as denoiser
from reprozoo.testing import map_checks as images
from reprozoo.testing import recipe_checks as recipe
from reprozoo.testing.generators import check_global_generators
from reprozoo.testing.results import CheckFailed, CheckResult, CheckSkipped
from reprozoo.testing.subject import Subject, Target

Check = Callable[[Subject], str]
S = TypeVar("S")

_IMAGE_CHECKS: dict[str, Check] = {
    "images": images.check_images,
    "determinism": images.check_determinism,
    "batch-size": images.check_batch_size,
    "permutation": images.check_permutation,
    "uses-noise": images.check_uses_noise,
    "uses-condition": images.check_uses_condition,
    "noise-unmodified": images.check_noise_unmodified,
    "global-generators": check_global_generators,
    "network-evaluations": images.check_network_evaluations,
}
_RECIPE_CHECKS: dict[str, Check] = {
    "spawn": recipe.check_spawn,
    "offline": recipe.check_offline,
    "memory": recipe.check_memory,
    "licence": recipe.check_licence,
}
DENOISER_CHECKS: Mapping[str, Check] = {
    "denoiser-dtype": denoiser.check_denoiser_dtype,
    "denoiser-range": denoiser.check_denoiser_range,
    "denoiser-rows": denoiser.check_denoiser_rows,
    "denoiser-gradient": denoiser.check_denoiser_gradient,
    "denoiser-inputs": denoiser.check_denoiser_inputs,
}
MAP_CHECKS: Mapping[str, Check] = {**_IMAGE_CHECKS, **_RECIPE_CHECKS}
# Those of the recipe come last: they let go of the map, so that it is not in memory twice.
CHECKS: Mapping[str, Check] = {**_IMAGE_CHECKS, **DENOISER_CHECKS, **_RECIPE_CHECKS}


def run_checks(
    target: Target | Subject, conditions: Sequence[Condition] | None = None, *, checks: Iterable[str] | None = None
) -> list[CheckResult]:
    """Run the checks on a map and say how each came out; a check that fails does not keep the next from running.

    Args:
        target: a map, a map spec, a recipe, or a function without arguments that returns a map.
        conditions: ``BATCH`` conditions for its samples; by default class labels 0, 1, 2 or a prompt each where the
            map needs them.
        checks: names out of ``CHECKS``; all by default.

    Raises:
        UsageError: a check that does not exist, or a target that is none of these.
    """
    return list(iter_checks(target, conditions, checks=checks))


def iter_checks(
    target: Target | Subject, conditions: Sequence[Condition] | None = None, *, checks: Iterable[str] | None = None
) -> Iterator[CheckResult]:
    """As ``run_checks``, each result as soon as it is there."""
    subject = target if isinstance(target, Subject) else Subject(target, conditions)
    for name in chosen_checks(checks):
        yield run_check(name, CHECKS[name], subject)


def assert_map_contract(target: Target, conditions: Sequence[Condition] | None = None) -> None:
    """Run ``MAP_CHECKS`` and name every one that fails.

    Args:
        target, conditions: as ``run_checks`` takes them. Of a map given as an object nothing is checked that needs its
            recipe (spawn, offline, memory, licence); give a spec or a recipe for these.

    Raises:
        AssertionError: a check failed.
    """
    assert_kept("map", run_checks(target, conditions, checks=MAP_CHECKS))


def assert_denoiser_contract(target: Target, conditions: Sequence[Condition] | None = None) -> None:
    """Run ``DENOISER_CHECKS`` and name every one that fails; a map without a denoiser fails.

    Raises:
        AssertionError: a check failed, or the map is no ``DenoiserMap``.
    """
    results = run_checks(target, conditions, checks=DENOISER_CHECKS)
    if all(result.status == "skipped" for result in results):
        raise CheckFailed(f"no check of the denoiser could be run: {results[0].detail}")
    assert_kept("denoiser", results)


def chosen_checks(names: Iterable[str] | None, known: Mapping[str, Any] = CHECKS) -> list[str]:
    """The names, in the order of the checks that are known; all of them for None.

    Raises:
        UsageError: there is no check of a name.
    """
    wanted = list(known) if names is None else list(names)
    for name in wanted:
        if name not in known:
            raise UsageError(f"no check is called {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}")
    return [name for name in known if name in wanted]


def assert_kept(what: str, results: Sequence[CheckResult]) -> None:
    """Raise ``CheckFailed`` with the sentence of every check that failed."""
    failed = [f"{result.name}: {result.detail}" for result in results if not result.ok]
    if failed:
        raise CheckFailed(f"the {what} breaks its contract: {'; '.join(failed)}")


def run_check(name: str, check: Callable[[S], str], subject: S) -> CheckResult:
    """One check and how it came out, whatever it raised."""
    started = time.perf_counter()

    def result(status: str, detail: str) -> CheckResult:
        return CheckResult(name, status, detail, time.perf_counter() - started)  # type: ignore[arg-type]

    try:
        return result("ok", check(subject))
    except CheckSkipped as reason:
        return result("skipped", str(reason))
    except (CheckFailed, ReprozooError) as error:
        return result("failed", str(error))
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        return result("failed", f"{type(error).__name__}: {error}")
