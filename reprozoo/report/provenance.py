"""How a result came about, as rows of text: question, cards, digests, environment, and the command that repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reprozoo.base.errors import ReprozooError
from reprozoo.engine.question import Question
from reprozoo.engine.result import Comparison, SideRecord
from reprozoo.report.findings import REPEAT, Findings
from reprozoo.report.plain import Rows, rows_of

CARD_ROWS = (
    "title",
    "family",
    "licence",
    "paper",
    "table_row",
    "status_note",
    "training",
    "kernel",
    "network",
    "weights",
)


def command_of(comparison: Comparison) -> tuple[str, bool]:
    """The command line that makes the result again, and whether the question was about Python objects.

    The command is empty for objects, and for a question of another version.
    """
    question = dict(comparison.question)
    objects = bool(question.pop("objects", None))
    if objects or not question:
        return "", objects
    try:
        return Question.from_json(question).command(), False
    except ReprozooError:
        return "", False


def sections(comparison: Comparison) -> list[tuple[str, Rows]]:
    """Titled rows: one section a side, then question, noise, descriptors and environment."""
    found = Findings(comparison)
    descriptors = [
        ("Descriptor" if len(comparison.descriptors) == 1 else f"Descriptor {record.get('id', '')}", record)
        for record in comparison.descriptors
    ]
    titled: list[tuple[str, Any]] = [
        ("Question", {name: value for name, value in comparison.question.items() if name not in ("sides", "task")}),
        ("Noise", comparison.noise),
        ("Conditions", comparison.conditions),
        *descriptors,
        ("Data set", comparison.data),
        ("Environment", comparison.environment | {"seconds": round(comparison.elapsed_s, 1)}),
        ("Plugins", {plugin["name"]: _origin(plugin) for plugin in comparison.plugins}),
    ]
    tests = _tests(comparison)
    return [
        *((side.label, side_rows(side, found)) for side in comparison.of_role("model", "baseline")),
        *([("Do pairs differ? McNemar's exact test", tests)] if tests else []),
        *((title, rows_of(values)) for title, values in titled if values),
    ]


def side_rows(side: SideRecord, found: Findings) -> Rows:
    """Everything that decided the images of one side, for a list of terms."""
    known = dict(side.facts)
    card = known.pop("card", {})
    card_rows = {name: card[name] for name in CARD_ROWS if card.get(name) not in (None, "", [], {})}
    made = {
        "images": f"{side.sampled:,} made in {side.sampling_s:.1f} s, {side.reused:,} from the store"
        if side.batch_size
        else "",
        "batch size": _batch_size(side),
        "images sha256": side.images_sha256,
        "store key": side.images_key,
        "kept": "" if side.kept else "no: nothing proves what the object is",
        "noise floor": _noise_floor(side, found),
    }
    return rows_of(card_rows | known | made)


def _batch_size(side: SideRecord) -> str:
    if not side.batch_size:
        return ""
    if side.batch_size == side.smallest_batch_size or not side.smallest_batch_size:
        return str(side.batch_size)
    return f"{side.batch_size}, down to {side.smallest_batch_size} where memory ran out"


def _noise_floor(side: SideRecord, found: Findings) -> str:
    """What repeating a side at another batch size gave."""
    columns = [(c, s) for c in found.columns if (s := found.score(c, REPEAT, side.label, side.label)) is not None]
    if not columns:
        return ""
    scores = ", ".join(f"{column.title} {column.with_unit(score.value)}" for column, score in columns)
    pixels = [m for m in found.measured(REPEAT, side.label, side.label) if found.facts[m.measure].descriptor is None]
    equal = f"; {max(m.equal for m in pixels):,} of {pixels[0].count:,} images bit-equal" if pixels else ""
    return f"at batch sizes {side.batch_size} and {side.other_batch_size}: {scores}{equal}"


def _origin(plugin: Mapping[str, Any]) -> str:
    gave = ", ".join(plugin.get("gave", ()))
    return f"{plugin.get('distribution')} {plugin.get('version')}" + (f": {gave}" if gave else "")


def _tests(comparison: Comparison) -> Rows:
    return [
        (
            f"{test.score}: {' × '.join(test.first)} against {' × '.join(test.second)}",
            f"p = {test.p_value:.3g} ({test.only_first:,} noises that the first pair alone reproduces, "
            f"{test.only_second:,} that the second alone does)",
        )
        for test in comparison.tests
    ]
