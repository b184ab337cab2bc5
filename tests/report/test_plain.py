"""JSON values as a person reads them."""

from __future__ import annotations

from typing import Any

import pytest

from reprozoo.report.plain import one_line, rows_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (1.0, "1"),
        (True, "true"),
        ({"a": 1, "b": [1, 2]}, "a = 1, b = [1, 2]"),
        ([{"a": 1}, "b"], "a = 1; b"),
        ({"deep": {"er": "é"}}, 'deep = {"er": "é"}'),
    ],
)
def test_one_line(value: Any, text: str) -> None:
    assert one_line(value) == text


def test_rows_leave_out_what_says_nothing() -> None:
    values = {"noise_shape": [3, 32, 32], "empty": "", "none": None, "zero": 0, "list": [], "off": False}
    assert rows_of(values) == [("noise shape", "3×32×32"), ("zero", "0"), ("off", "false")]
