"""Reading tensors runs nothing, and says what is wrong with a file."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.zoo.weights import read_tensors

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.float16)}


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[k], v) for k, v in STATE.items())


def test_safetensors(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    assert same(read_tensors(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("new_format", [True, False])
def test_torch_files(tmp_path, new_format):
    torch.save(STATE, tmp_path / "w.pth", _use_new_zipfile_serialization=new_format)
    assert same(read_tensors(tmp_path / "w.pth"))


class Hostile:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch '{self.canary}'",)


@pytest.mark.parametrize("new_format", [True, False, None])
def test_nothing_is_executed(tmp_path, new_format):
    canary, path = tmp_path / "canary", tmp_path / "w.pth"
    if new_format is None:
        path.write_bytes(pickle.dumps(Hostile(canary)))
    else:
        torch.save({"a": STATE["b"], "x": Hostile(canary)}, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(IntegrityError, match=r"not executed|damaged"):
        read_tensors(path)
    assert not canary.exists()
    pickle.loads(pickle.dumps(Hostile(canary)))  # the canary would have told
    assert canary.exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(IntegrityError, match=r"torch\.nn\.modules\.linear\.Linear.*plain state dict"):
        read_tensors(tmp_path / "w.pth")


def test_a_checkpoint_of_training_is_described(tmp_path):
    torch.save({"model": STATE, "step": 3}, tmp_path / "w.pth")
    with pytest.raises(IntegrityError, match="a dictionary of model: dict, step: int"):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated(tmp_path, name, keep):
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(STATE, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(IntegrityError, match="damaged"):
        read_tensors(path)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"version https://git-lfs"])
def test_neither_format(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UsageError, match="neither a safetensors nor a torch file"):
        read_tensors(tmp_path / "w.pth")


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        read_tensors(tmp_path / "w.pth")
