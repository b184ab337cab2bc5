"""What the README shows is run: its Python, its plugin, and its commands on a few noises."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def block_with(language: str, text: str) -> str:
    return next(block for block in blocks(language) if text in block)


def commands() -> list[str]:
    """Lines of the README's shell blocks that call reprozoo, without their comments."""
    lines = [line.split(" #")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if line.startswith("reprozoo ")]


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path))
    names: dict[str, object] = {}
    exec(block_with("python", "reprozoo.compare"), names)
    assert names["images"].shape == (4, 3, 32, 32)
    assert names["comparison"].score("rp").count == 8


def test_plugin_example_keeps_the_contract() -> None:
    from reprozoo.testing import assert_map_contract

    names: dict[str, object] = {}
    exec(block_with("python", "hookimpl"), names)
    assert_map_contract(names["load"](None))
    families = []
    names["reprozoo_register_families"](families.append)
    assert [family.name for family in families] == ["ripples"]


def test_commands_are_shown() -> None:
    assert {line.split()[1] for line in commands()} >= {"models", "compare", "generalize", "noise", "doctor"}


@pytest.mark.network
def test_commands_run(tmp_path: Path) -> None:
    """In one folder, in order, on four noises, with small stand-ins for the images and data that a user has."""
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=images)
    for name in ("their-images", "images-a", "images-b"):
        np.savez(tmp_path / f"{name}.npz", images=images, indices=np.arange(40))
    demo = ["compare", "theory-gaussian", "theory-gaussian+flow=sampler", "-n", "4", "-o", "reprozoo-out/demo"]
    subprocess.run([sys.executable, "-m", "reprozoo", *demo], cwd=tmp_path, check=True)
    Image.fromarray(images[0]).save(tmp_path / "photo.png")
    shutil.copy(ROOT / "registry/weights/tiny-edm.safetensors", tmp_path / "mine.safetensors")
    for line in (line for line in commands() if " sd-" not in line):  # gigabytes of a model hub
        short = line.replace("-n 256", "-n 4").replace("--data cifar10", "--data data.npz")
        words = shlex.split(re.sub(r"\./(their-images|images-[ab])", r"./\1.npz", short))
        if words[1] == "compare" and "-n" not in words:
            words += ["-n", "4"]
        done = subprocess.run(
            [sys.executable, "-m", "reprozoo", *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        allowed = (0, 1) if "--fail-over" in words else (0,)
        assert done.returncode in allowed, f"{line}: exit {done.returncode}\n{done.stderr}"
