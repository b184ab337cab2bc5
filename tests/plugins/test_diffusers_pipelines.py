"""Every supported pipeline against diffusers' own: the same tiny weights, the same latents, equal images."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import diffusers
import pytest
import torch
from reprozoo_plugins.diffusers_pipelines.classes import CLASSES
from torch import Tensor

import reprozoo
from reprozoo import Condition, NoiseBank
from reprozoo.testing import assert_map_contract
from tests import pipelines
from tests.hub_layouts import single_model
from tests.hub_server import HubServer

# diffusers' schedulers hand torch tensors to NumPy in a way that it will not take for ever.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
PROMPTS = ["a photo of an astronaut", "a horse", "of"]
STEPS = 4  # PNDM's and the multistep solvers' history is complete by then
# Two loops over the same float32 networks, one prompt encoded alone or beside others: rounding. Measured: at most 5e-6.
TOLERANCE = 2e-5
SD = "StableDiffusionPipeline"
SD_SCHEDULERS = {
    "pndm": "PNDMScheduler", "ddim": "DDIMScheduler", "dpmsolver++": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler", "deis": "DEISMultistepScheduler", "heun": "HeunDiscreteScheduler",
    "euler": "EulerDiscreteScheduler",
}  # fmt: skip
# Where a pipeline that takes no latents gets its noise from.
DRAWS = {
    "DDPMPipeline": "diffusers.pipelines.ddpm.pipeline_ddpm",
    "DDIMPipeline": "diffusers.pipelines.ddim.pipeline_ddim",
    "DiTPipeline": "diffusers.pipelines.dit.pipeline_dit",
    "LDMPipeline": "diffusers.pipelines.deprecated.latent_diffusion_uncond.pipeline_latent_diffusion_uncond",
}


def some(names: Iterable[str], *, each_time: Collection[str]) -> list[Any]:
    """Parameters of a test, all but a few of them slow: what they show, the few show too."""
    return [name if name in each_time else pytest.param(name, marks=pytest.mark.slow) for name in names]


def conditions_of(loaded: Any, count: int = 3) -> list[Condition]:
    if "prompt" in loaded.accepts:
        return [Condition(prompt=prompt) for prompt in PROMPTS[:count]]
    return [Condition(class_label=i if loaded.num_classes else None) for i in range(count)]


@contextmanager
def drawing(noise: Tensor, module: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.randn_tensor", lambda *args, **kwargs: noise.clone())
        yield


def images_of_pipeline(name: str, noise: Tensor, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Tensor:
    """Images of diffusers' pipeline in [-1, 1], from the given noise."""
    pipe, options = pipelines.pipeline(name), {"num_inference_steps": STEPS, "output_type": "pt", **settings}
    if name in DRAWS:
        if name == "DDPMPipeline":  # its own scheduler draws noise at every step
            pipe = diffusers.DDPMPipeline(pipe.unet, diffusers.DDIMScheduler.from_config(pipe.scheduler.config))
            pipe.set_progress_bar_config(disable=True)
        given = {"class_labels": [0, 1, 2]} if name == "DiTPipeline" else {"batch_size": 3}
        if name == "LDMPipeline":
            options["output_type"] = "np"
        with drawing(noise, DRAWS[name], monkeypatch):
            found = pipe(**given, **options).images
        found = torch.as_tensor(found).permute(0, 3, 1, 2) if name == "LDMPipeline" else found
    elif name == "ConsistencyModelPipeline":
        found = pipe(batch_size=3, class_labels=[0, 1, 2], latents=noise, **options | {"num_inference_steps": 1}).images
    else:
        if name.startswith(("PixArt", "Sana")):
            options |= {"use_resolution_binning": False, "clean_caption": False}
        if name.startswith(("Flux", "Sana")):
            options |= dict.fromkeys(("height", "width"), noise.shape[-1] * 2)
        latents = pipe._pack_latents(noise, *noise.shape) if name == "FluxPipeline" else noise
        with torch.no_grad():
            found = pipe(PROMPTS, latents=latents, **options).images
    return found.float() * 2 - 1


def spec_of(name: str) -> str:
    extra = {"ConsistencyModelPipeline": "", "FluxPipeline": f"+steps={STEPS}+height=16+width=16"}
    return f"hf:tiny/{name}{extra.get(name, f'+steps={STEPS}')}"


@pytest.mark.parametrize("name", some(CLASSES, each_time=set(CLASSES) - {"PixArtSigmaPipeline", "DDIMPipeline"}))
def test_images_are_those_of_the_pipeline(hub: HubServer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(f"tiny/{name}", pipelines.files(name))
    loaded = reprozoo.load(spec_of(name))
    noise = NoiseBank(0).noise(range(3), loaded.noise_shape)
    found = loaded(noise, conditions_of(loaded))
    expected = images_of_pipeline(name, noise, monkeypatch)
    assert (found - expected).abs().max() < TOLERANCE
    assert found.std() > 0.1


@pytest.mark.parametrize("name", some(CLASSES, each_time=("StableDiffusionPipeline", "DDPMPipeline")))
def test_contract(hub: HubServer, name: str) -> None:
    hub.add(f"tiny/{name}", pipelines.files(name))
    loaded = reprozoo.load(spec_of(name).replace(f"steps={STEPS}", "steps=2"))
    assert_map_contract(loaded, conditions_of(loaded))


@pytest.mark.parametrize("scheduler", some(SD_SCHEDULERS, each_time=("pndm", "dpmsolver++", "heun", "euler")))
def test_every_scheduler_of_stable_diffusion(hub: HubServer, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And none of them carries anything from one batch to the next, nor within one.

    Latents are never clipped: DDIM made of PNDM's configuration would, unless it is told not to.
    """
    hub.add(f"tiny/{SD}", pipelines.files(SD))
    loaded = reprozoo.load(f"hf:tiny/{SD}+steps={STEPS}+scheduler={scheduler}")
    noise = NoiseBank(0).noise(range(3), loaded.noise_shape)
    images = loaded(noise, conditions_of(loaded))
    pipe = pipelines.pipeline(SD)
    own, unclipped = pipe.scheduler, {"clip_sample": False} if scheduler == "ddim" else {}
    monkeypatch.setattr(
        pipe, "scheduler", getattr(diffusers, SD_SCHEDULERS[scheduler]).from_config(own.config, **unclipped)
    )
    assert (images - images_of_pipeline(SD, noise, monkeypatch)).abs().max() < TOLERANCE
    assert len(pipe.scheduler.timesteps) == loaded.nfe
    alone = loaded(noise[1:2], conditions_of(loaded)[1:2])
    assert (images[1:2] - alone).abs().max() < TOLERANCE
    assert torch.equal(loaded(noise[1:2], conditions_of(loaded)[1:2]), alone)


@pytest.mark.parametrize("scheduler", some(("dpmsolver++", "unipc", "flow-euler"), each_time=("flow-euler",)))
def test_every_scheduler_of_a_flow(hub: HubServer, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "SanaPipeline"
    hub.add(f"tiny/{name}", pipelines.files(name))
    loaded = reprozoo.load(f"hf:tiny/{name}+steps={STEPS}+scheduler={scheduler}")
    noise = NoiseBank(0).noise(range(3), loaded.noise_shape)
    classes = {
        "dpmsolver++": diffusers.DPMSolverMultistepScheduler, "unipc": diffusers.UniPCMultistepScheduler,
        "flow-euler": diffusers.FlowMatchEulerDiscreteScheduler,
    }  # fmt: skip
    pipe = pipelines.pipeline(name)
    chosen = classes[scheduler].from_config(pipe.scheduler.config, shift=3.0)
    monkeypatch.setattr(pipe, "scheduler", chosen)
    images = loaded(noise, conditions_of(loaded))
    assert (images - images_of_pipeline(name, noise, monkeypatch)).abs().max() < TOLERANCE


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_guidance(hub: HubServer, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 is no guidance, and costs half of it; anything else is what the pipeline makes of it."""
    hub.add(f"tiny/{SD}", pipelines.files(SD))
    loaded = reprozoo.load(f"hf:tiny/{SD}+steps={STEPS}+guidance_scale={scale}")
    rows: list[int] = []
    loaded.network.register_forward_pre_hook(lambda module, given: rows.append(len(given[0])))
    noise = NoiseBank(0).noise(range(3), loaded.noise_shape)
    images = loaded(noise, conditions_of(loaded))
    assert (images - images_of_pipeline(SD, noise, monkeypatch, guidance_scale=scale)).abs().max() < TOLERANCE
    assert rows == [3 if scale == 1 else 6] * loaded.nfe


@pytest.mark.slow
def test_dynamic_shifting_is_that_of_the_pipeline(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """SD3.5's schedule depends on the size of the image; Flux's does in the test of all classes."""
    name = "StableDiffusion3Pipeline"
    pipe = pipelines.pipeline(name)
    shifted = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15)
    monkeypatch.setattr(pipe, "scheduler", shifted)
    files = pipelines.files(name)
    hub.add("tiny/shifted", {**files, "scheduler/scheduler_config.json": shifted.to_json_string().encode()})
    loaded = reprozoo.load(f"hf:tiny/shifted+steps={STEPS}")
    noise = NoiseBank(0).noise(range(3), loaded.noise_shape)
    images = loaded(noise, conditions_of(loaded))
    assert (images - images_of_pipeline(name, noise, monkeypatch)).abs().max() < TOLERANCE


def test_other_sizes(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(f"tiny/{SD}", pipelines.files(SD))
    loaded = reprozoo.load(f"hf:tiny/{SD}+steps={STEPS}+height=128+width=96")
    assert (loaded.noise_shape, loaded.image_shape) == ((4, 16, 12), (3, 128, 96))
    noise = NoiseBank(0).noise(range(3), loaded.noise_shape)
    images = loaded(noise, conditions_of(loaded))
    expected = images_of_pipeline(SD, noise, monkeypatch, height=128, width=96)
    assert (images - expected).abs().max() < TOLERANCE


def test_the_class_that_older_repositories_name(hub: HubServer) -> None:
    """facebook/DiT-XL-2-256 says Transformer2DModel, which diffusers has split since."""
    files = pipelines.files("DiTPipeline")
    hub.add("tiny/new", files)
    old = files["model_index.json"].replace(b"DiTTransformer2DModel", b"Transformer2DModel")
    hub.add("tiny/old", {**files, "model_index.json": old})
    first, second = (reprozoo.load(f"hf:tiny/{name}+steps=2") for name in ("new", "old"))
    noise = NoiseBank(0).noise(range(2), first.noise_shape)
    assert torch.equal(first(noise, conditions_of(first, 2)), second(noise, conditions_of(second, 2)))


def test_a_prompt_is_encoded_once(hub: HubServer) -> None:
    hub.add(f"tiny/{SD}", pipelines.files(SD))
    loaded = reprozoo.load(f"hf:tiny/{SD}+steps=1")
    encoded: list[int] = []
    loaded.components["text_encoder"].register_forward_pre_hook(lambda *given: encoded.append(1))
    noise = NoiseBank(0).noise(range(4), loaded.noise_shape)
    same = [Condition(prompt="a horse")] * 4
    loaded(noise, same)
    first = len(encoded)
    loaded(noise, same)
    assert first == len(encoded) == 2  # the prompt and the empty one, each alone


def test_a_repository_of_one_network_has_everything_at_its_root(hub: HubServer) -> None:
    """google/ddpm-cifar10-32; the code beside it is not fetched."""
    hub.add("tiny/root", single_model(pipelines.files("DDPMPipeline")))
    hub.add("tiny/folders", pipelines.files("DDPMPipeline"))
    first, second = (reprozoo.load(f"hf:tiny/{name}+steps=3") for name in ("root", "folders"))
    noise = NoiseBank(0).noise(range(2), first.noise_shape)
    assert torch.equal(first(noise), second(noise))
    assert hub.count("modeling_ddpm") == 0
