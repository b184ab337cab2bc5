"""Every format gives the tensors that were written, bit for bit, and says what it is not."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from reprozoo.base.errors import IntegrityError, UnavailableError, UsageError
from reprozoo.zoo.weights import read_checkpoint, read_folder, read_tensors, recognise
from tests import hub_layouts
from tests.weights import makers


def same(found, expected) -> bool:
    return found.keys() == expected.keys() and all(
        found[name].dtype == tensor.dtype and torch.equal(found[name], tensor) for name, tensor in expected.items()
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nvidia_pickle(tmp_path, protocol):
    network, path, canary = makers.Net(), tmp_path / "edm.pkl", tmp_path / "canary"
    path.write_bytes(makers.nvidia_pickle(network, canary, protocol=protocol))
    assert recognise(path) == "nvidia-pickle"
    for _ in range(2):  # from the pickle, then from the converted file
        checkpoint = read_checkpoint(path)
        assert same(checkpoint.tensors, network.state_dict())
        recorded = checkpoint.init[""]
        assert (recorded["class"], recorded["args"]) == ("Net", [])
        assert recorded["kwargs"] == {"width": 3, "channel_mult": [1, 2], "use_fp16": 0.5}
    assert not canary.exists()
    assert "torch_utils" not in sys.modules


def test_a_part_of_a_pickle(tmp_path):
    path = tmp_path / "edm.pkl"
    path.write_bytes(makers.nvidia_pickle(makers.Net(), tmp_path / "canary"))
    with pytest.raises(IntegrityError, match="has no part 'G_ema'; it holds a dictionary of ema"):
        read_tensors(path, format="nvidia-pickle:G_ema")
    with pytest.raises(IntegrityError, match="that is not a module"):
        read_tensors(path, format="nvidia-pickle:dataset_kwargs")


def test_score_sde(tmp_path):
    network, path = makers.Net(), tmp_path / "checkpoint_8.pth"
    names = makers.score_sde(network, path)
    for _ in range(2):
        checkpoint = read_checkpoint(path, format="score-sde", parameter_names=names)
        expected = {k: v * 2 if k in names else v for k, v in network.state_dict().items()}
        assert same(checkpoint.tensors, expected)
        assert checkpoint.facts == {"step": 7, "decay": 0.9999, "updates": 3}
    assert "ema.0000" in read_tensors(path, format="score-sde")


def test_a_wrong_order_of_parameters_is_noticed(tmp_path):
    names = makers.score_sde(makers.Net(), tmp_path / "c.pth")
    with pytest.raises(IntegrityError, match="averages 6 parameters where the card's network has 5"):
        read_tensors(tmp_path / "c.pth", format="score-sde", parameter_names=names[1:])
    with pytest.raises(IntegrityError, match=r"has shape .* another network"):
        read_tensors(tmp_path / "c.pth", format="score-sde", parameter_names=names[::-1])
    torch.save({"a": torch.ones(1)}, tmp_path / "plain.pth")
    with pytest.raises(IntegrityError, match="is no score_sde checkpoint"):
        read_tensors(tmp_path / "plain.pth", format="score-sde")


@pytest.mark.parametrize("chunk", [1 << 30, 64])
def test_flax(tmp_path, chunk):
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((3, 3, 2, 4)).astype("float32")
    ema = {"Conv_0": {"kernel": kernel, "bias": np.zeros(4, "float16")}}
    tree = {"params_ema": ema, "params": {}, "step": np.int64(9), "lr": 1e-4, "opt_state": None}
    path = tmp_path / "checkpoint_80"
    path.write_bytes(makers.flax(tree, chunk=chunk))
    assert recognise(path) == "flax"
    checkpoint = read_checkpoint(path)
    expected = {"Conv_0/kernel": torch.from_numpy(kernel), "Conv_0/bias": torch.zeros(4, dtype=torch.float16)}
    assert same(dict(checkpoint.tensors), expected)
    assert (checkpoint.facts["step"], checkpoint.facts["lr"]) == (9, 1e-4)
    assert "Conv_0/kernel" in read_tensors(path, format="flax:params_ema")
    with pytest.raises(IntegrityError, match="has no part 'ema_params'"):
        read_tensors(path, format="flax:ema_params")


def test_bfloat16_of_flax(tmp_path):
    import msgpack

    raw = torch.arange(3, dtype=torch.bfloat16).view(torch.uint8).numpy().tobytes()
    packed = msgpack.packb(((3,), "bfloat16", raw), use_bin_type=True)
    (tmp_path / "c").write_bytes(msgpack.packb({"ema_params": {"a": msgpack.ExtType(1, packed)}}))
    assert read_tensors(tmp_path / "c")["a"].tolist() == [0, 1, 2]


def test_a_part_of_a_torch_file(tmp_path):
    torch.save({"G": {"a": torch.ones(2)}, "step": 3}, tmp_path / "m.pt")
    assert read_tensors(tmp_path / "m.pt", format="torch:G")["a"].tolist() == [1, 1]
    with pytest.raises(IntegrityError, match='format = "torch:PART"'):
        read_tensors(tmp_path / "m.pt")


def test_shared_and_strided_tensors_survive_conversion(tmp_path):
    base = torch.arange(12.0)
    state = {"a": base, "b": base[2:8].view(2, 3).T, "c": base}
    torch.save(state, tmp_path / "m.pt")
    for _ in range(2):
        assert same(read_tensors(tmp_path / "m.pt"), state)


def test_conversion_happens_once_and_is_verified(tmp_path, home):
    torch.save({"a": torch.ones(2)}, tmp_path / "m.pt")
    read_tensors(tmp_path / "m.pt")
    (converted,) = (home / "weights" / "converted").rglob("*.safetensors")
    before = converted.stat().st_mtime_ns
    read_tensors(tmp_path / "m.pt")
    assert converted.stat().st_mtime_ns == before
    damaged = bytearray(converted.read_bytes())
    damaged[-1] ^= 1
    converted.write_bytes(damaged)
    assert read_tensors(tmp_path / "m.pt")["a"].tolist() == [1, 1]
    assert converted.read_bytes() != bytes(damaged)


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path, home):
    home.write_text("a file where the directory should be")
    torch.save({"a": torch.ones(2)}, tmp_path / "m.pt")
    assert read_tensors(tmp_path / "m.pt")["a"].tolist() == [1, 1]


def test_unknown_format(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match=r"no format of weights is called 'safetensor' \(did you mean"):
        read_tensors(tmp_path / "m.safetensors", format="safetensor")
    with pytest.raises(UsageError, match="has no parts"):
        read_tensors(tmp_path / "m.safetensors", format="safetensors:ema")


def test_a_file_over_the_declared_size(tmp_path, monkeypatch):
    from reprozoo.zoo.weights import checkpoint

    save_file({"a": torch.ones(100)}, tmp_path / "m.safetensors")
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 100)
    with pytest.raises(IntegrityError, match="more than the 100"):
        read_tensors(tmp_path / "m.safetensors")


# --- diffusers folders ---------------------------------------------------------------------------------------------


@pytest.fixture
def pipeline(tmp_path):
    for name, content in hub_layouts.stable_diffusion().items():
        path = tmp_path / "sd" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "sd"


def test_a_pipelines_folder(pipeline):
    folder = read_folder(pipeline)
    assert folder.class_name == "StableDiffusionPipeline"
    assert folder.components["unet"] == ("diffusers", "UNet2DConditionModel")
    assert folder.config("scheduler")["steps_offset"] == 1
    assert folder.tensors("unet")["conv_in.weight"].dtype == torch.float32
    assert folder.tensors("unet", variant="fp16")["conv_in.weight"].dtype == torch.float16
    assert read_tensors(pipeline, format="diffusers:vae:fp16")["decoder.conv_in.weight"].dtype == torch.float16
    for path in pipeline.rglob("*.safetensors"):
        path.unlink()
    assert folder.tensors("vae").keys() == {"decoder.conv_in.weight"}  # from the .bin, with weights_only
    with pytest.raises(UsageError, match="has no component 'unit'"):
        folder.tensors("unit")
    with pytest.raises(UnavailableError, match="no weights of the variant bf16"):
        folder.tensors("unet", variant="bf16")


def test_shards(pipeline):
    folder = pipeline / "unet"
    state = read_folder(pipeline).tensors("unet")
    for path in folder.glob("*.safetensors"):
        path.unlink()
    for i, (name, tensor) in enumerate(state.items()):
        save_file({name: tensor}, folder / f"diffusion_pytorch_model-{i}.safetensors")
    names = {name: f"diffusion_pytorch_model-{i}.safetensors" for i, name in enumerate(state)}
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    assert same(read_folder(pipeline).tensors("unet"), state)
    index.write_text(json.dumps({"weight_map": dict.fromkeys(state, "../../elsewhere.safetensors")}))
    with pytest.raises(IntegrityError, match="names no files beside it"):
        read_folder(pipeline).tensors("unet")


@pytest.mark.parametrize(
    "change",
    [
        {"_class_name": ["my_pipeline", "MyPipeline"]},
        {"unet": ["my_unet", "MyUNet"]},
        {"unet": ["diffusers", "UNet2DModel", "more"]},
        {"../unet": ["diffusers", "UNet2DModel"]},
        {"custom_pipeline": "owner/repo"},
        {"auto_map": {"AutoModel": "modeling.Model"}},
    ],
)
def test_folders_that_want_code_are_refused(pipeline, change):
    index = pipeline / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | change))
    with pytest.raises(IntegrityError, match="asks for code that comes with the repository"):
        read_folder(pipeline)


def test_no_folder(tmp_path):
    with pytest.raises(UsageError, match="is no diffusers folder"):
        read_folder(tmp_path)
