"""Start-up: ``--help`` and ``models`` in under 0.3 s, without torch.

    python benchmarks/bench_startup.py [--repeats 10] [--json]

Each command runs in a fresh process; the least processor time of several runs counts, so that other work on the machine
hardly changes it. Beside it, for scale: an empty Python and one that imports torch.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

from common import finish, parsed, parser

REQUIRED_S = 0.3
COMMANDS = ("--help", "models", "plugins", "show tiny-edm", "compare --help")
REQUIRED = ("--help", "models")
PROGRAM = "import sys; from reprozoo.cli import run; code = run(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"


def seconds(arguments: list[str], repeats: int) -> tuple[float, float]:
    """Least processor seconds and least seconds on the clock of a Python with these arguments."""
    processor, clock = [], []
    for _ in range(repeats):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        clock.append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(processor), min(clock)


def main() -> int:
    arguments = parsed(parser(__doc__, repeats=(10, 1)))
    measured = {command: seconds(["-c", PROGRAM, *command.split()], arguments.repeats) for command in COMMANDS}
    empty = seconds(["-c", "pass"], arguments.repeats)
    torch = seconds(["-c", "import torch"], min(2, arguments.repeats))
    lines = [
        f"reprozoo {command:16} {processor:.2f} s processor time, {clock:.2f} s on the clock; "
        f"{processor / torch[0]:.2f} of `import torch`"
        for command, (processor, clock) in measured.items()
    ]
    lines += [f"an empty Python {empty[0]:.2f} s; import torch {torch[0]:.2f} s"]
    lines += [f"required: {' and '.join(REQUIRED)} under {REQUIRED_S} s"]
    times = {command: {"processor_s": p, "clock_s": c} for command, (p, c) in measured.items()}
    result = {
        "benchmark": "startup", "required_s": REQUIRED_S, "empty_python_s": empty[0], "import_torch_s": torch[0],
        "passed": all(measured[command][0] < REQUIRED_S for command in REQUIRED), **times,
    }  # fmt: skip
    return finish(result, "\n".join(lines), arguments)


if __name__ == "__main__":
    sys.exit(main())
