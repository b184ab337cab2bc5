"""docs/write-a-plugin.md as a list of things to do, in its own order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.plugin_kit.environments import ROOT, Environment

PAGE = ROOT / "docs" / "write-a-plugin.md"
BLOCK = re.compile(
    r"(?:^(?P<add>Add to )?`(?P<path>[^`\n]+)`:\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Step:
    """A file to write or to add to, where ``path`` is set; else commands ("sh") or something to read ("text")."""

    language: str
    text: str
    path: str = ""
    add: bool = False

    def follow(self, environment: Environment) -> None:
        """Do it in the environment's folder for work."""
        if self.path:
            file = environment.work / self.path
            file.parent.mkdir(parents=True, exist_ok=True)
            before = file.read_text(encoding="utf-8") + "\n\n" if self.add else ""
            file.write_text(before + self.text, encoding="utf-8")
        elif self.language == "sh":
            environment.shell(self.text)


def steps(page: Path = PAGE) -> Iterator[Step]:
    """Every block of code of the page."""
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Step(found["language"], found["text"], found["path"] or "", bool(found["add"]))
