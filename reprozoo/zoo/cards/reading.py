"""From a TOML file to a card: every key understood, every value of its type, each mistake a sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path

from reprozoo.base.errors import UsageError
from reprozoo.base.records import read_record
from reprozoo.zoo.cards.records import Card
from reprozoo.zoo.cards.values import UNKNOWN


def read_card(path: Path, *, home: Path | None = None) -> Card:
    """Read one card.

    Args:
        path: the TOML file; its ``kind`` says which of the three it is.
        home: directory that bundled files are relative to; by default the directory of ``path``.

    Raises:
        UsageError: the file cannot be read, is not TOML, or has a key that is unknown, missing or of another type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the card {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the card {path} is not TOML: {error}") from error
    given = {"source_file": path, "home": home or path.parent}
    return read_record(Card, table, str(path), given=given, remedy=f'where nobody knows it, write "{UNKNOWN}"')
