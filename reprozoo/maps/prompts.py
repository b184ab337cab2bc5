"""Prompts from a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reprozoo.base.errors import UsageError
from reprozoo.base.records import read_record
from reprozoo.maps.condition import Condition
from reprozoo.maps.conditions import InTurn

FORMATS = 'one prompt a line, or JSON: ["a cat", …], {"id": "a cat", …} or [{"id": "…", "prompt": "a cat"}, …]'


@dataclass(frozen=True)
class _Prompt:
    prompt: str
    id: str | int | None = None


def read_prompts(path: Path) -> InTurn:
    """The prompts of a file, taken in turn.

    Args:
        path: a text file with a prompt on each line that is not blank; or .json: a list of prompts, an object of
            prompts by id, or a list of objects with "prompt" and "id". Results call a prompt by its id, or by itself.

    Raises:
        UsageError: the file cannot be read, holds none, or an id twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        named = _from_json(json.loads(text)) if path.suffix == ".json" else _from_lines(text)
    except (OSError, ValueError, UsageError) as error:  # a JSON or decoding error is a ValueError
        raise UsageError(f"{path} cannot be read as prompts ({error}); expected {FORMATS}") from error
    if not named:
        raise UsageError(f"{path} holds no prompt; expected {FORMATS}")
    names = [name for name, _ in named]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{path} gives {twice!r} twice; every prompt or id comes once, or its scores would be mixed")
    prompts = [prompt for _, prompt in named]
    return InTurn(tuple(Condition(prompt=prompt) for prompt in prompts), () if names == prompts else tuple(names))


def _from_lines(text: str) -> list[tuple[str, str]]:
    prompts = [line.strip() for line in text.splitlines() if line.strip()]
    return [(prompt, prompt) for prompt in prompts]


def _from_json(document: Any) -> list[tuple[str, str]]:
    if isinstance(document, dict):
        document = [{"id": name, "prompt": prompt} for name, prompt in document.items()]
    if not isinstance(document, list):
        raise ValueError("it is neither a list nor an object")
    entries = [{"prompt": entry} if isinstance(entry, str) else entry for entry in document]
    read = [read_record(_Prompt, entry, f"prompt {number}") for number, entry in enumerate(entries, 1)]
    return [(str(entry.prompt if entry.id is None else entry.id), entry.prompt) for entry in read]
