"""The cards that ship with reprozoo, and the small weights and statistics that they name."""

from collections.abc import Callable
from pathlib import Path

from reprozoo import hookimpl


@hookimpl
def reprozoo_register_cards(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent)
