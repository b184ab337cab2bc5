"""The text that names a map: an id, with a revision after an at sign and options after plus signs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from reprozoo.base.errors import UsageError

DTYPES = ("float32", "float16", "bfloat16")
WITH_VALUE = r"\+(?=[\w-]+=)"
WITH_VALUE_OR_BARE = r"\+(?=[\w-]+(?:=|$|\+[\w-]))"
DTYPE_ALIASES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


@dataclass(frozen=True)
class MapSpec:
    """A map spec taken apart; an option without a value is switched on.

    >>> MapSpec.parse("tiny-edm@abc+steps=50+compile").options
    {'steps': '50', 'compile': 'true'}
    """

    id: str
    revision: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> MapSpec:
        """Take ``text`` apart.

        Raises:
            UsageError: an empty id, a plus sign without an option, or an option given twice.
        """
        scheme = re.match(r"(?!hf:)[\w-]+:", text)
        # A value may end in plus signs (sampler=dpm-solver++), and what a scheme reads may have them anywhere.
        head, *parts = re.split(WITH_VALUE if scheme else WITH_VALUE_OR_BARE, text)
        if stray := None if scheme else re.search(r"\+.*", head):
            raise UsageError(f"{text!r}: expected +option=value, got {stray.group()}")
        target, _, revision = (head, "", "") if scheme else head.partition("@")
        if not target.strip():
            raise UsageError(f"{text!r} names no model; expected ID, ID@REVISION or ID+option=value")
        options: dict[str, str] = {}
        for part in parts:
            name, equals, value = part.partition("=")
            if name in options:
                raise UsageError(f"{text!r} gives the option {name!r} twice")
            options[name] = value if equals else "true"
        return cls(target, revision or None, options)

    @property
    def scheme(self) -> tuple[str, str] | None:
        """(scheme, target) of ``scheme:target``, else None."""
        prefix, colon, target = self.id.partition(":")
        return (prefix, target) if colon else None
