"""One record describes the options of families, samplers, operators and solvers; text and values go through it."""

from __future__ import annotations

import math

import pytest

from reprozoo.base.errors import UsageError
from reprozoo.base.options import Option


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (Option(int, ""), "50", 50),
        (Option(float, ""), "1e-3", 1e-3),
        (Option(bool, ""), "true", True),
        (Option(bool, ""), "Off", False),
        (Option(str, "", choices=("a", "b")), "b", "b"),
    ],
)
def test_options_parse(option: Option, text: str, value: object) -> None:
    assert option.parse("x", text) == value


@pytest.mark.parametrize(
    ("option", "text", "sentence"),
    [
        (Option(int, ""), "5.5", "x=5.5: expected a whole number"),
        (Option(float, ""), "many", "x=many: expected a number"),
        (Option(bool, ""), "maybe", "x=maybe: expected true or false"),
        (Option(str, "", choices=("a", "b")), "c", "x=c: expected one of a, b"),
        (Option(int, "", least=1), "0", "x=0: expected x to be at least 1"),
        (Option(float, "", above=0), "0", "x=0: expected x to be more than 0"),
        (Option(float, ""), "inf", "x=inf: expected a number"),
    ],
)
def test_options_refuse(option: Option, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        option.parse("x", text)


@pytest.mark.parametrize(
    ("option", "value", "kept"),
    [
        (Option(float, "", 1.0), 2, 2.0),
        (Option(float, ""), None, None),
        (Option(int, "", 3, least=3), 3, 3),
        (Option(float, "", 1.0, above=0), 1e-300, 1e-300),
        (Option("file", ""), "a.png", "a.png"),
    ],
)
def test_values_are_kept_in_the_kind_of_the_option(option: Option, value: object, kept: object) -> None:
    found = option.checked("sampler s", "x", value)
    assert (found, type(found)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        (Option(int, "", 3), 2.5, "sampler s: expected int for x, got 2.5"),
        (Option(int, "", 3), True, "sampler s: expected int for x, got True"),
        (Option(int, "", 3), None, "sampler s: expected int for x, got None"),
        (Option(bool, "", False), 1, "sampler s: expected bool for x, got 1"),
        (Option(str, "", "a", ("a", "b")), "c", "sampler s: expected x to be one of a, b, got 'c'"),
        (Option(float, "", 1.0), math.nan, "sampler s: expected x to be finite, got nan"),
        (Option(float, "", 1.0, above=0), 0.0, "sampler s: expected x to be more than 0 and finite, got 0"),
        (Option(int, "", 1, least=1), 0, "sampler s: expected x to be at least 1 and finite, got 0"),
    ],
)
def test_values_that_an_option_does_not_allow_are_sentences(option: Option, value: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        option.checked("sampler s", "x", value)
