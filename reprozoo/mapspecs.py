"""The text that names a map: an id, with a revision after an at sign and options after plus signs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from reprozoo.errors import UsageError

DTYPES = ("float32", "float16", "bfloat16")
DTYPE_ALIASES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


@dataclass(frozen=True)
class MapSpec:
    """A map spec taken apart.

    >>> MapSpec.parse("tiny-edm@abc+steps=50").options
    {'steps': '50'}
    """

    id: str
    revision: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> MapSpec:
        """Take ``text`` apart.

        Raises:
            UsageError: an empty id, or an option that is not ``name=value`` or is given twice.
        """
        head, *parts = re.split(r"\+(?=[\w-]+=)", text)  # a value may end in plus signs: sampler=dpm-solver++
        scheme = ":" in head and not head.startswith("hf:")
        if unfinished := None if scheme else re.search(r"\+[\w-]*", head):
            parts.insert(0, unfinished.group()[1:])
            head = head[: unfinished.start()]
        target, _, revision = (head, "", "") if scheme else head.partition("@")
        if not target.strip():
            raise UsageError(f"{text!r} names no model; expected ID, ID@REVISION or ID+option=value")
        options: dict[str, str] = {}
        for part in parts:
            name, equals, value = part.partition("=")
            unfinished = re.search(r"\+[\w-]+$", value)
            if not equals or unfinished:
                came = unfinished.group() if unfinished else f"+{part}"
                raise UsageError(f"{text!r}: expected +option=value, got {came}")
            if name in options:
                raise UsageError(f"{text!r} gives the option {name!r} twice")
            options[name] = value
        return cls(target, revision or None, options)

    @property
    def scheme(self) -> tuple[str, str] | None:
        """(scheme, target) of ``scheme:target``, else None."""
        prefix, colon, target = self.id.partition(":")
        return (prefix, target) if colon else None
