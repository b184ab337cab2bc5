"""What a card says of a training: written beside the weights, so that a finished model is two files to copy.

``facts.json`` is written for every recipe; ``card.toml`` where a registry has a card of the recipe's id: that card,
with its ``[training]`` and its weights replaced.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from reprozoo import ReprozooError, UsageError, load
from reprozoo.base.files import write_whole
from reprozoo.maps.images import from_uint8
from reprozoo.zoo.plugins import installed_registry

from .evaluation import SIGMAS, denoising_errors, frechet_distance, gaussian_denoiser, rounded, sampled
from .objectives import DenoisingObjective

if TYPE_CHECKING:
    from .trainer import Trainer

FACTS, CARD = "facts.json", "card.toml"
REMEDY = "choose another folder with -o"
GAUSSIAN = "theory-gaussian"
TRAINING = "[training]\n"


def write_facts(trainer: Trainer, *, offline: bool = False) -> list[Path]:
    """Measure the averaged network, and write what a card says of it; the files that were written."""
    facts = {**training_facts(trainer), **measured(trainer, offline=offline)}
    folder = trainer.folder
    write_whole(folder / FACTS, (json.dumps(facts, indent=1) + "\n").encode(), remedy=REMEDY)
    written = [folder / FACTS]
    if (card := _card_file(trainer.recipe.id)) is not None:
        digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
        text = card_text(card.read_text(encoding="utf-8"), trainer.recipe.id, facts, digest)
        write_whole(folder / CARD, text.encode(), remedy=REMEDY)
        written.append(folder / CARD)
    return written


def training_facts(trainer: Trainer) -> dict[str, Any]:
    """How the training went."""
    data, parameters = trainer.recipe.data, trainer.network.parameters()
    return {
        "images_sha256": trainer.digests["data"],
        "training_images": len(trainer.images_u8),
        **{f"{name}_sha256": digest for name, digest in trainer.others.files.items()},
        **({"first_noise": data.first_noise} if trainer.recipe.made_by else {}),
        "recipe": f"recipes/{trainer.recipe.id}.toml",
        "images_seen": trainer.images_seen,
        "steps": trainer.step,
        "final_loss": rounded(trainer.loss),
        "parameters": sum(parameter.numel() for parameter in parameters),
        **({"hours": rounded(trainer.seconds / 3600)} if math.isfinite(trainer.seconds) else {}),
        "hardware": _hardware(trainer),
    }


def measured(trainer: Trainer, *, offline: bool = False) -> dict[str, Any]:
    """The table of a denoiser's errors, or the distance of samples; empty without images that were held out."""
    if trainer.held_out is None:
        return {}
    try:
        images_u8, labels = trainer.held_out()
    except ReprozooError as error:  # a test split that cannot be had must not cost the training
        trainer.report(f"not measured: {error}")
        return {}
    images = from_uint8(images_u8).to(trainer.device)
    objective = trainer.objective
    if not isinstance(objective, DenoisingObjective) or objective.needs_teacher:  # a student sees few noise levels
        return {"frechet_distance": _distances(trainer, images)}
    return {"denoising_error": _errors(trainer, objective, images, labels, offline=offline)}


def _errors(
    trainer: Trainer, objective: DenoisingObjective, images: torch.Tensor, labels: torch.Tensor | None, *, offline: bool
) -> dict[str, Any]:
    classes = trainer.classes.encode(None if labels is None else labels.to(trainer.device))
    with trainer.averaged() as network, torch.no_grad():

        def denoiser(x: torch.Tensor, sigma: torch.Tensor, rows: range) -> torch.Tensor:
            extra = () if classes is None else (classes[rows.start : rows.stop],)
            return objective.denoise(lambda scaled, time: network(scaled, time, *extra), x, sigma).float()

        errors = denoising_errors(denoiser, images)
    table = {"images": len(images), "sigma": list(SIGMAS), "this_model": [rounded(error) for error in errors]}
    if trainer.recipe.data.is_whole and trainer.recipe.data.name == _gaussian_data():
        gaussian = load(GAUSSIAN, offline=offline)
        denoise = gaussian.denoiser([])  # type: ignore[attr-defined]  # the family's maps are all denoisers
        table["gaussian"] = [rounded(error) for error in denoising_errors(gaussian_denoiser(denoise), images)]
    return table


def _distances(trainer: Trainer, images: torch.Tensor) -> dict[str, Any]:
    shape = trainer.objective.noise_shape(tuple(trainer.images_u8.shape[1:]))
    made = sampled(trainer.sample, len(images), shape)
    real = from_uint8(trainer.images_u8[: len(images)].cpu())
    return {
        "images": len(images),
        "this_model": rounded(frechet_distance(made, images)),
        "training_images": rounded(frechet_distance(real, images)),
    }


def _gaussian_data() -> str | None:
    card = installed_registry().models.get(GAUSSIAN)
    return None if card is None else str(card.training.get("dataset"))


def _hardware(trainer: Trainer) -> str:
    if trainer.device.type == "cuda":
        kind = torch.cuda.get_device_name(trainer.device)
    else:
        count = torch.get_num_threads()
        kind = f"{count} thread{'s' if count > 1 else ''} of a CPU ({platform.machine()})"
    several = f"{trainer.workers.count} times " if trainer.workers.count > 1 else ""
    autocast = trainer.recipe.training.autocast
    return f"{several}{kind}, {'float32' if autocast == 'off' else f'{autocast} autocast'}"


def _card_file(id: str) -> Path | None:
    card = installed_registry().models.get(id)
    return None if card is None else card.source_file


def card_text(text: str, id: str, facts: Mapping[str, Any], sha256: str) -> str:
    """The text of a card with another ``[training]`` and with weights that ship; its head stays as it is.

    What its ``[training]`` says of the data set stays too.

    Raises:
        UsageError: the card has no ``[training]`` table to replace.
    """
    head, found, tail = text.partition(TRAINING)
    if not found:
        raise UsageError(f"the card of {id} has no [training]; add it, before [[weights]]")
    kept = [line for line in tail.partition("\n[")[0].splitlines() if line.split(" = ")[0] in ("dataset", "split")]
    weights = [
        "[[weights]]",
        'kind = "bundled"',
        f'file = "weights/{id}.safetensors"',
        f'sha256 = "{sha256}"',
        'format = "safetensors"',
    ]
    lines = [*kept, *_toml(facts, "training"), "", *weights]
    return head + TRAINING + "\n".join(lines) + "\n"


def _toml(table: Mapping[str, Any], name: str) -> Iterator[str]:
    """Keys of a table, then the tables in it, each with its comment."""
    yield from (f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, Mapping))
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from ("", *_comment(key, value), f"[{name}.{key}]", *_toml(value, f"{name}.{key}"))


def _comment(table: str, values: Mapping[str, Any]) -> tuple[str, str]:
    if table == "frechet_distance":
        return (
            "# Between samples and images that were held out, and between training images and those, on 8x8 pixels:",
            "# how far from converged the model is.",
        )
    beside = ", beside that of the best Gaussian denoiser of the training set" if "gaussian" in values else ""
    return (
        "# Mean squared error of the denoiser on images that were held out, pixels in [-1, 1]:",
        f"# how far from converged the model is{beside}.",
    )
