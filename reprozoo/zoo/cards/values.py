"""What a card may say where a type alone says too little; ``reprozoo.base.records`` checks it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

UNKNOWN: Literal["unknown"] = "unknown"  # written out in a card where nobody knows; an empty string is not the same

Count = Annotated[int, Meta(ge=0, description="a non-negative whole number")]
Positive = Annotated[int, Meta(gt=0)]
Name = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9._@-]*\Z", description="lower-case letters, digits, dots, dashes and underscores"),
]
Sha256 = Annotated[
    str,
    Meta(pattern=r"^([0-9a-f]{64}|unknown)\Z", description='64 lower-case hexadecimal digits or "unknown"'),
]
Commit = Annotated[
    str,
    Meta(pattern=r"^([0-9a-f]{40}|unknown)\Z", description='40 lower-case hexadecimal digits or "unknown"'),
]
RelativePath = Annotated[
    str,
    Meta(
        pattern=r"^(?!/)(?!(.*/)?\.\.(/|\Z))[^\\]*\Z",
        description="a path with forward slashes that does not leave its package",
    ),
]
Shape = Annotated[
    tuple[Positive, ...], Meta(min_length=1, description="a list of positive whole numbers, e.g. [3, 32, 32]")
]
ImageShape = Annotated[
    tuple[Positive, Positive, Positive], Meta(description="channels, height and width, e.g. [3, 32, 32]")
]
