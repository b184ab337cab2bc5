"""Small training runs for tests: one recipe for every objective, on a few pictures of 8x8 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from reprozoo_plugins.lab.checkpoint import load_checkpoint
from reprozoo_plugins.lab.data import TrainingData
from reprozoo_plugins.lab.networks import build_network
from reprozoo_plugins.lab.others import Others
from reprozoo_plugins.lab.recipe import NetworkSpec, Recipe
from reprozoo_plugins.lab.trainer import Trainer
from torch import Tensor, nn

UNET = {"name": "song_unet", "img_resolution": 8, "model_channels": 8, "channel_mult": [1], "num_blocks": 1}
UVIT = {"name": "uvit", "img_size": 8, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2}
PROGRESSIVE = {"name": "progressive_unet", "img_resolution": 8, "ch": 32, "emb_ch": 32, "ch_mult": [1]}
PROGRESSIVE |= {"num_res_blocks": 1, "attn_resolutions": []}
GENERATOR = {"name": "conv_generator", "z_dim": 6, "dim": 8, "dim_mults": [1]}
RESNET = {"name": "resnet_generator", "z_dim": 6, "channels": [8, 8]}
FLOW = {**RESNET, "name": "flow_decoder", "decoder": "resnet", "couplings": 2, "hidden": 8}
DECODER = {"name": "gated_decoder", "z_dim": 6, "hidden": 16, "image_shape": [3, 8, 8]}
CRITIC = {"name": "conv_critic", "img_resolution": 8, "channels": [8, 16]}
ENCODER = {"name": "conv_encoder", "z_dim": 6, "img_resolution": 8, "channels": [8, 16]}
STUDENT = {"start": {"model": "another"}, "teacher": {"model": "another"}}
CURRICULUM = {"name": "consistency_training", "curriculum_images": 32, "last_levels": 40}
HALVINGS = {"name": "progressive", "teacher_steps": 8, "student_steps": 2, "stage_images": 12}

# One of each: [objective], [network], and further tables of the recipe.
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "edm": ({"name": "edm"}, {**UNET, "dropout": 0.1}, {}),
    "vp_eps": ({"name": "vp_eps", "weight_power": 1.0}, UVIT, {}),
    "eps": ({"name": "eps", "kernel_config": {"name": "sub-vp"}}, UNET, {}),
    "v": ({"name": "v"}, UNET, {}),
    "x0": ({"name": "x0"}, PROGRESSIVE, {}),
    "flow": ({"name": "flow"}, UNET, {}),
    "consistency_distillation": ({"name": "consistency_distillation"}, UNET, STUDENT),
    "consistency_training": (CURRICULUM, UNET, {}),
    "progressive": (HALVINGS, PROGRESSIVE, STUDENT),
    "gan": ({"name": "gan", "z_dim": 6, "r1": 0.1, "r1_every": 2}, GENERATOR, {"critic": {**CRITIC, "spectral": True}}),
    "gan-without-batch-norm": ({"name": "gan", "z_dim": 6}, RESNET, {"critic": CRITIC}),
    "vae": ({"name": "vae", "z_dim": 6}, DECODER, {"encoder": ENCODER}),
    "vae-with-a-learned-prior": ({"name": "vae", "z_dim": 6, "variance": 0.1}, FLOW, {"encoder": ENCODER}),
}


def recipe(kind: str = "edm", network: dict[str, Any] | None = None, **training: Any) -> Recipe:
    """The recipe of a kind: 8 steps of 4 images, unless ``training`` says otherwise."""
    objective, usual, further = KINDS[kind]
    table = {
        "id": "tiny",
        "about": "test",
        "network": network or usual,
        "objective": objective,
        "data": {"name": "random", "images_sha256": "unknown"},
        "training": {"seed": 3, "images": 32, "batch_size": 4, "lr": 1e-2, "warmup_images": 8} | training,
        "output": {"log_images": 8, "checkpoint_minutes": 60, "sheet_images": 1000, "sheet_steps": 3},
        **further,
    }
    return Recipe.from_table(table)


def pictures(count: int = 20, *, classes: int = 0) -> TrainingData:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return TrainingData(images, torch.arange(count) % classes if classes else None)


def others(configured: Recipe) -> Others:
    """Another network of the same arguments, where the recipe names a model."""
    if configured.teacher is None:
        return Others()
    return Others(start=randomised(configured).state_dict(), teacher=randomised(configured), digests={"teacher": "t"})


def randomised(configured: Recipe) -> nn.Module:
    """The recipe's network with no parameter at zero, always the same."""
    network = build_network(NetworkSpec(name=configured.network.name, options=configured.network.options))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return network.eval()


def trainer(configured: Recipe, folder: Path, data: TrainingData | None = None, **settings: Any) -> Trainer:
    settings = {"others": others(configured), "report": lambda line: None} | settings
    return Trainer(configured, data or pictures(), folder, **settings)


def trained(
    configured: Recipe, folder: Path, *, resume: bool = False, stop_after: int | None = None, **settings: Any
) -> dict[str, Any]:
    """The checkpoint that a run leaves."""
    run = trainer(configured, folder, resume=resume, **settings)
    if stop_after is not None:
        run.optimizers["network"].register_step_post_hook(lambda *_: run.step + 1 == stop_after and run.request_stop())
    run.run()
    return load_checkpoint(folder / "checkpoint.pt")


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key in sorted(value, key=str) for leaf in leaves(value[key])]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list | tuple) else [value]


def same_bits(left: Any, right: Any) -> bool:
    pairs = list(zip(leaves(left), leaves(right), strict=True))
    return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs)
