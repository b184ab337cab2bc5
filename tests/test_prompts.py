"""Prompts from files: every form that is written, and a sentence for what is not one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reprozoo.base.errors import UsageError
from reprozoo.maps.prompts import read_prompts


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("p.txt", "a cat\n\n  a dog, running  \n", ("a cat", "a dog, running")),
        ("p.txt", "\ufeffa cat\r\na dog, running\r\n", ("a cat", "a dog, running")),  # as Windows editors write it
        ("p.json", ["a cat", "a dog, running"], ("a cat", "a dog, running")),
        ("p.json", {"cat": "a cat", "dog": "a dog, running"}, ("cat", "dog")),
        ("p.json", [{"id": 7, "prompt": "a cat"}, {"prompt": "a dog, running"}], ("7", "a dog, running")),
    ],
)
def test_every_form_gives_the_prompts_in_turn(tmp_path: Path, name: str, content: Any, names: tuple[str, ...]) -> None:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    prompts = read_prompts(path)
    assert [prompts.at(i).prompt for i in range(3)] == ["a cat", "a dog, running", "a cat"]
    assert tuple(prompts.name(group) for group in range(2)) == names


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("p.txt", b"\n \n", "holds no prompt"),
        ("p.txt", b"a cat\na cat\n", "gives 'a cat' twice"),
        ("p.txt", b"\xff\xfe", "cannot be read as prompts"),
        ("p.json", b"{", "cannot be read as prompts"),
        ("p.json", b"3", "neither a list nor an object"),
        (
            "p.json",
            b'[{"text": "a cat"}]',
            r'prompt 1: there is no key "text" here; known are prompt, id\); expected one',
        ),
        ("p.json", b'["a cat", 3]', r"as prompts \(prompt 2: expected a table, got 3\)"),
        ("p.json", b'[{"id": "x"}]', r'as prompts \(prompt 1: the key "prompt" is missing\)'),
        ("p.json", b'{"x": ["a cat"]}', r'as prompts \(prompt 1: prompt: expected a text, got \["a cat"\]\)'),
    ],
)
def test_what_is_no_file_of_prompts_is_a_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        read_prompts(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read as prompts"):
        read_prompts(tmp_path / "missing.txt")
