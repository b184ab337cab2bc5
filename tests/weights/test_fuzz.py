"""Damaged and invented files: a reader gives tensors or one of reprozoo's sentences, and nothing else ever happens."""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from reprozoo.base.errors import ReprozooError
from reprozoo.zoo.weights import read_checkpoint
from tests.weights import makers

FORMATS = ("safetensors", "torch", "torch-legacy", "nvidia-pickle", "score-sde", "flax")
QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LONG = settings(QUICK, max_examples=3000)
OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
NAMES = [
    b"cposix\nsystem\n",
    b"ccollections\nOrderedDict\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch\nFloatStorage\n",
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> dict[str, bytes]:
    """One good file of each format."""
    folder = tmp_path_factory.mktemp("good")
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.float16)}
    zipped, legacy = io.BytesIO(), io.BytesIO()
    torch.save(state, zipped)
    torch.save(state, legacy, _use_new_zipfile_serialization=False)
    makers.score_sde(makers.Net(), folder / "c.pth")
    return {
        "safetensors": save(state),
        "torch": zipped.getvalue(),
        "torch-legacy": legacy.getvalue(),
        "nvidia-pickle": makers.nvidia_pickle(makers.Net(), folder / "canary"),
        "score-sde": (folder / "c.pth").read_bytes(),
        "flax": makers.flax({"params_ema": {"a": np.arange(6, dtype="float32")}, "step": 3}),
    }


def survives(path: Path, content: bytes, format: str) -> None:
    path.write_bytes(content)
    found = said = None
    try:
        found = read_checkpoint(path, format=format.removesuffix("-legacy"), convert=False)
    except ReprozooError as error:
        said = str(error)
    if found is None:
        assert said is not None
        assert str(path) in said
    else:
        assert all(isinstance(tensor, torch.Tensor) for tensor in found.tensors.values())
        assert sum(tensor.numel() for tensor in found.tensors.values()) <= 8 * len(content)


def check_damaged(tmp_path, samples, format: str, cut: float, flips: list[tuple[float, int]], extra: bytes) -> None:
    content = bytearray(samples[format])
    for where, bit in flips:
        content[int(where * (len(content) - 1))] ^= 1 << bit
    survives(tmp_path / "m", bytes(content[: 1 + int(cut * len(content))]) + extra, format)


DAMAGE = {
    "cut": st.one_of(st.just(1.0), st.floats(0, 1)),
    "flips": st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), max_size=4),
    "extra": st.binary(max_size=8),
}
PIECES = st.lists(st.one_of(st.sampled_from(OPCODES), st.sampled_from(NAMES), st.binary(max_size=9)), max_size=60).map(
    lambda pieces: b"\x80\x04" + b"".join(pieces) + b"."
)


@pytest.mark.parametrize("format", FORMATS)
@QUICK
@given(**DAMAGE)
def test_damaged_files(tmp_path, samples, format, cut, flips, extra):
    check_damaged(tmp_path, samples, format, cut, flips, extra)


@pytest.mark.parametrize("format", ["nvidia-pickle", "torch"])
@QUICK
@given(content=PIECES)
def test_invented_pickles(tmp_path, format, content):
    survives(tmp_path / "m", content, format)


@QUICK
@given(value=st.recursive(st.none() | st.binary() | st.text("ab") | st.integers(), st.lists, max_leaves=30))
def test_any_plain_object_is_data(tmp_path, value):
    survives(tmp_path / "m", pickle.dumps({"ema": value}, protocol=4), "nvidia-pickle")


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@LONG
@given(**DAMAGE)
def test_damaged_files_for_long(tmp_path, samples, format, cut, flips, extra):
    check_damaged(tmp_path, samples, format, cut, flips, extra)


@pytest.mark.slow
@LONG
@given(content=PIECES)
def test_invented_pickles_for_long(tmp_path, content):
    survives(tmp_path / "m", content, "nvidia-pickle")
