"""Modified models: LoRA, other parts, precision, 8-bit weights, compilation; each another map, and each said."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from reprozoo_plugins.diffusers_pipelines import adapter, memory
from reprozoo_plugins.diffusers_pipelines.changes import Placement
from safetensors.torch import save_file
from torch import Tensor, nn

import reprozoo
from reprozoo import Condition, IntegrityError, NoiseBank, UsageError
from tests import pipelines
from tests.hub_server import HubServer

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SD = "StableDiffusionPipeline"
SPEC = "hf:a/sd+steps=2"
PROMPT = [Condition(prompt="a horse")]
ATTENTION = ("to_q", "to_v", "to_out.0", "q_proj", "v_proj", "out_proj")
OLD = {"to_out.0": "to_out", "q_proj": "to_q", "v_proj": "to_v", "out_proj": "to_out"}


@pytest.fixture
def sd(hub: HubServer) -> HubServer:
    hub.add("a/sd", pipelines.files(SD))
    hub.add("b/sd", pipelines.files(SD, 1))
    return hub


def image(spec: str, **settings: Any) -> Tensor:
    loaded = reprozoo.load(spec, **settings)
    return loaded(NoiseBank(0).noise(range(1), loaded.noise_shape), PROMPT)


def adapted() -> dict[str, tuple[Tensor, Tensor]]:
    """component.layer -> (A, B) of rank 3, of the attention layers."""
    generator, pipe = torch.Generator().manual_seed(5), pipelines.pipeline(SD)
    found = {}
    for component in ("unet", "text_encoder"):
        for name, module in getattr(pipe, component).named_modules():
            if isinstance(module, nn.Linear) and name.endswith(ATTENTION):
                down = 0.3 * torch.randn(3, module.in_features, generator=generator)
                found[f"{component}.{name}"] = (down, 0.3 * torch.randn(module.out_features, 3, generator=generator))
    return found


def as_peft(layers: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    return {f"{name}.lora_{half}.weight": pair[i] for name, pair in layers.items() for i, half in enumerate("AB")}


def as_kohya(layers: dict[str, tuple[Tensor, Tensor]], alpha: float) -> dict[str, Tensor]:
    found = {}
    for name, (down, up) in layers.items():
        flat = name.replace("text_encoder.", "te.", 1).replace(".", "_")
        found |= {f"lora_{flat}.lora_down.weight": down, f"lora_{flat}.lora_up.weight": up}
        found[f"lora_{flat}.alpha"] = torch.tensor(alpha)
    return found


def as_old_diffusers(layers: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    found = {}
    for name, pair in layers.items():
        last = next(end for end in ATTENTION if name.endswith(end))
        head = name.removesuffix(last) + ("processor." if name.startswith("unet") else "")
        for half, tensor in zip(("down", "up"), pair, strict=True):
            found[f"{head}{OLD.get(last, last)}_lora.{half}.weight"] = tensor
    return found


def merged_by_hand(layers: dict[str, tuple[Tensor, Tensor]], factor: float) -> dict[str, Tensor]:
    """What W + factor B A makes of every layer."""
    pipe = pipelines.pipeline(SD)
    expected = {}
    for name, (down, up) in layers.items():
        component, _, layer = name.partition(".")
        weight = getattr(pipe, component).get_submodule(layer).weight
        expected[name] = weight.detach().double() + factor * up.double() @ down.double()
    return expected


@pytest.mark.parametrize(("form", "scale"), [("peft", 1.0), ("kohya", 0.5), ("old", 1.0), ("noted", 0.5)])
def test_lora_is_merged_exactly(sd: HubServer, tmp_path: Path, form: str, scale: float) -> None:
    """Alpha is a tensor in kohya's files, a note in the head of peft's newer ones, and the rank elsewhere."""
    layers, notes, factor = adapted(), {"format": "pt"}, scale
    tensors = {"peft": as_peft, "noted": as_peft, "old": as_old_diffusers}.get(form, lambda x: as_kohya(x, 1.5))(layers)
    if form == "kohya":
        factor = scale * 1.5 / 3
    if form == "noted":
        notes["lora_adapter_metadata"] = json.dumps({"unet.lora_alpha": 6, "text_encoder.lora_alpha": 6})
        factor = scale * 6 / 3
    save_file(tensors, tmp_path / "lora.safetensors", metadata=notes)
    loaded = reprozoo.load(f"{SPEC}+lora={tmp_path}/lora.safetensors+lora_scale={scale}")
    for name, expected in merged_by_hand(layers, factor).items():
        component, _, layer = name.partition(".")
        found = loaded.components[component].get_submodule(layer).weight
        assert (found - expected).abs().max() < 1e-6, name  # one rounding to float32


def test_lora_of_a_repository(sd: HubServer, tmp_path: Path) -> None:
    save_file(as_peft(adapted()), tmp_path / "x.safetensors")
    body = (tmp_path / "x.safetensors").read_bytes()
    sd.add("c/lora", {"pytorch_lora_weights.safetensors": body, "README.md": b""})
    sd.add("c/many", {"one.safetensors": body, "two.safetensors": body})
    recipe = reprozoo.resolve(f"{SPEC}+lora=c/lora")
    source = recipe.card.source("lora").to_json()
    assert source["repo"] == "c/lora"
    assert len(source["revision"]) == 40
    assert recipe.digests["lora"] == reprozoo.resolve(f"{SPEC}+lora={tmp_path}/x.safetensors").digests["lora"]
    assert recipe.weights_digest != reprozoo.resolve(SPEC).weights_digest
    assert torch.equal(image(f"{SPEC}+lora=c/lora"), image(f"{SPEC}+lora=c/many/two.safetensors"))
    with pytest.raises(UsageError, match=r"has several LoRAs; name one .*: one.safetensors, two.safetensors"):
        reprozoo.resolve(f"{SPEC}+lora=c/many")
    with pytest.raises(UsageError, match=r"has no file three.safetensors; it has one.safetensors"):
        reprozoo.resolve(f"{SPEC}+lora=c/many/three.safetensors")


@pytest.mark.parametrize(
    ("tensors", "error", "sentence"),
    [
        ({"unet.x.to_q.lora_A.weight": 2, "unet.x.to_q.lora_magnitude_vector": 1}, UsageError, "is DoRA"),
        ({"lora_unet_x.hada_w1_a": 2}, UsageError, "is LoHa"),
        ({"unet.nowhere.lora_A.weight": 2, "unet.nowhere.lora_B.weight": 2}, IntegrityError, "unet.nowhere, which"),
        ({"unet.conv_in.lora_A.weight": 2}, IntegrityError, "no half of a pair"),
        ({"unet.conv_in.lora_A.weight": 2, "unet.conv_in.lora_B.weight": 2}, IntegrityError, "made for another model"),
        ({"prior.x.lora_A.weight": 2, "prior.x.lora_B.weight": 2}, IntegrityError, "is for a prior, which"),
    ],
)  # fmt: skip
def test_what_is_no_lora_for_this_model(
    sd: HubServer, tmp_path: Path, tensors: dict[str, int], error: type[Exception], sentence: str
) -> None:
    save_file({name: torch.ones(size, size) for name, size in tensors.items()}, tmp_path / "x.safetensors")
    with pytest.raises(error, match=sentence):
        reprozoo.load(f"{SPEC}+lora={tmp_path}/x.safetensors")


def test_other_parts_from_everywhere(sd: HubServer, tmp_path: Path) -> None:
    """A file, a folder, a repository of the part alone, one of a pipeline: the same U-Net, the same images."""
    unet = {
        name.removeprefix("unet/"): body for name, body in pipelines.files(SD, 1).items() if name.startswith("unet/")
    }
    for name, body in unet.items():
        (tmp_path / name).write_bytes(body)
    sd.add("c/unet", unet)
    sd.add("c/deep", {f"some/where/{name}": body for name, body in unet.items()})
    places = ["b/sd", "c/unet", "c/deep/some/where", tmp_path, tmp_path / "diffusion_pytorch_model.safetensors"]
    images = [image(f"{SPEC}+unet={place}") for place in places]
    assert all(torch.equal(images[0], other) for other in images[1:])
    assert not torch.equal(images[0], image(SPEC))
    vae = {name.removeprefix("vae/"): body for name, body in pipelines.files(SD).items() if name.startswith("vae/")}
    sd.add("c/vae", vae)
    with pytest.raises(UsageError, match="is a AutoencoderKL, and it needs a UNet2DConditionModel"):
        reprozoo.load(f"{SPEC}+unet=c/vae")
    with pytest.raises(UsageError, match=r"has no unet as safetensors beside a config.json in some"):
        reprozoo.load(f"{SPEC}+unet=c/deep/some")


def test_a_whole_pipeline_of_this_machine(sd: HubServer, tmp_path: Path) -> None:
    """As ``save_pretrained`` writes it, in the place of the repository's, also where a card wants another variant."""
    for name, body in pipelines.files(SD, 1).items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(body)
    found = image(f"{SPEC}+weights={tmp_path}/mine")
    assert torch.equal(found, image("hf:b/sd+steps=2"))
    sizes = "+steps=2+height=64+width=64"
    assert torch.equal(found, image(f"sd-v1-4+scheduler=pndm{sizes}+weights={tmp_path}/mine"))
    with pytest.raises(UsageError, match="is no diffusers folder"):
        reprozoo.load(f"{SPEC}+weights={tmp_path}/mine/unet/diffusion_pytorch_model.safetensors")


def test_each_is_another_map_and_said_in_the_report(sd: HubServer, tmp_path: Path) -> None:
    save_file(as_peft(adapted()), tmp_path / "x.safetensors")
    options = [
        "", "+unet=b/sd", "+vae=b/sd", f"+lora={tmp_path}/x.safetensors",
        f"+lora={tmp_path}/x.safetensors+lora_scale=2", "+dtype=bf16", "+dtype=fp16", "+quantize=int8", "+compile=true",
        "+scheduler=ddim", "+guidance_scale=2", "+steps=3", "+height=32", "+width=72",
    ]  # fmt: skip
    recipes = [reprozoo.resolve(SPEC.replace("+steps=2", "" if "steps" in o else "+steps=2") + o) for o in options]
    identities = [json.dumps(recipe.identity(), sort_keys=True) for recipe in recipes]
    assert len(set(identities)) == len(options)
    described = dict(zip(options, (recipe.facts() for recipe in recipes), strict=True))
    assert described["+dtype=bf16"]["dtype"] == "bfloat16"
    assert described["+unet=b/sd"]["card"]["weights"][1]["repo"] == "b/sd"
    assert described["+quantize=int8"]["options"]["quantize"] == "int8"
    assert reprozoo.resolve(f"{SPEC}+dtype=bf16").identity() == reprozoo.resolve(SPEC, dtype="bfloat16").identity()


def test_changed_files_are_another_map(sd: HubServer, tmp_path: Path) -> None:
    layers = adapted()
    save_file(as_peft(layers), tmp_path / "x.safetensors")
    first = reprozoo.resolve(f"{SPEC}+lora={tmp_path}/x.safetensors").identity()
    save_file(as_peft({name: (2 * down, up) for name, (down, up) in layers.items()}), tmp_path / "x.safetensors")
    assert reprozoo.resolve(f"{SPEC}+lora={tmp_path}/x.safetensors").identity() != first


@pytest.mark.parametrize("dtype", ["float16", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_half_precision_is_near(sd: HubServer, dtype: str) -> None:
    gap = (image(SPEC, dtype=dtype) - image(SPEC)).abs()
    assert 0 < gap.mean() < 0.05


@pytest.mark.parametrize(
    ("dtype", "sentence"),
    [
        ("float16", "run it with --dtype bfloat16"),
        pytest.param("bfloat16", "run it with --dtype float32", marks=pytest.mark.slow),
        pytest.param("float32", "the weights are damaged", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_nan_names_its_place_and_the_remedy(sd: HubServer, dtype: str, sentence: str) -> None:
    for part in ("unet", "vae"):
        loaded = reprozoo.load(SPEC, dtype=dtype)
        next(loaded.components[part].parameters()).data.fill_(float("nan"))
        last = list(loaded.components[part].parameters())[-1]
        last.data.fill_(float("nan"))
        with pytest.raises(IntegrityError, match=f"the {part} of .* produced NaN or infinity in {dtype}; .*{sentence}"):
            loaded(NoiseBank(0).noise(range(1), loaded.noise_shape), PROMPT)


def test_black_images_of_half_precision_are_refused(sd: HubServer) -> None:
    loaded = reprozoo.load(SPEC, dtype="float16")
    for parameter in list(loaded.components["vae"].decoder.conv_out.parameters()):
        parameter.data.fill_(-1000.0 if parameter.ndim == 1 else 0.0)
    with pytest.raises(IntegrityError, match="black in every pixel in float16; run it with --dtype bfloat16"):
        loaded(NoiseBank(0).noise(range(1), loaded.noise_shape), PROMPT)


def test_the_decoder_of_sdxl_runs_in_float32_where_float16_would_overflow(hub: HubServer) -> None:
    hub.add("a/xl", pipelines.files("StableDiffusionXLPipeline"))
    loaded = reprozoo.load("hf:a/xl+steps=1", dtype="float16")
    loaded(NoiseBank(0).noise(range(1), loaded.noise_shape), PROMPT)
    assert loaded.components["vae"].dtype == torch.float32
    assert loaded.components["unet"].dtype == torch.float16


def test_images_are_decoded_some_at_a_time(sd: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "DECODED_PIXELS", 2 * 64 * 64)
    loaded = reprozoo.load(SPEC)
    rows: list[int] = []
    loaded.components["vae"].post_quant_conv.register_forward_pre_hook(lambda module, given: rows.append(len(given[0])))
    loaded(NoiseBank(0).noise(range(5), loaded.noise_shape), PROMPT * 5)
    assert rows == [2, 2, 1]


def test_8_bit_weights_need_torchao(sd: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(UsageError, match=r"needs torchao; install it with: pip install 'reprozoo\[quantize\]'"):
        reprozoo.load(f"{SPEC}+quantize=int8")


def test_8_bit_weights_are_near_and_do_not_couple_a_batch(sd: HubServer) -> None:
    pytest.importorskip("torchao")
    exact, loaded = reprozoo.load(SPEC), reprozoo.load(f"{SPEC}+quantize=int8")
    noise, conditions = NoiseBank(0).noise(range(3), exact.noise_shape), PROMPT * 3
    gap = (loaded(noise, conditions) - exact(noise, conditions)).abs()
    assert 0 < gap.mean() < 0.05
    alone = torch.cat([loaded(noise[i : i + 1], PROMPT) for i in range(3)])
    assert (loaded(noise, conditions) - alone).abs().max() < 2e-5


@pytest.mark.slow
def test_a_compiled_network_makes_the_same_images_up_to_rounding(sd: HubServer) -> None:
    gap = (image(f"{SPEC}+compile=true") - image(SPEC)).abs().max()
    assert gap < 1e-4


def test_models_that_do_not_fit_are_refused_before_they_are_read(
    sd: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = reprozoo.resolve(SPEC)
    pipe = pipelines.pipeline(SD)
    context = SimpleNamespace(card=recipe.card, files=recipe.files, dtype="float32", device="cpu", options={})
    numbers = {
        name: sum(p.numel() for p in getattr(pipe, name).parameters()) for name in ("unet", "vae", "text_encoder")
    }
    assert memory.weights_bytes(context) == {name: 4 * count for name, count in numbers.items()}  # type: ignore[arg-type]
    assert memory.free_bytes("cpu") > 1e8
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10_000)
    with pytest.raises(
        UsageError, match=r"the weights of hf:a/sd take .* GB in float32 on cpu, and 0.0 GB are free; use"
    ):
        recipe.load()


def test_offloaded_parts_are_on_the_device_only_while_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[tuple[str, str]] = []

    class Part(nn.Linear):
        def to(self, device: Any, *rest: Any) -> Any:
            moves.append((self.name, str(device)))  # type: ignore[arg-type]
            return self

    parts = {}
    for name in ("text_encoder", "unet"):
        parts[name] = Part(1, 1)
        parts[name].name = name  # type: ignore[assignment]
    placement = Placement(parts, torch.device("cuda"), "model")
    assert moves == []
    with placement.on_device("unet"):
        moves.append(("run", ""))
    assert moves == [("unet", "cuda"), ("run", ""), ("unet", "cpu")]
    moves.clear()
    Placement(parts, torch.device("cuda"), None)
    assert moves == [("text_encoder", "cuda"), ("unet", "cuda")]
