"""Pipelines of the Hub from the command line: pull, sample, compare, the same offline; swapped weights; bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import diffusers
import pytest
import torch

import reprozoo
from reprozoo import Condition, IntegrityError, NoiseBank, UnavailableError, UsageError
from reprozoo import cli as command_line
from reprozoo.zoo.resolving import default_zoo
from tests import pipelines
from tests.hub_layouts import real_layout, single_model, text
from tests.hub_server import HubServer, flipped

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SD = "StableDiffusionPipeline"
PROMPT = "a photograph of an astronaut riding a horse"
SMALL = ("-n", 4, "--descriptor", "pixels", "--noise-floor", 0, "--no-baseline", "--device", "cpu", "-q", "--json")
V1_3, V1_4 = "hf:CompVis/stable-diffusion-v1-3", "hf:CompVis/stable-diffusion-v1-4"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("pull", ID)`` gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command_line.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def two_versions(hub: HubServer) -> HubServer:
    """v1-3 and v1-4 in the layout of the real repositories, with different weights."""
    for seed, name in enumerate(("v1-3", "v1-4")):
        hub.add(f"CompVis/stable-diffusion-{name}", real_layout(pipelines.files(SD, seed, half=True)))
    return hub


def rp(specs: list[str], **settings: object) -> reprozoo.Comparison:
    return reprozoo.compare(
        specs, num_samples=4, descriptor="pixels", noise_floor=0, baselines=(), device="cpu",
        conditions=Condition(prompt=PROMPT), **settings,
    )  # fmt: skip


def test_pull_sample_compare_and_the_same_offline(two_versions: HubServer, run: Run) -> None:
    specs = [f"{V1_3}+steps=2", f"{V1_4}+steps=2"]
    code, out, _ = run("pull", V1_3, V1_4, "--json")
    assert code == 0
    assert {fact["origin"] for fact in json.loads(out)["files"]} == {"hub"}
    assert two_versions.count(r"safety_checker|\.bin|fp16|README") == 0  # nothing that is not needed
    asked = len(two_versions.requests)
    assert json.loads(run("show", V1_3, "--json")[1])["status"] == "cached"
    code, out, _ = run("compare", *specs, "--prompt", PROMPT, *SMALL, "--offline")
    assert code == 0
    first = json.loads(out)
    assert first["measurements"][0]["scores"][0]["count"] == 4
    assert len(two_versions.requests) == asked
    sampled = ("--prompt", PROMPT, "-n", 2, "--device", "cpu", "-q", "--offline", "-o", "images")
    assert run("sample", specs[0], *sampled)[0] == 0
    assert len(list(Path("images").rglob("*.png"))) == 2
    code, out, _ = run("compare", *specs, "--prompt", PROMPT, *SMALL, "--offline")
    second = json.loads(out)
    assert second["measurements"] == first["measurements"]
    assert [side["sampled"] for side in second["sides"]] == [0, 0]  # all of it was in the store


@pytest.mark.parametrize(
    ("repo", "name", "layout", "options"),
    [
        ("stabilityai/stable-diffusion-xl-base-1.0", "StableDiffusionXLPipeline", real_layout, "+steps=2"),
        pytest.param(
            "stabilityai/stable-diffusion-3-medium-diffusers", "StableDiffusion3Pipeline", real_layout, "+steps=2",
            marks=pytest.mark.slow,
        ),
        ("google/ddpm-cifar10-32", "DDPMPipeline", single_model, "+steps=2"),
        ("openai/diffusers-cd_imagenet64_l2", "ConsistencyModelPipeline", dict, ""),
    ],
)  # fmt: skip
def test_other_repositories(
    hub: HubServer, run: Run, repo: str, name: str, layout: Callable[..., dict[str, bytes]], options: str
) -> None:
    for seed, owner in enumerate((repo, "someone/finetuned")):
        hub.add(owner, layout(pipelines.files(name, seed)))
    specs = [f"hf:{owner}{options}" for owner in (repo, "someone/finetuned")]
    given = ("--prompt", PROMPT) if "stable" in repo else ("--class", "0-9") if "openai" in repo else ()
    assert run("pull", *specs)[0] == 0
    code, out, error = run("compare", *specs, *given, *SMALL, "--offline")
    assert code == 0, error
    sides = json.loads(out)["sides"]
    assert len({side["images_sha256"] for side in sides if side["role"] == "model"}) == 2


def test_swapping_the_weights_swaps_the_images(two_versions: HubServer) -> None:
    """The proof that both models get the same noise: with the same networks they make the same images."""
    plain = rp([f"{V1_3}+steps=2", f"{V1_4}+steps=2"])
    assert plain.score("rp").value < 1
    parts = "+unet=CompVis/stable-diffusion-v1-4+vae=CompVis/stable-diffusion-v1-4"
    half_swapped = rp([f"{V1_3}{parts}+steps=2", f"{V1_4}+steps=2"])
    assert half_swapped.score("rp").value < 1  # the text encoder is still v1-3's
    files = real_layout(pipelines.files(SD, 1, half=True))
    two_versions.add("someone/swapped", files)
    swapped = rp(["hf:someone/swapped+steps=2", f"{V1_4}+steps=2"])
    assert swapped.score("rp").value == 1
    assert any("the same map: same weights" in warning for warning in swapped.warnings)


def test_a_branch_becomes_a_commit_once(two_versions: HubServer) -> None:
    first = reprozoo.resolve(f"{V1_4}+steps=2")
    two_versions.add("CompVis/stable-diffusion-v1-4", real_layout(pipelines.files(SD, 7, half=True)))
    again = reprozoo.resolve(f"{V1_4}+steps=2")
    assert again.identity() == first.identity()
    moved = reprozoo.resolve(f"{V1_4}@{two_versions.repos['CompVis/stable-diffusion-v1-4'].branches['main']}+steps=2")
    assert moved.weights_digest != first.weights_digest
    assert moved.card.source().to_json()["revision"] != first.card.source().to_json()["revision"]


def test_a_card_of_the_registry(two_versions: HubServer) -> None:
    """sd-v1-3, from the half-precision files of a repository laid out as the real one is."""
    recipe = reprozoo.resolve("sd-v1-3+steps=2+height=64+width=64")
    assert (recipe.options["scheduler"], recipe.noise_shape) == ("pndm", (4, 8, 8))
    assert all(".fp16." in name for name in recipe.card.source().to_json()["files"] if name.endswith("safetensors"))
    noise, condition = NoiseBank(0).noise(range(1), (4, 8, 8)), [Condition(prompt=PROMPT)]
    assert torch.equal(recipe.load()(noise, condition), reprozoo.load(f"{V1_3}+steps=2+variant=fp16")(noise, condition))
    with pytest.raises(UsageError, match="has no option 'variant'"):
        reprozoo.resolve("sd-v1-3+variant=bf16")


def test_a_card_of_a_pipeline_whose_network_lies_at_the_root(hub: HubServer) -> None:
    """ddpm-cifar10-32, from the commit that it names."""
    files = single_model(pipelines.files("DDPMPipeline"))
    config = json.loads(files["config.json"]) | {"sample_size": 32}
    source = default_zoo().registry.model("ddpm-cifar10-32").source().to_json()
    hub.add(source["repo"], {**files, "config.json": json.dumps(config).encode()}, commit=source["revision"])
    hub.add(source["repo"], single_model(pipelines.files("DDPMPipeline", 1)))  # what came later is not asked for
    recipe = reprozoo.resolve("ddpm-cifar10-32+steps=2")
    assert set(source["files"]) <= set(files)
    assert (recipe.options["scheduler"], recipe.noise_shape) == ("ddim", (3, 32, 32))
    noise = NoiseBank(0).noise(range(2), (3, 32, 32))
    images = recipe.load()(noise)
    assert torch.equal(
        images, reprozoo.load(f"hf:google/ddpm-cifar10-32@{source['revision']}+scheduler=ddim+steps=2")(noise)
    )


def test_float32_is_taken_before_fp16_and_fp16_where_it_is_all(hub: HubServer) -> None:
    both = pipelines.files(SD, half=True)
    half = {name: body for name, body in both.items() if not name.endswith("model.safetensors")}
    pickled = {**half, "unet/diffusion_pytorch_model.bin": b"", "vae/diffusion_pytorch_model.bin": b""}
    hub.add("a/both", both)
    hub.add("a/half", pickled)
    whole, rounded = (reprozoo.resolve(f"hf:a/{name}+steps=2") for name in ("both", "half"))
    assert (whole.card.network["variant"], rounded.card.network["variant"]) == ("", "fp16")
    assert reprozoo.resolve("hf:a/both+steps=2+variant=fp16").digests == rounded.digests
    noise, condition = NoiseBank(0).noise(range(1), (4, 8, 8)), [Condition(prompt=PROMPT)]
    gap = (whole.load()(noise, condition) - rounded.load()(noise, condition)).abs().max()
    assert 0 < gap < 0.2


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"vae": None}, r"has no vae, which a StableDiffusionPipeline cannot do without"),
        ({"unet": ["diffusers", "UNet3DConditionModel"]}, r"the unet of .* is a UNet3DConditionModel; a Stable"),
        ({"controlnet": ["diffusers", "ControlNetModel"]}, r"has a component 'controlnet', which"),
        ({"_class_name": "StableDifusionPipeline"}, r"not among .* \(did you mean 'StableDiffusionPipeline'\?\)"),
        ({"_class_name": "KandinskyPipeline"}, r"KandinskyPipeline, which is not among .*: DDPMPipeline, DDIM"),
    ],
)  # fmt: skip
def test_pipelines_that_are_not_run(hub: HubServer, change: dict[str, object], sentence: str) -> None:
    files = pipelines.files(SD)
    index = {**json.loads(files["model_index.json"]), **change}
    hub.add("a/odd", {**files, "model_index.json": text({k: v for k, v in index.items() if v is not None})})
    with pytest.raises(UsageError, match=sentence):
        reprozoo.resolve("hf:a/odd")


@pytest.mark.parametrize("change", [{"unet": ["my_module", "MyUNet"]}, {"_class_name": ["pipeline", "Mine"]}])
def test_code_of_a_repository_is_refused(hub: HubServer, change: dict[str, object]) -> None:
    files = pipelines.files(SD)
    index = {**json.loads(files["model_index.json"]), **change}
    hub.add("a/own-code", {**files, "model_index.json": text(index), "my_module.py": b"raise SystemExit(1)"})
    with pytest.raises(IntegrityError, match="asks for code that comes with the repository"):
        reprozoo.resolve("hf:a/own-code")
    assert hub.count("my_module") == 0


@pytest.mark.parametrize(
    ("lacking", "error", "sentence"),
    [
        ("model_index.json", UsageError, "is no diffusers pipeline: it has no model_index.json"),
        ("unet/diffusion_pytorch_model.safetensors", UsageError, "the weights of its unet in no format that is read"),
        ("unet/config.json", UnavailableError, "lacks unet/config.json; the repository is not complete"),
        ("tokenizer/", UnavailableError, "lacks tokenizer/tokenizer_config.json"),
        ("scheduler/scheduler_config.json", UnavailableError, "lacks scheduler_config.json"),
    ],
)  # fmt: skip
def test_missing_files(hub: HubServer, lacking: str, error: type[Exception], sentence: str) -> None:
    hub.add("a/part", {name: body for name, body in pipelines.files(SD).items() if not name.startswith(lacking)})
    with pytest.raises(error, match=sentence):
        reprozoo.resolve("hf:a/part")


def test_weights_that_are_pickles_alone_are_refused(hub: HubServer) -> None:
    files = {name.replace(".safetensors", ".bin"): body for name, body in pipelines.files(SD).items()}
    hub.add("a/pickled", files)
    with pytest.raises(UsageError, match="only in formats that can carry code; safetensors are needed"):
        reprozoo.resolve("hf:a/pickled")


def cut_in_half(body: bytes) -> bytes:
    return body[: len(body) // 2]


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("unet/diffusion_pytorch_model.safetensors", cut_in_half, "damaged safetensors|cannot be loaded"),
        ("text_encoder/model.safetensors", cut_in_half, "text_encoder of hf:a/broken cannot be loaded"),
        ("unet/config.json", lambda _: text({"sample_size": 8, "in_channels": 4}), "the unet of hf:a/broken"),
        ("vae/config.json", lambda _: b"{", "is not JSON"),
        ("tokenizer/tokenizer.json", cut_in_half, "the tokenizer of hf:a/broken cannot be loaded"),
    ],
)  # fmt: skip
def test_broken_components(hub: HubServer, name: str, change: Callable[[bytes], bytes], sentence: str) -> None:
    files = pipelines.files(SD)
    hub.add("a/broken", {**files, name: change(files[name])})
    with pytest.raises(IntegrityError, match=sentence):
        reprozoo.load("hf:a/broken+steps=1")


def test_a_file_that_changed_on_its_way_is_refused(hub: HubServer) -> None:
    hub.add("a/sd", pipelines.files(SD))
    hub.behave(flipped, "lfs")
    with pytest.raises(IntegrityError, match="has the digest"):
        reprozoo.load("hf:a/sd+steps=1")


def test_prompts_that_do_not_fit(hub: HubServer) -> None:
    hub.add("a/sd", pipelines.files(SD))
    hub.add("a/ddpm", pipelines.files("DDPMPipeline"))
    loaded = reprozoo.load("hf:a/sd+steps=1")
    noise = NoiseBank(0).noise(range(1), loaded.noise_shape)
    with pytest.raises(
        UsageError, match=r"the prompt has 10,002 tokens .* hf:a/sd.* reads 77; the rest would be ignor"
    ):
        loaded(noise, [Condition(prompt="x" * 10_000)])
    with pytest.raises(UsageError, match="needs a prompt for every sample"):
        loaded(noise)
    assert loaded(noise, [Condition(prompt="")]).std() > 0  # the empty prompt is the unconditional model
    pixels = reprozoo.load("hf:a/ddpm+steps=1")
    with pytest.raises(UsageError, match="would ignore the prompt given to it"):
        pixels(NoiseBank(0).noise(range(1), pixels.noise_shape), [Condition(prompt="a horse")])


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("hf:a/sd+scheduler=euler_a", r"'euler_a' \(EulerAncestralDiscreteScheduler\) draws new noise at its steps"),
        ("hf:a/sd+scheduler=LCMScheduler", "draws new noise at its steps"),
        ("hf:a/sd+scheduler=hen", r"no scheduler is called 'hen' \(did you mean 'heun'\?\)"),
        ("hf:a/sd+scheduler=flow-euler", "is not for a diffusion network; those that hf:a/sd can be run with are pndm"),
        ("hf:a/sd+steps=0", "expected 1 to 1000 steps"),
        ("hf:a/sd+height=9", "makes images in multiples of 8"),
        ("hf:a/sd+variant=bf16", "has no weights of the variant 'bf16'"),
        ("hf:a/sd+transformer=a/sd", "has no transformer to be replaced.*it has: unet, vae"),
        ("hf:a/sd+unet=nowhere", "unet=nowhere: expected a file or folder on this machine, or owner/repo"),
        ("hf:a/sd+dtype=fp8", "dtype=fp8: expected one of float32"),
        ("hf:a/sd+offload=model", "offload=model is for GPUs, and this is the CPU"),
        ("hf:a/ddpm+guidance_scale=2", "takes no guidance_scale: a DDPMPipeline is not guided"),
        ("hf:a/ddpm+height=16", "makes images of one size, 8x8"),
        ("hf:a/ddpm+lora=a/sd", "takes no LoRA"),
        ("hf:a/cm+steps=2", "goes from noise to image in one step; more steps draw new noise"),
        ("hf:nothing", "expected hf:owner/repo"),
    ],
)  # fmt: skip
def test_requests_that_cannot_be_met(hub: HubServer, spec: str, sentence: str) -> None:
    for name, pipeline in (("sd", SD), ("ddpm", "DDPMPipeline"), ("cm", "ConsistencyModelPipeline")):
        hub.add(f"a/{name}", pipelines.files(pipeline))
    with pytest.raises(UsageError, match=sentence):
        reprozoo.load(spec)


def test_a_network_that_is_told_its_guidance_is_refused(hub: HubServer, tmp_path: Path) -> None:
    """Latent consistency models, whose sampler draws noise at every step."""
    parts = pipelines.TINY[SD](0) | {"unet": pipelines.text_unet(1, time_cond_proj_dim=8)}
    diffusers.StableDiffusionPipeline(**parts).save_pretrained(tmp_path / "lcm")
    hub.add("a/lcm", tmp_path / "lcm")
    with pytest.raises(UsageError, match=r"distilled with its guidance as an input \(latent consistency\)"):
        reprozoo.load("hf:a/lcm+steps=1")


def test_offline_without_anything_here(hub: HubServer) -> None:
    with pytest.raises(UnavailableError, match="what is in a/sd on the Hugging Face Hub is not known on this machine"):
        reprozoo.resolve("hf:a/sd", offline=True)
    assert hub.requests == []


def test_different_noise_spaces_are_refused(hub: HubServer) -> None:
    hub.add("a/sd", pipelines.files(SD))
    with pytest.raises(UsageError, match="the noise shape of one is 4×8×8, of the other 4×16×8"):
        rp(["hf:a/sd+steps=1", "hf:a/sd+steps=1+height=128"])


def test_a_stochastic_scheduler_of_a_repository_is_replaced_and_said(hub: HubServer) -> None:
    hub.add("a/ddpm", pipelines.files("DDPMPipeline"))
    assert default_zoo().resolve("hf:a/ddpm").facts()["options"]["scheduler"] == "ddim"
