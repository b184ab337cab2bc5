"""A measure is one file: nothing else of the core names it or its scores, so a new one touches its file alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reprozoo.measures.library import classes

CORE = Path(__file__).parents[2] / "reprozoo"
LIBRARY = CORE / "measures" / "library"
NAMES = sorted({name for kind in classes() for name in (kind.name, *(spec.name for spec in kind.scores))})
WORD = re.compile(rf"\b({'|'.join(NAMES)})\b")
EXCEPTIONS = {
    "cli/asking.py": "examples in the help of --fail-under and --fail-over",
    "engine/question.py": "--threshold 0.7 without a name is that of the similarity; examples in its help",
    "measures/search.py": "the search that the similarity is made of; it calls what it found so",
    "measures/pixel_search.py": "the search that the distance ratio is made of; a sentence says for what",
    "report/schema1.py": "reads results of the first version, whose fields were called so",
}


def words_of(source: str) -> Iterator[str]:
    """Every name and every text of a module, but for docstrings and comments."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        for field in ("id", "attr", "name", "arg"):
            if isinstance(found := getattr(node, field, None), str):
                yield found


def named(path: Path) -> set[str]:
    """The measures and scores that a file of the core names."""
    text = path.read_text(encoding="utf-8")
    words = words_of(text) if path.suffix == ".py" else [text]
    return {name for word in words for name in WORD.findall(word)}


def files() -> list[Path]:
    every = [path for path in CORE.rglob("*") if path.suffix in (".py", ".html", ".js", ".css")]
    return sorted(path for path in every if not path.is_relative_to(LIBRARY))


def test_nothing_else_names_a_measure() -> None:
    found = {path.relative_to(CORE).as_posix(): names for path in files() if (names := named(path))}
    assert {path: names for path, names in found.items() if path not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) <= set(found), "an exception that is none any more: take it off the list"


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.name)
def test_a_file_of_the_library_names_no_other_measure(kind: type) -> None:
    (path,) = (path for path in LIBRARY.glob("*.py") if path.stem == kind.__module__.rpartition(".")[2])
    own = {kind.name, *(spec.name for spec in kind.scores)}
    others = {other.name for other in classes()} - own
    assert named(path) & others == set()


def test_the_search_sees_names_and_texts_but_no_docstrings() -> None:
    source = '"""Of psnr."""\nimport gl\nx = f(mae=1).rp\ny = "the pfd"\nz = rp_score  # similarity\n'
    assert {name for word in words_of(source) for name in WORD.findall(word)} == {"gl", "mae", "rp", "pfd"}
    assert {"rp", "gl", "mae", "memorization", "pfd", "psnr", "mean_abs", "max_abs"} <= set(NAMES)
