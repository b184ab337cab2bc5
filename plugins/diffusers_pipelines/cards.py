"""From ``hf:owner/repo`` to a card, and from options to the card they change; no torch, no diffusers.

A branch becomes a commit once, and everything is fetched at that commit by the project's own fetcher. A pipeline's
shapes are those of its configurations, or what ``height`` and ``width`` make of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reprozoo_plugins.diffusers_pipelines import repository
from reprozoo_plugins.diffusers_pipelines.classes import PipelineClass, pipeline_class
from reprozoo_plugins.diffusers_pipelines.schedulers import check_scheduler, own_scheduler

from reprozoo import ModelCard, UsageError
from reprozoo.base.errors import did_you_mean
from reprozoo.zoo.cards import HubSource
from reprozoo.zoo.weights import DiffusersFolder, fetch, read_folder, repository_files

REPLACEABLE = ("unet", "transformer", "vae")


def card(target: str, revision: str | None, options: Mapping[str, str], offline: bool) -> ModelCard:
    """The card of ``hf:owner/repo``.

    Raises:
        UsageError: it is no pipeline, one that cannot be run as a map, or has no safetensors.
        IntegrityError: it asks for code of its own.
        UnavailableError: it cannot be had.
    """
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", target):
        raise UsageError(f"hf:{target}: expected hf:owner/repo, with @revision where it is not the main branch")
    where = f"{target} on the Hugging Face Hub"
    commit, names = repository_files(target, revision, offline=offline)
    if repository.INDEX not in names:
        raise UsageError(f"{where} is no diffusers pipeline: it has no {repository.INDEX}")
    folder = _folder(target, commit, [repository.INDEX], offline)
    kind = pipeline_class(folder.class_name, where)
    components = repository.present(kind, folder.components, where)
    files, variant = repository.needed_files(names, components, where, variant=options.get("variant"))
    folder = _folder(target, commit, repository.config_files(names, components), offline)
    noise_shape, image_shape = _shapes(kind, folder)
    source = HubSource(repo=target, revision=commit, files=tuple(files), sha256={}, format="diffusers")
    return ModelCard(
        id=f"hf:{target}",
        family="diffusers",
        title=f"{kind.name} of {where}",
        licence="unknown",
        paper="unknown",
        noise_shape=noise_shape,
        image_shape=image_shape,
        num_classes=_num_classes(kind, folder),
        network={"pipeline": kind.name, "variant": variant},
        options=_defaults(kind, folder),
        training={"dataset": "unknown"},
        weights=(source,),
    )


def adjust(card: ModelCard, options: Mapping[str, str], offline: bool) -> ModelCard:
    """The card as the options of a spec change it: other sizes, and files of the Hub that replace or join its own.

    Raises:
        UsageError: an option that the pipeline does not have, or a value out of range.
    """
    if not options:
        return card
    kind = pipeline_class(str(card.network.get("pipeline")), card.id)
    _check_options(card, kind, options)
    added = [
        _added_source(name, options[name], offline)
        for name in (*REPLACEABLE, "lora")
        if name in options and not Path(options[name]).exists()
    ]
    return replace(_resized(card, kind, options), weights=(*card.weights, *added))


def _check_options(card: ModelCard, kind: PipelineClass, options: Mapping[str, str]) -> None:
    if "scheduler" in options:
        check_scheduler(options["scheduler"], kind.kind, card.id)
    if "guidance_scale" in options and kind.guidance_scale is None:
        raise UsageError(f"{card.id} takes no guidance_scale: a {kind.name} is not guided")
    if "steps" in options and kind.kind == "consistency" and options["steps"] != "1":
        raise UsageError(
            f"{card.id} goes from noise to image in one step; more steps draw new noise between them, so an image "
            "would be no function of the noise that is compared: leave steps out"
        )
    for name in REPLACEABLE:
        if name in options and name not in kind.components:
            has = [other for other in REPLACEABLE if other in kind.components]
            raise UsageError(
                f"{card.id} has no {name} to be replaced{did_you_mean(name, has)}; it has: {', '.join(has)}"
            )
    if "lora" in options and not kind.encode:
        raise UsageError(f"{card.id} takes no LoRA: a {kind.name} is not among the pipelines that diffusers adapts")


def _resized(card: ModelCard, kind: PipelineClass, options: Mapping[str, str]) -> ModelCard:
    given = {name: options[name] for name in ("height", "width") if name in options}
    if not given:
        return card
    if not kind.decoder:
        raise UsageError(f"{card.id} makes images of one size, {card.image_shape[1]}x{card.image_shape[2]}")
    channels, *latent_sizes = card.noise_shape
    factor = card.image_shape[1] // latent_sizes[0]
    sizes = []
    for name, default in zip(("height", "width"), card.image_shape[1:], strict=True):
        multiple = factor * (2 if kind.packed else 1)
        size = int(given.get(name, default)) if given.get(name, "0").isdecimal() else 0
        if size < multiple or size % multiple:
            raise UsageError(f"option {name}={given.get(name)}: {card.id} makes images in multiples of {multiple}")
        sizes.append(size)
    return replace(
        card,
        noise_shape=(channels, *(size // factor for size in sizes)),
        image_shape=(card.image_shape[0], sizes[0], sizes[1]),
    )


def _added_source(name: str, text: str, offline: bool) -> HubSource:
    repo, path, revision = repository.reference(text, name)
    where = f"{repo} on the Hugging Face Hub"
    commit, names = repository_files(repo, revision, offline=offline)
    if name == "lora":
        files, form = [repository.lora_file(names, path, where)], "safetensors"
    else:
        files, form = repository.component_files(names, name, path, where), "diffusers"
    return HubSource(name=name, repo=repo, revision=commit, files=tuple(files), sha256={}, format=form)


def _folder(repo: str, commit: str, files: list[str], offline: bool) -> DiffusersFolder:
    source = HubSource(repo=repo, revision=commit, files=tuple(files), sha256={}, format="diffusers")
    return read_folder(fetch(source, card_dir=Path(), offline=offline).path)


def _shapes(kind: PipelineClass, folder: DiffusersFolder) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """Shapes of the noise and of the image."""
    config = folder.config(kind.network)
    channels = int(config["in_channels"]) // (4 if kind.packed else 1)
    size = kind.sample_size or config["sample_size"]
    height, width = size if isinstance(size, list) else (size, size)
    if not kind.decoder:
        return (channels, height, width), (channels, height, width)
    decoder = folder.config(kind.decoder)
    blocks = decoder.get("block_out_channels") or decoder.get("encoder_block_out_channels") or [None] * 4
    factor = 2 ** (len(blocks) - 1)
    return (channels, height, width), (decoder.get("out_channels", 3), height * factor, width * factor)


def _num_classes(kind: PipelineClass, folder: DiffusersFolder) -> int | None:
    config = folder.config(kind.network)
    if kind.call == "dit":
        return int(config.get("num_embeds_ada_norm") or 1000)
    found = config.get("num_class_embeds") if kind.call == "plain" else None
    return None if found is None else int(found)


def _defaults(kind: PipelineClass, folder: DiffusersFolder) -> dict[str, Any]:
    """Options that the repository decides: its scheduler, unless that draws noise."""
    config = folder.config("scheduler")
    scheduler = own_scheduler(config, folder.components["scheduler"][1]) or kind.scheduler
    chosen: dict[str, Any] = {"scheduler": scheduler, "steps": kind.steps}
    if kind.guidance_scale is not None:
        chosen["guidance_scale"] = kind.guidance_scale
    return chosen
