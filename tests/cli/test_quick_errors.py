"""Usage errors answer at once: no torch, no network, nothing sampled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PAIR = ("tiny-edm", "tiny-uvit")
HEAVY = {"torch", "onnxruntime", "diffusers", "transformers", "scipy", "huggingface_hub"}
SCRIPT = """
import json, socket, sys
asked = []
socket.getaddrinfo = lambda *where, **_: asked.append(where) or []
socket.socket.connect = lambda self, where: asked.append(where)
from reprozoo.cli import run
code = run(sys.argv[1:])
print(json.dumps({"code": code, "asked": len(asked), "modules": sorted(sys.modules)}))
"""
CASES = {
    "misspelt id": (("compare", "tiny-edn", "tiny-uvit"), "did you mean 'tiny-edm'?"),
    "misspelt baseline": (("compare", *PAIR, "--baseline", "theory-gausian"), "did you mean 'theory-gaussian'?"),
    "misspelt id of sample": (("sample", "tiny-edn", "-o", "x.png"), "did you mean 'tiny-edm'?"),
    "misspelt id of generalize": (("generalize", "tiny-edn"), "did you mean 'tiny-edm'?"),
    "no value of -n": (("compare", *PAIR, "-n"), "Option '-n' requires an argument"),
    "-n out of range": (("compare", *PAIR, "-n", "0"), "0 is not in the range"),
    "one model": (("compare", "tiny-edm"), "two or more models"),
    "unknown option": (("compare", *PAIR, "--sede", "3"), "No such option '--sede'"),
    "unknown option of a model": (("compare", "tiny-edm+stepz=3", "tiny-uvit"), "no option 'stepz'"),
    "unknown descriptor": (("compare", *PAIR, "--descriptor", "ssdc"), "did you mean 'sscd'?"),
    "unknown measure": (("compare", *PAIR, "--measure", "pnsr"), "did you mean 'psnr'?"),
    "unknown score": (("compare", *PAIR, "--fail-under", "pr=0.9"), "there is no score 'pr'"),
    "bound of a share": (("compare", *PAIR, "--fail-under", "rp=90"), "between 0 and 1"),
    "unknown threshold": (("compare", *PAIR, "--threshold", "mea=3"), "did you mean 'mae'?"),
    "threshold out of range": (("compare", *PAIR, "--threshold", "1.5"), "from -1 to below 1, got 1.5"),
    "shapes that differ": (("compare", "tiny-edm", "dit-xl-2-256"), "the noise shape of one is 3×32×32"),
    "class of a model without": (("compare", *PAIR, "--class", "3"), "would ignore the class label"),
    "no such folder": (("score", "nowhere", "neither"), "there is no file or folder ./nowhere"),
    "no such question": (("run", "nowhere.toml"), "nowhere.toml cannot be read as a question"),
    "both outputs": (("compare", *PAIR, "--json", "--csv"), "exclude each other"),
}


@pytest.mark.parametrize(("arguments", "sentence"), CASES.values(), ids=CASES.keys())
def test_usage_errors_import_nothing_heavy_and_use_no_network(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path,
        env=os.environ | {"REPROZOO_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert sentence in done.stderr
    check_quick(json.loads(done.stdout))
    assert list(tmp_path.iterdir()) == []


def check_quick(seen: dict[str, object]) -> None:
    assert seen["code"] == 2
    assert seen["asked"] == 0
    assert not HEAVY & set(seen["modules"])  # type: ignore[call-overload]


@pytest.mark.parametrize("change", [{"code": 70}, {"asked": 1}, {"modules": ["sys", "torch"]}])
def test_the_check_sees_what_is_slow(change: dict[str, object]) -> None:
    good: dict[str, object] = {"code": 2, "asked": 0, "modules": ["sys"]}
    check_quick(good)
    with pytest.raises(AssertionError):
        check_quick(good | change)
