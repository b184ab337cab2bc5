"""What makes a map usable by others: it loads elsewhere and offline, it goes when it is let go, it may be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprozoo.maps.contract import NoiseToImageMap
from reprozoo.testing.fresh_process import Report
from reprozoo.testing.map_checks import BATCH_TOLERANCE, STEPS_OF_8_BIT
from reprozoo.testing.memory import kept_after_release
from reprozoo.testing.results import CheckFailed, CheckSkipped, expect
from reprozoo.testing.subject import Subject, largest_gap
from reprozoo.zoo.cards import UNKNOWN

if TYPE_CHECKING:
    from reprozoo.engine.executors import Recipe


def check_spawn(subject: Subject) -> str:
    """The recipe reaches a new process, which loads it and makes the same images."""
    _recipe(subject)
    report = subject.fresh_process()
    if report.error and report.reached_for:
        raise CheckSkipped(f"it does not load without the network ({report.reached_for[0]}); see offline")
    expect(not report.error, f"in a fresh process: {report.error}")
    gap = _gap(subject, report)
    expect(gap <= BATCH_TOLERANCE, f"a fresh process makes other images of the same noise: they differ by {gap:.3g}")
    return f"a fresh process differs by {gap * STEPS_OF_8_BIT:.2g}/255"


def check_offline(subject: Subject) -> str:
    """Once its weights are here, the map is loaded and run without asking the network for anything."""
    report = _answered(subject)
    hosts = list(dict.fromkeys(report.reached_for))
    expect(
        not hosts, f"it asks the network for {', '.join(hosts)} while it is loaded or run, though its files are here"
    )
    if report.error:
        raise CheckSkipped("it does not run in a fresh process; see spawn")
    return "no host was asked for"


def check_memory(subject: Subject) -> str:
    """When the map is let go, it and its tensors are gone."""
    if isinstance(subject.target, NoiseToImageMap):
        raise CheckSkipped("the map was given as an object, which its owner keeps; give a spec, a recipe or a function")
    if subject.recipe is None:
        kept = _kept_here(subject)
    else:
        report = _answered(subject)
        if report.error:
            raise CheckSkipped("it does not run in a fresh process; see spawn")
        kept = report.kept
    expect(not kept, f"after the map is let go there stays {' and '.join(kept)}: something still refers to it")
    return "nothing stays"


def check_licence(subject: Subject) -> str:
    """The card says under which licence the weights may be used."""
    card = getattr(_recipe(subject), "card", None)
    if card is None:
        raise CheckSkipped("the recipe has no card")
    licence = str(card.licence).strip()
    expect(bool(licence), 'the card states no licence: an SPDX name or a sentence, or "unknown" where nobody says')
    if licence.lower().startswith(UNKNOWN):
        raise CheckSkipped(f"the card says: {licence}")
    return licence


def _recipe(subject: Subject) -> Recipe:
    if subject.recipe is None:
        how = "an object" if isinstance(subject.target, NoiseToImageMap) else "a function"
        raise CheckSkipped(f"the map was given as {how}; give a spec or a recipe, which has a card and can be sent")
    return subject.recipe


def _answered(subject: Subject) -> Report:
    """The report of the fresh process.

    Raises:
        CheckSkipped: there is no recipe, or no report; the check of spawning says why.
    """
    _recipe(subject)
    try:
        return subject.fresh_process()
    except CheckFailed as error:
        raise CheckSkipped("the recipe does not reach a fresh process; see spawn") from error


def _gap(subject: Subject, report: Report) -> float:
    assert report.images is not None
    return largest_gap(subject.images, report.images)


def _kept_here(subject: Subject) -> list[str]:
    """As in a fresh process, for a function."""
    noise, conditions = subject.noise(), subject.conditions
    subject.release()
    if subject.fresh() is subject.fresh():
        raise CheckSkipped("the function returns the same map each time, and keeps it; make one in the function")
    return kept_after_release(subject.fresh, noise, conditions)[1]
