"""Several processes of one run: the same training as one process, up to the order of float32 sums."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from reprozoo_plugins.lab.workers import Workers

from reprozoo import UsageError
from tests.plugins.lab.runs import KINDS, recipe, trained

SCRIPT = """
import sys
from pathlib import Path
from tests.plugins.lab.runs import recipe, trained
for kind in sys.argv[2:]:
    trained(recipe(kind), Path(sys.argv[1]) / kind)
"""


def test_one_process_shares_nothing() -> None:
    alone = Workers()
    batch = torch.arange(6)
    assert (alone.rank, alone.count, alone.device) == (0, 1, None)
    assert alone.rows(batch) is batch
    gradients = [torch.ones(2)]
    alone.average(gradients)
    alone.wait()
    assert torch.equal(gradients[0], torch.ones(2))
    assert alone.agree(True)
    assert not alone.agree(False)


def test_several_processes_need_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(UsageError, match=r"needs accelerate; install reprozoo\[train\]"):
        Workers()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    kinds = ["eps", "gan-without-batch-norm", "consistency_distillation"]
    assert set(kinds) <= set(KINDS)
    (tmp_path / "run.py").write_text(SCRIPT)
    root = Path(__file__).parents[3]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), *sys.path]),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    command = [*launch, str(tmp_path / "run.py"), str(tmp_path / "two"), *kinds]
    with subprocess.Popen(command, env=environment, start_new_session=True) as running:
        try:
            assert running.wait(timeout=120) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    for kind in kinds:
        both = torch.load(tmp_path / "two" / kind / "checkpoint.pt")
        alone = trained(recipe(kind), tmp_path / "one" / kind)
        assert both["step"] == alone["step"] == 8
        for name, value in alone["average"].items():
            # Adam divides each gradient by its own size, so rounding of tiny ones becomes a share of lr = 0.01 x 8.
            torch.testing.assert_close(both["average"][name], value, atol=2e-2, rtol=0, msg=f"{kind}: {name}")
            assert float((both["average"][name] - value).abs().mean()) < 1e-3
