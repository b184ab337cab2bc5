"""Records: what a table says, or a sentence with the file, the table and the key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from reprozoo.base.errors import UsageError
from reprozoo.base.records import read_record, shown

Even = Annotated[int, Meta(multiple_of=2, description="an even number")]


@dataclass(frozen=True)
class Sampler:
    name: Literal["heun", "euler"]
    steps: int
    rho: float = 7.0
    seed: Even | None = None


@dataclass(frozen=True)
class Shape:
    @staticmethod
    def read_as(table: Mapping[str, Any]) -> tuple[type, Mapping[str, Any]]:
        if table.get("kind") != "square":
            raise UsageError('the kind must be "square"')
        return Square, {key: value for key, value in table.items() if key != "kind"}


@dataclass(frozen=True)
class Square(Shape):
    side: float

    def __post_init__(self) -> None:
        if self.side <= 0:
            raise UsageError("a side must be longer than 0")


@dataclass(frozen=True, kw_only=True)
class Model:
    id: str
    samplers: tuple[Sampler, ...] = ()
    by_name: dict[str, Sampler] = field(default_factory=dict)
    listed: list[Sampler] | None = None
    sampler: Sampler | None = None
    shape: tuple[int, int] = (1, 1)
    tags: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    drawn: Shape | None = None
    anything: Mapping[str, Any] = field(default_factory=dict)
    count: int | Literal["unknown"] = "unknown"
    either: int | str | None = None
    evens: tuple[Even, ...] = ()
    chain: Annotated[tuple[Sampler, ...], Meta(description="samplers in their order")] = ()
    home: str = "here"


HEUN = {"name": "heun", "steps": 18}


def read(**table: Any) -> Model:
    return read_record(Model, {"id": "m", **table}, "m.toml", given={"home": "there"})


def test_everything_is_converted():
    heun = Sampler("heun", 18)
    found = read(
        samplers=[HEUN], by_name={"a": HEUN}, listed=[HEUN, HEUN], sampler={**HEUN, "rho": 3, "seed": 2}, shape=[2, 3],
        tags=["a"], counts={"a": 1}, drawn={"kind": "square", "side": 2}, anything={"b": [{}]}, count=4, either="x",
        evens=[2, 4], chain=[HEUN],
    )  # fmt: skip
    assert found == Model(
        id="m", samplers=(heun,), by_name={"a": heun}, listed=[heun, heun], sampler=Sampler("heun", 18, 3.0, 2),
        shape=(2, 3), tags=("a",), counts={"a": 1}, drawn=Square(2.0), anything={"b": [{}]}, count=4, either="x",
        evens=(2, 4), chain=(heun,), home="there",
    )  # fmt: skip
    assert isinstance(found.sampler.rho, float)
    assert read(sampler=None, listed=None) == Model(id="m", home="there")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"tag": []}, "m.toml: there is no key \"tag\" here (did you mean 'tags'?)"),
        ({"xyz": 1}, 'm.toml: there is no key "xyz" here; known are id, samplers, by_name'),
        ({"home": "x"}, 'm.toml: there is no key "home" here'),
        ({"id": 3}, "m.toml: id: expected a text, got 3"),
        ({"sampler": 3}, "m.toml: sampler: expected a table, got 3"),
        ({"sampler": {"name": "heun"}}, 'm.toml: [sampler]: the key "steps" is missing'),
        ({"sampler": {**HEUN, "stps": 1}}, "m.toml: [sampler]: there is no key \"stps\" here (did you mean 'steps'?)"),
        ({"sampler": {**HEUN, "steps": "many"}}, 'm.toml: [sampler] steps: expected a whole number, got "many"'),
        ({"sampler": {**HEUN, "steps": True}}, "m.toml: [sampler] steps: expected a whole number, got true"),
        ({"sampler": {**HEUN, "steps": 1.0}}, "m.toml: [sampler] steps: expected a whole number, got 1.0"),
        ({"sampler": {**HEUN, "rho": "7"}}, 'm.toml: [sampler] rho: expected a number, got "7"'),
        ({"sampler": {**HEUN, "seed": 3}}, "m.toml: [sampler] seed: expected an even number, got 3"),
        ({"sampler": {**HEUN, "name": "x"}}, 'm.toml: [sampler] name: expected one of "heun", "euler", got "x"'),
        ({"samplers": HEUN}, "m.toml: samplers: expected a list of tables, got {"),
        (
            {"samplers": [HEUN, {**HEUN, "steps": None}]},
            "m.toml: [samplers.2] steps: expected a whole number, got null",
        ),
        ({"samplers": [1]}, "m.toml: [samplers] 1: expected a table, got 1"),
        ({"by_name": {"a": {**HEUN, "rho": []}}}, "m.toml: [by_name.a] rho: expected a number, got []"),
        ({"by_name": []}, "m.toml: by_name: expected a table of tables, got []"),
        ({"shape": [1, 2, 3]}, "m.toml: shape: expected a list of 2 whole numbers, got [1, 2, 3]"),
        ({"tags": "a"}, 'm.toml: tags: expected a list of texts, got "a"'),
        ({"counts": {"a": "b"}}, 'm.toml: counts: expected a table of whole numbers, got {"a": "b"}'),
        ({"count": "many"}, 'm.toml: count: expected a whole number or "unknown", got "many"'),
        ({"either": []}, "m.toml: either: expected a whole number or a text, got []"),
        ({"evens": [1]}, "m.toml: evens: expected a list of values, each an even number, got [1]"),
        ({"chain": 3}, "m.toml: chain: expected samplers in their order, got 3"),
        ({"chain": [{**HEUN, "steps": []}]}, "m.toml: [chain.1] steps: expected a whole number, got []"),
        ({"drawn": {"kind": "round"}}, 'm.toml: [drawn]: the kind must be "square"'),
        ({"drawn": {"kind": "square", "side": 0}}, "m.toml: [drawn]: a side must be longer than 0"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_place(table, says):
    with pytest.raises(UsageError, match="^" + re.escape(says)):
        read(**table)


def test_what_to_do_about_a_missing_key():
    with pytest.raises(UsageError, match=r'^m.toml: the key "id" is missing; write "unknown"$'):
        read_record(Model, {}, "m.toml", remedy='write "unknown"')
    with pytest.raises(UsageError, match=r"^m.toml: expected a table, got \[\]$"):
        read_record(Model, [], "m.toml")


def test_long_values_are_cut():
    assert len(shown("x" * 1000)) == 81
