"""Noise that goes through a file comes back the same, or not at all."""

import errno
import json
import os
import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

import reprozoo
from reprozoo.base.errors import IntegrityError, PartialError, UsageError
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.maps.noise.files import NoiseFile, export_noise

SHAPE = (3, 4, 5)
BANK = NoiseBank(9)


@pytest.fixture(params=[".safetensors", ".npy"])
def exported(request, tmp_path):
    path = tmp_path / f"noise{request.param}"
    export_noise(BANK, range(12), SHAPE, path)
    return path


def saved(tmp_path, array, **metadata):
    path = tmp_path / "noise.safetensors"
    save_file({"noise": array}, path, metadata=metadata)
    return path


def ones(count=4):
    return np.ones((count, 2), np.float32)


def test_round_trip(exported):
    file = NoiseFile(exported)
    assert torch.equal(file.noise(range(12), SHAPE), BANK.noise(range(12), SHAPE))
    assert torch.equal(file.noise([7, 0, 7], SHAPE), BANK.noise([7, 0, 7], SHAPE))
    assert file.digest(range(12), SHAPE) == BANK.digest(range(12), SHAPE)
    assert (len(file), file.shape, list(file.indices)) == (12, SHAPE, list(range(12)))


def test_indices_are_kept(tmp_path):
    path = tmp_path / "noise.safetensors"
    export_noise(BANK, [5, 6, 2, 2**64 - 1], SHAPE, path)
    file = NoiseFile(path)
    assert list(file.indices) == [5, 6, 2, 2**64 - 1]
    assert torch.equal(file.noise([2**64 - 1, 5], SHAPE), BANK.noise([2**64 - 1, 5], SHAPE))


def test_other_programs_can_read_it(tmp_path):
    digest = export_noise(BANK, range(3, 9), SHAPE, tmp_path / "noise.safetensors")
    export_noise(BANK, range(6), SHAPE, tmp_path / "noise.npy")
    with safe_open(tmp_path / "noise.safetensors", "np") as file:
        assert np.array_equal(file.get_tensor("noise"), BANK.noise(range(3, 9), SHAPE).numpy())
        metadata = file.metadata()
    assert json.loads(metadata.pop("source")) == BANK.spec()
    assert metadata == {"reprozoo": reprozoo.__version__, "indices": "[[3, 9]]", "shape": "[3, 4, 5]", "sha256": digest}
    assert digest == BANK.digest(range(3, 9), SHAPE)
    assert np.array_equal(np.load(tmp_path / "noise.npy"), BANK.noise(range(6), SHAPE).numpy())


def test_other_programs_files_can_be_read(tmp_path):
    array = np.random.default_rng(0).standard_normal((4, 3, 2)).astype(np.float32)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(array))
    for path in [saved(tmp_path, array), tmp_path / "fortran.npy"]:
        noise = NoiseFile(path).noise([3, 1], (3, 2))
        assert np.array_equal(noise.numpy(), array[[3, 1]])
        assert noise.is_contiguous()


def test_noise_may_be_changed_by_its_user(exported):
    file = NoiseFile(exported)
    file.noise([0], SHAPE).zero_()
    assert torch.equal(file.noise([0], SHAPE), BANK.noise([0], SHAPE))


def test_file_of_a_file_is_the_same(exported, tmp_path):
    export_noise(NoiseFile(exported), range(2, 8), SHAPE, tmp_path / "part.safetensors")
    assert torch.equal(NoiseFile(tmp_path / "part.safetensors").noise([4], SHAPE), BANK.noise([4], SHAPE))


def test_spec_is_of_the_content(exported, tmp_path):
    moved = exported.rename(tmp_path / f"moved{exported.suffix}")
    spec = NoiseFile(moved).spec()
    assert json.loads(json.dumps(spec)) == spec
    assert spec == {"kind": "file", "sha256": BANK.digest(range(12), SHAPE), "shape": [3, 4, 5], "indices": [[0, 12]]}


def test_can_be_sent_to_another_process(exported):
    file = pickle.loads(pickle.dumps(NoiseFile(exported)))
    assert torch.equal(file.noise([11], SHAPE), BANK.noise([11], SHAPE))


def test_export_replaces(exported):
    export_noise(NoiseBank(1), range(2), SHAPE, exported)
    assert torch.equal(NoiseFile(exported).noise([1], SHAPE), NoiseBank(1).noise([1], SHAPE))
    assert list(exported.parent.iterdir()) == [exported]


def test_export_memory_does_not_grow(tmp_path):
    def peak(count):
        tracemalloc.start()
        export_noise(BANK, range(count), (3, 64, 64), tmp_path / "noise.safetensors")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(600) < 1.1 * peak(300)


# Reading: what is wrong, and what is said of it.


def test_missing_index(exported):
    with pytest.raises(UsageError, match="no noise 12: it holds 12 noises, 0 to 11"):
        NoiseFile(exported).noise([3, 12], SHAPE)


def test_missing_index_of_many_runs(tmp_path):
    path = tmp_path / "noise.safetensors"
    export_noise(BANK, [1, 3, 4, 9, 20], SHAPE, path)
    with pytest.raises(UsageError, match=r"it holds 5 noises, 1, 3 to 4, 9, \.\.\."):
        NoiseFile(path).noise([0], SHAPE)


def test_wrong_shape(exported):
    with pytest.raises(UsageError, match=r"shape \(3, 4, 5\), and noise of shape \(3, 5, 4\)"):
        NoiseFile(exported).noise([0], (3, 5, 4))


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_wrong_dtype(tmp_path, dtype):
    np.save(tmp_path / "noise.npy", ones().astype(dtype))
    for path in [saved(tmp_path, ones().astype(dtype)), tmp_path / "noise.npy"]:
        with pytest.raises(UsageError, match="noise is float32"):
            NoiseFile(path)


@pytest.mark.parametrize("shape", [(), (4,), (0, 3), (4, 0)])
def test_not_a_batch(tmp_path, shape):
    np.save(tmp_path / "noise.npy", np.ones(shape, np.float32))
    with pytest.raises(UsageError, match=r"expected \(count, \*shape of one noise\)"):
        NoiseFile(tmp_path / "noise.npy")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(tmp_path, value):
    array = ones()
    array[2, 1] = value
    with pytest.raises(IntegrityError, match="NaN or infinity, in rows 0 to 3"):
        NoiseFile(saved(tmp_path, array))


def test_flipped_bit(tmp_path):
    path = tmp_path / "noise.safetensors"
    export_noise(BANK, range(12), SHAPE, path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="not what was written"):
        NoiseFile(path)


def test_changed_while_open(exported):
    file = NoiseFile(exported)
    os.utime(exported, ns=(0, 0))
    with pytest.raises(IntegrityError, match="changed while it was in use"):
        file.noise([0], SHAPE)


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated(exported, keep):
    exported.write_bytes(exported.read_bytes()[:keep])
    with pytest.raises(UsageError, match="damaged or cut short"):
        NoiseFile(exported)


@pytest.mark.parametrize("suffix", [".safetensors", ".npy"])
@pytest.mark.parametrize("content", [b"not noise at all, but text", b"\x02\0\0\0\0\0\0\0[]", b"\x04\0\0\0\0\0\0\0null"])
def test_not_noise(tmp_path, suffix, content):
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        NoiseFile(path)


def test_pickled_array_is_refused(tmp_path):
    np.save(tmp_path / "noise.npy", np.array([[object()]]), allow_pickle=True)
    with pytest.raises(UsageError, match="damaged or cut short"):
        NoiseFile(tmp_path / "noise.npy")


def test_other_tensor(tmp_path):
    save_file({"latents": ones()}, tmp_path / "noise.safetensors")
    with pytest.raises(UsageError, match="no tensor named 'noise'; it has: latents"):
        NoiseFile(tmp_path / "noise.safetensors")


@pytest.mark.parametrize("name", ["noise.pt", "noise", "noise.npz"])
def test_other_format(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"read from \.safetensors or \.npy"):
        NoiseFile(tmp_path / name)


def test_missing_file(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        NoiseFile(tmp_path / "noise.npy")


@pytest.mark.parametrize("indices", ["[[0, 3]]", "[[0, 2], [1, 3]]", "[[-2, 2]]", "7", "[[0, 1e3]]", "nonsense"])
def test_recorded_indices_that_cannot_be(tmp_path, indices):
    with pytest.raises(UsageError):
        NoiseFile(saved(tmp_path, ones(), indices=indices))


# Writing: what is wrong, and that nothing is left behind.


@pytest.mark.parametrize(
    ("indices", "name", "message"),
    [
        (range(0), "noise.npy", "at least one index"),
        ([1, 2, 1], "noise.safetensors", "given twice"),
        (range(1, 4), "noise.npy", "cannot record indices"),
        ([1, 0], "noise.npy", "cannot record indices"),
        (range(2), "noise.pt", "written as .safetensors or .npy"),
        ([-1], "noise.npy", "noise indices go from 0"),
    ],
)
def test_export_refuses(tmp_path, indices, name, message):
    with pytest.raises(UsageError, match=message):
        export_noise(BANK, indices, SHAPE, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_export_to_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for place in [tmp_path / "file" / "noise.npy", tmp_path / "missing" / "noise.npy"]:
        with pytest.raises(UsageError, match="cannot write"):
            export_noise(BANK, range(2), SHAPE, place)


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PartialError, match="the disk is full"):
        export_noise(BANK, range(2), SHAPE, tmp_path / "noise.npy")
    assert not list(tmp_path.iterdir())


def test_interrupted_export_keeps_the_old_file(exported, monkeypatch):
    before = exported.read_bytes()

    def interrupted(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_noise(NoiseBank(1), range(12), SHAPE, exported)
    assert exported.read_bytes() == before
    assert list(exported.parent.iterdir()) == [exported]
