"""Cards of small random networks: of golden files, in the originals' formats, and of the project's own families."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import msgpack
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.families import score_sde_file
from tests.seeded import Golden, seeded

# Few steps: the contract is the map's, not the sampler's. A student takes the steps it was trained for.
FEW_STEPS = {"dpm-solver": {"steps": 3}, "heun": {"steps": 3}, "ddim": {"steps": 2}}
SMALL_DIT = {"input_size": 8, "patch_size": 2, "hidden_size": 32, "depth": 2, "num_heads": 2}
# Families without an original: their files are the network's own tensors.
OWN: dict[str, dict[str, Any]] = {
    "flow": {
        "network": {"architecture": "dit", **SMALL_DIT}, "noise_shape": [3, 8, 8],
        "kernel": {"name": "rectified-flow"}, "sampler": {"name": "euler", "steps": 3},
    },
    "gan": {"network": {"architecture": "resnet", "z_dim": 16, "channels": [16, 8]}, "noise_shape": [16]},
    "vae": {
        "network": {"architecture": "vampprior", "z_dim": 16, "hidden": 20, "image_shape": [3, 8, 8]},
        "noise_shape": [16],
    },
}  # fmt: skip


def few_steps(golden: Golden) -> dict[str, Any]:
    """The golden card's sampler with few steps, as a change of the card; DPM-Solver in place of RK45."""
    sampler = golden.facts["card"].get("sampler")
    if not sampler or golden.facts["card"]["family"] == "progressive":
        return {}
    if sampler["name"] == "rk45":
        sampler = {"name": "dpm-solver"}
    return {"sampler": sampler | FEW_STEPS[sampler["name"]]}


def write_card(name: str, folder: Path) -> str:
    """A card in ``folder`` for the model of a golden file, its weights beside it in the original's format; its id."""
    golden = Golden.read(name)
    card = dict(golden.facts["card"] | few_steps(golden))
    card.pop("labels", None)
    file, form = original_file(name, golden, folder / f"{name}.weights")
    return _write(f"golden-{name}", card, file, form)


def write_own_card(family: str, folder: Path) -> str:
    """A card in ``folder`` of one of ``OWN``, its weights by formula beside it; its id."""
    tables = {"flow": "NETWORKS", "gan": "GENERATORS", "vae": "DECODERS"}
    config = dict(OWN[family]["network"])
    networks = getattr(import_module(f"reprozoo_plugins.{family}.adapter"), tables[family])
    network = networks[config.pop("architecture")](**config)
    file = folder / f"{family}.safetensors"
    save_file(seeded((name, tensor.shape) for name, tensor in network.state_dict().items()), file)
    return _write(f"random-{family}", {"family": family, "image_shape": [3, 8, 8], **OWN[family]}, file, "auto")


def original_file(name: str, golden: Golden, path: Path) -> tuple[Path, str]:
    """The file of a golden's weights in the format of its original, and the format that its card names."""
    if name == "progressive":
        return progressive_file(path, golden.weights(), golden.facts["nfe"]), "auto"
    if name == "dit-pixels":
        return score_sde_file(path, golden.weights(), untrained=["pos_embed"]), "score-sde"
    return written(path, golden.facts.get("format", "torch"), original_weights(golden))


def written(path: Path, form: str, weights: Mapping[str, Tensor]) -> tuple[Path, str]:
    """The file of ``weights`` as the original would have written it, and the format that its card names."""
    if form == "score-sde":
        tensors = {"sigmas": torch.zeros(7), **weights}
        return score_sde_file(path, tensors, untrained=["sigmas"]), "score-sde"
    if form == "flax":
        path.write_bytes(flax_bytes(weights))
        return path, "flax"
    if form == "nvidia":  # the tensors of a pickle; reading the pickle itself is tested with the readers
        save_file(dict(weights), path)
        return path, "auto"
    torch.save(dict(weights), path)
    return path, "auto"


def flax_bytes(weights: Mapping[str, Tensor]) -> bytes:
    """As ``flax.serialization.to_bytes`` of a training state, whose last parameters are not its average."""
    last = {name: 2 * tensor for name, tensor in weights.items()}
    state = {"step": 5, "params": _tree(last), "params_ema": _tree(weights)}
    return bytes(msgpack.packb(state, use_bin_type=True))


def progressive_file(path: Path, weights: Mapping[str, Tensor], steps: int) -> Path:
    """A checkpoint as flax.serialization writes the TrainState of progressive distillation."""
    state = {"step": 0, "optimizer": None, "ema_params": _tree(weights), "num_sample_steps": steps}
    path.write_bytes(msgpack.packb(state))
    return path


def original_weights(golden: Golden) -> dict[str, Tensor]:
    """The weights, and the fixed filters that EDM's networks save beside them."""
    weights = golden.weights()
    if golden.facts.get("format") != "nvidia":
        return weights
    from reprozoo_plugins.edm.adapter import NETWORKS

    from reprozoo.diffusion.networks.multistage_unet import MultistageUNet

    config = dict(golden.facts["card"]["network"])
    kind = config.pop("architecture", "song-unet")
    if kind == "edm":
        network: torch.nn.Module = MultistageUNet(
            stage_starts=[0, 1], **{k: v for k, v in config.items() if k != "stages"}
        )
    else:
        network = NETWORKS[kind](**config)
    return weights | {f"model.{n}": t for n, t in network.state_dict().items() if n.endswith("resample_filter")}


def _write(name: str, facts: Mapping[str, Any], file: Path, form: str) -> str:
    """The card ``name`` beside its file of weights; returns its id."""
    weights = {"kind": "bundled", "file": file.name, "sha256": sha256(file.read_bytes()).hexdigest(), "format": form}
    card = {
        "kind": "model", "id": name, "title": "random weights", "licence": "Apache-2.0", "paper": "unknown",
        "training": {"dataset": "unknown"}, "weights": [weights], **facts,
    }  # fmt: skip
    (file.parent / f"{name}.toml").write_text("".join(f"{key} = {_toml(value)}\n" for key, value in card.items()))
    return name


def _tree(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arrays by path, as Flax packs them."""
    tree: dict[str, Any] = {}
    for name, tensor in weights.items():
        *path, leaf = name.split("/")
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node[leaf] = msgpack.ExtType(1, msgpack.packb((list(tensor.shape), "float32", tensor.numpy().tobytes())))
    return tree


def _toml(value: Any) -> str:
    """A value on one line; JSON is TOML but for tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
