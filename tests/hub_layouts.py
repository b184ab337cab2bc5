"""Repositories of the Hub in their real layouts, with tiny random weights: file names, configurations, variants."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import torch
from safetensors.torch import save

CLIP = {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_size": 32, "vocab_size": 1000}
PNDM = {
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.7.0.dev0", "beta_end": 0.012, "beta_start": 0.00085,
    "beta_schedule": "scaled_linear", "clip_sample": False, "num_train_timesteps": 1000, "set_alpha_to_one": False,
    "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None,
}  # fmt: skip


def tensors(seed: int, *names: str) -> dict[str, torch.Tensor]:
    """Random tensors of some kilobytes under the given names."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(24, 64, generator=generator) for name in names}


def weights(folder: str, stem: str, state: Mapping[str, torch.Tensor], *, variants: bool = True) -> dict[str, bytes]:
    """One component's weights as safetensors and ``.bin``, in float32 and as the variant fp16."""
    found = {}
    for variant, dtype in [("", torch.float32), (".fp16", torch.float16)][: 2 if variants else 1]:
        cast = {name: tensor.to(dtype) for name, tensor in state.items()}
        buffer = io.BytesIO()
        torch.save(cast, buffer)
        found[f"{folder}{stem}{variant}.safetensors"] = save(cast, metadata={"format": "pt"})
        found[f"{folder}{stem}{variant}.bin"] = buffer.getvalue()
    return found


def stable_diffusion() -> dict[str, bytes]:
    """``CompVis/stable-diffusion-v1-4``: every component twice over, beside the checkpoints nobody should fetch."""
    index = {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.2.2",
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "scheduler": ["diffusers", "PNDMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }  # fmt: skip
    return {
        "README.md": b"---\nlicense: creativeml-openrail-m\n---\n",
        "model_index.json": text(index),
        "scheduler/scheduler_config.json": text(PNDM),
        "tokenizer/vocab.json": text({"a</w>": 0}),
        "tokenizer/merges.txt": b"#version: 0.2\n",
        "tokenizer/special_tokens_map.json": text({}),
        "tokenizer/tokenizer_config.json": text({"model_max_length": 77}),
        "feature_extractor/preprocessor_config.json": text({"size": 224}),
        "safety_checker/config.json": text({"model_type": "clip"}),
        "text_encoder/config.json": text(CLIP),
        "unet/config.json": text({"_class_name": "UNet2DConditionModel", "in_channels": 4, "sample_size": 64}),
        "vae/config.json": text({"_class_name": "AutoencoderKL", "latent_channels": 4}),
        **weights("safety_checker/", "model", tensors(0, "concept_embeds")),
        **weights("text_encoder/", "model", tensors(1, "text_model.final_layer_norm.weight")),
        **weights("unet/", "diffusion_pytorch_model", tensors(2, "conv_in.weight", "conv_out.weight")),
        **weights("vae/", "diffusion_pytorch_model", tensors(3, "decoder.conv_in.weight")),
    }


def ddpm_cifar10() -> dict[str, bytes]:
    """``google/ddpm-cifar10-32``: one U-Net at the root, and code that is not to be run."""
    config = {
        "_class_name": "UNet2DModel", "block_out_channels": [128, 256, 256, 256], "downsample_padding": 0,
        "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-06, "sample_size": 32,
    }  # fmt: skip
    index = {
        "_class_name": "DDPMPipeline",
        "scheduler": ["diffusers", "DDPMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    return {
        "README.md": b"# DDPM\n",
        "config.json": text(config),
        "model_index.json": text(index),
        "scheduler_config.json": text({"_class_name": "DDPMScheduler", "beta_end": 0.02}),
        "modeling_ddpm.py": b"raise SystemExit('this must never run')\n",
        **weights("", "diffusion_pytorch_model", tensors(4, "conv_in.weight", "conv_out.weight"), variants=False),
    }


def consistency() -> dict[str, bytes]:
    """``openai/diffusers-cd_imagenet64_l2``."""
    index = {
        "_class_name": "ConsistencyModelPipeline",
        "scheduler": ["diffusers", "CMStochasticIterativeScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    return {
        "model_index.json": text(index),
        "scheduler/scheduler_config.json": text({"_class_name": "CMStochasticIterativeScheduler", "sigma_max": 80.0}),
        "unet/config.json": text({"_class_name": "UNet2DModel", "num_class_embeds": 1000, "sample_size": 64}),
        **weights("unet/", "diffusion_pytorch_model", tensors(5, "conv_in.weight", "class_embedding.weight")),
    }


def state_dict() -> dict[str, bytes]:
    """``devrim/edm-cifar10-32x32-cond-vp``: a plain state dict of torch, beside its model card."""
    buffer = io.BytesIO()
    torch.save(tensors(6, "model.map_layer0.weight", "model.enc.32x32_conv.weight"), buffer)
    return {"README.md": b"# EDM\n", "model.pt": buffer.getvalue()}


def text(value: object) -> bytes:
    return json.dumps(value, indent=2).encode()


def real_layout(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What ``save_pretrained`` wrote of a pipeline, laid out as repositories of those years are.

    Tokenizers are vocabulary and merges instead of one file, and beside the components lie the ones that make no pixel.
    """
    found = {name: body for name, body in files.items() if not name.endswith("tokenizer.json")}
    for name, body in files.items():
        if name.endswith("tokenizer.json"):
            model, folder = json.loads(body)["model"], name.removesuffix("tokenizer.json")
            merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
            found[f"{folder}vocab.json"] = text(model["vocab"])
            found[f"{folder}merges.txt"] = "\n".join(["#version: 0.2", *merges, ""]).encode()
            found[f"{folder}special_tokens_map.json"] = text({})
    index = json.loads(found["model_index.json"])
    if "safety_checker" in index:
        index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
        index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
        found["safety_checker/config.json"] = text({"model_type": "clip"})
        found["feature_extractor/preprocessor_config.json"] = text({"size": 224})
        found |= weights("safety_checker/", "model", tensors(0, "concept_embeds"))
    return {**found, "README.md": b"---\nlicense: other\n---\n", "model_index.json": text(index)}


def single_model(files: Mapping[str, bytes], component: str = "unet") -> dict[str, bytes]:
    """A pipeline of one network as ``google/ddpm-cifar10-32`` has it: all at the root, and code not to be run."""
    flat = {name.removeprefix(f"{component}/").removeprefix("scheduler/"): body for name, body in files.items()}
    return {**flat, "modeling_ddpm.py": b"raise SystemExit('this must never run')\n"}
