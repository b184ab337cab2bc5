"""Checks that maps and measures keep their contract: for the tests of a plugin, and behind ``reprozoo check ID``.

    from reprozoo.testing import parametrize_with_checks

    @parametrize_with_checks(["my-model"])
    def test_contract(check):
        check()

makes one pytest case of every check in ``CHECKS``; ``assert_map_contract`` and ``assert_denoiser_contract`` run them
all in one test, ``run_checks`` gives the results as data. A map may be given as a spec, as a recipe, as a function that
makes one, or as an object; what needs a recipe is skipped, with a sentence, where there is none. Without a line of
Python, the pytest plugin does the same: ``pytest --reprozoo-map my-model`` (``reprozoo.pytest_plugin``).

Measures have checks of their own, ``MEASURE_CHECKS``: ``parametrize_measure_checks("my_measure")`` makes cases of them,
``check_measure`` runs them all in one test, ``run_measure_checks`` gives the results as data.

Randomise all parameters of a test network first: many networks start with a last layer of zeros, and then every
comparison passes.
"""

from reprozoo.testing.measure_running import MEASURE_CHECKS, check_measure, run_measure_checks
from reprozoo.testing.measure_subject import MeasureSubject
from reprozoo.testing.parametrize import BoundCheck, parametrize_measure_checks, parametrize_with_checks
from reprozoo.testing.results import CheckFailed, CheckResult, CheckSkipped
from reprozoo.testing.running import (
    CHECKS,
    DENOISER_CHECKS,
    MAP_CHECKS,
    assert_denoiser_contract,
    assert_map_contract,
    iter_checks,
    run_checks,
)
from reprozoo.testing.subject import BATCH, Subject

__all__ = [
    "BATCH",
    "CHECKS",
    "DENOISER_CHECKS",
    "MAP_CHECKS",
    "MEASURE_CHECKS",
    "BoundCheck",
    "CheckFailed",
    "CheckResult",
    "CheckSkipped",
    "MeasureSubject",
    "Subject",
    "assert_denoiser_contract",
    "assert_map_contract",
    "check_measure",
    "iter_checks",
    "parametrize_measure_checks",
    "parametrize_with_checks",
    "run_checks",
    "run_measure_checks",
]
