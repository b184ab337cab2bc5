"""What became of each plugin, and what it registered."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any

LONGEST_ERROR = 500  # characters of a foreign message that one line has room for


@dataclass
class PluginRecord:
    """What became of one entry point.

    Attributes:
        status: "ok", "broken", "disabled" or "incompatible".
        provides: kind of registration -> names, e.g. {"families": ["edm"]}.
        hooks: the hooks it implements.
        error: one line, unless the status is "ok".
        warnings: what it uses that ends with the next minor release.
        import_s: seconds its import took.
    """

    name: str
    target: str
    distribution: str
    version: str
    status: str = "ok"
    provides: dict[str, list[str]] = field(default_factory=dict)
    hooks: list[str] = field(default_factory=list)
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    import_s: float = 0.0

    @classmethod
    def of(cls, point: EntryPoint) -> PluginRecord:
        """The record of an entry point before anything became of it."""
        dist = getattr(point, "dist", None)
        origin = (dist.name, dist.version) if dist is not None else ("unknown", "unknown")
        return cls(point.name, point.value, *origin)

    def provenance(self, gave: str) -> dict[str, str]:
        """Name, distribution and version, as results record it, and what it gave, e.g. "family edm"."""
        return {"name": self.name, "distribution": self.distribution, "version": self.version, "gave": gave}

    def sentence(self) -> str:
        """What became of it, as part of a sentence: "plugin edm is broken (ImportError: …)"."""
        return f"plugin {self.name} is {self.status}" + (f" ({self.error})" if self.error else "")


@dataclass(frozen=True)
class Registered:
    """One registration with the plugin it came from."""

    value: Any
    plugin: PluginRecord


def one_line(error: BaseException) -> str:
    """The last line of a traceback, however many lines its message has, cut where it is endless."""
    text = " ".join(str(error).split())
    shown = text if len(text) <= LONGEST_ERROR else text[:LONGEST_ERROR] + "…"
    return f"{type(error).__name__}: {shown}" if text else type(error).__name__
