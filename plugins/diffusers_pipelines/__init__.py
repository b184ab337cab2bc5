"""diffusers' pipelines as maps: Stable Diffusion (arXiv:2112.10752) and SDXL (arXiv:2307.01952) from their cards, and
any pipeline of a supported class on the Hugging Face Hub as ``hf:owner/repo``.

The components are diffusers' and transformers' own (Apache-2.0), made of explicit classes and filled from safetensors;
the loop around them is ours, so that the noise is the given one, every batch starts from a fresh scheduler, and a
prompt is encoded once. Noise has the shape of the latents and unit variance: it is scaled once, by the scheduler's
``init_noise_sigma``. The state is float32 whatever the networks' precision. Guidance is the pipelines' own:
unconditional + scale * (conditional - unconditional), in one doubled batch. There is no safety checker: its black
images would look like results.

Held against diffusers' pipelines on the same weights and latents by tests/plugins/test_diffusers_pipelines.py; what
differs from them, and what it costs, is in docs/text-to-image.md.
"""

from collections.abc import Callable

from reprozoo import Family, Option, hookimpl

HERE = "reprozoo_plugins.diffusers_pipelines"
OPTIONS = {
    "scheduler": Option(str, "pndm, ddim, dpmsolver++, dpmsolver, unipc, deis, heun, euler, flow-euler or consistency"),
    "steps": Option(int, "scheduler steps"),
    "guidance_scale": Option(float, "unconditional + scale * (conditional - unconditional); 1 is no guidance"),
    "height": Option(int, "of the images, in pixels, where it is not the model's own"),
    "width": Option(int, "of the images, in pixels, where it is not the model's own"),
    "lora": Option("weights", "a LoRA, merged into the weights: a safetensors file, or owner/repo[/file] on the Hub"),
    "lora_scale": Option(float, "how much of the LoRA", 1.0),
    "unet": Option("weights", "another U-Net: a file or folder, or owner/repo[/folder] on the Hub"),
    "transformer": Option("weights", "another transformer, likewise"),
    "vae": Option("weights", "another autoencoder, likewise"),
    "quantize": Option(str, "int8: 8-bit weights in the linear layers of the network (torchao)", choices=("int8",)),
    "compile": Option(bool, "compile the network with torch.compile", False),
    "offload": Option(
        str,
        "GPU: model keeps on it only the part that runs, sequential only the layer (accelerate)",
        choices=("model", "sequential"),
    ),
}
LIBRARIES = ("diffusers", "transformers")


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="stable_diffusion",
            summary="Stable Diffusion v1, v2 and XL: text to image",
            load=f"{HERE}.adapter:load",
            libraries=LIBRARIES,
            adjust=f"{HERE}.cards:adjust",
            options=OPTIONS,
        )
    )
    register(
        Family(
            name="diffusers",
            summary="diffusers pipelines on the Hugging Face Hub: hf:owner/repo",
            load=f"{HERE}.adapter:load",
            libraries=LIBRARIES,
            adjust=f"{HERE}.cards:adjust",
            schemes={"hf": f"{HERE}.cards:card"},
            options={**OPTIONS, "variant": Option(str, "which set of weights of the repository, e.g. fp16")},
        )
    )
