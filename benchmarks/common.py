"""What the benchmarks share: their arguments, and how a result is printed and judged."""

from __future__ import annotations

import argparse
import json
from typing import Any


def parser(description: str | None, **sizes: tuple[int, int]) -> argparse.ArgumentParser:
    """A parser of the sizes of a benchmark.

    Args:
        sizes: name -> its default, and its value under ``--small``, where nothing is judged: that only shows that the
            benchmark still runs.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (usual, _) in sizes.items():
        made.add_argument(f"--{name}", type=int, default=usual)
    made.add_argument("--small", action="store_true", help="quickly, and without judging the result")
    made.add_argument("--json", action="store_true")
    made.set_defaults(sizes=sizes)
    return made


def parsed(made: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments, their small sizes put in place where asked for."""
    arguments = made.parse_args()
    if arguments.small:
        for name, (usual, small) in arguments.sizes.items():
            if getattr(arguments, name) == usual:
                setattr(arguments, name, small)
    return arguments


def finish(result: dict[str, Any], text: str, arguments: argparse.Namespace) -> int:
    """Print the result, which says under "passed" whether it keeps its limit; the exit code."""
    judged = "small, not judged" if arguments.small else "ok" if result["passed"] else "MISSED"
    print(json.dumps(result) if arguments.json else f"{text}\n{judged}")
    return 0 if arguments.small or result["passed"] else 1
