"""Which files of a repository a pipeline needs, found by their names alone; nothing is fetched here.

Weights are safetensors or nothing. Where a repository has several sets of them ("variants", e.g. ``fp16``), full
precision is taken unless another is asked for, and another where full precision is there only as pickles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from reprozoo_plugins.diffusers_pipelines.classes import LEFT_OUT, PipelineClass

from reprozoo import UnavailableError, UsageError

INDEX = "model_index.json"
STEMS = ("diffusion_pytorch_model", "model")
FALLBACK_VARIANT = "fp16"
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "vocab.txt", "merges.txt",
    "spiece.model", "tokenizer.model", "added_tokens.json",
)  # fmt: skip
LORA_NAME = "pytorch_lora_weights.safetensors"
REFERENCE = re.compile(
    r"(?P<repo>[\w-][\w.-]*/[\w-][\w.-]*)(?P<path>/[\w./ -]*[\w.-])?(?:@(?P<revision>[\w./-]+))?"
)  # owner/repo, owner/repo/folder/file, each with @revision


def present(kind: PipelineClass, components: Mapping[str, Any], where: str) -> list[str]:
    """The components that a repository has, out of those the pipeline is made of.

    Args:
        components: name -> (library, class), as ``model_index.json`` says.

    Raises:
        UsageError: one is missing, is of a class that is not expected, or is not known.
    """
    for name, classes in kind.components.items():
        if name not in components:
            if name not in kind.optional:
                raise UsageError(f"{where} has no {name}, which a {kind.name} cannot do without")
        elif components[name][1] not in classes:
            raise UsageError(
                f"the {name} of {where} is a {components[name][1]}; a {kind.name} is run with {' or '.join(classes)}"
            )
    known = {*kind.components, "scheduler"}
    for name in components:
        if name not in known and name not in LEFT_OUT:
            raise UsageError(f"{where} has a component {name!r}, which a {kind.name} is not run with")
    return [name for name in kind.components if name in components]


def config_files(names: Iterable[str], components: Iterable[str]) -> list[str]:
    """The small files that say what a pipeline is: its index and its components' configurations."""
    names = set(names)
    wanted = [INDEX, _scheduler_file(names)]
    wanted += [f"{_folder(names, name)}config.json" for name in components if not name.startswith("tokenizer")]
    return [name for name in wanted if name in names]


def needed_files(
    names: Iterable[str], components: Iterable[str], where: str, *, variant: str | None = None
) -> tuple[list[str], str]:
    """All files that the pipeline is loaded from, and the variant of the weights.

    Args:
        names: of all files of the repository.
        components: those that it has and that are needed.
        where: what the repository is called.
        variant: asked for; None for full precision where there is any.

    Raises:
        UsageError: a component has no safetensors, or none of the components has the variant.
        UnavailableError: a configuration or a tokenizer is missing.
    """
    names, components = set(names), list(components)
    models = [name for name in components if not name.startswith("tokenizer")]
    if variant is None:
        plain = all(weights_files(names, _folder(names, name), "") for name in models)
        variant = "" if plain else FALLBACK_VARIANT
    elif not any(weights_files(names, _folder(names, name), variant) for name in models):
        raise UsageError(f"{where} has no weights of the variant {variant!r}")
    found = [INDEX, _scheduler_file(names)]
    for name in components:
        folder = _folder(names, name)
        if name.startswith("tokenizer"):
            files = [f"{folder}{file}" for file in TOKENIZER_FILES if f"{folder}{file}" in names]
        else:
            weights = weights_files(names, folder, variant) or weights_files(names, folder, "")
            if not weights:
                raise UsageError(_no_safetensors(names, folder, name, where))
            files = [f"{folder}config.json", *weights]
        found += files or [f"{name}/tokenizer_config.json"]
    if absent := [file for file in found if file not in names]:
        raise UnavailableError(f"{where} lacks {', '.join(absent)}; the repository is not complete")
    return found, variant


def weights_files(names: Iterable[str], folder: str, variant: str) -> list[str]:
    """The safetensors of one component in one variant: one file, or an index and its parts; empty where there are none.

    >>> weights_files({"unet/diffusion_pytorch_model.fp16.safetensors"}, "unet/", "fp16")
    ['unet/diffusion_pytorch_model.fp16.safetensors']
    """
    names, dotted = set(names), f".{variant}" if variant else ""
    for stem in STEMS:
        if (single := f"{folder}{stem}{dotted}.safetensors") in names:
            return [single]
        for index in (f"{stem}.safetensors.index{dotted}.json", f"{stem}{dotted}.safetensors.index.json"):
            if f"{folder}{index}" in names:
                part = re.compile(
                    rf"{re.escape(folder + stem)}(?:{re.escape(dotted)}-\d+-of-\d+|-\d+-of-\d+{re.escape(dotted)})"
                    r"\.safetensors"
                )
                return [f"{folder}{index}", *sorted(name for name in names if part.fullmatch(name))]
    return []


def component_files(names: Iterable[str], component: str, path: str, where: str) -> list[str]:
    """The files of one component in another repository: that of a pipeline, or one that holds the component alone.

    Args:
        path: a folder given with the repository; empty to look in the component's own folder and at the root.

    Raises:
        UsageError: there are none.
    """
    names = set(names)
    for folder in [f"{path}/"] if path else [f"{component}/", ""]:
        weights = weights_files(names, folder, "") or weights_files(names, folder, FALLBACK_VARIANT)
        if weights and f"{folder}config.json" in names:
            return [f"{folder}config.json", *weights]
    raise UsageError(f"{where} has no {component} as safetensors beside a config.json{f' in {path}' if path else ''}")


def lora_file(names: Iterable[str], path: str, where: str) -> str:
    """The file of a LoRA in a repository: the one given, the usual one, or the only one.

    Raises:
        UsageError: it is not there, or there are several.
    """
    found = sorted(name for name in names if name.endswith(".safetensors"))
    if path:
        if path in found:
            return path
        raise UsageError(f"{where} has no file {path}; it has {', '.join(found) or 'no safetensors'}")
    if LORA_NAME in found or len(found) == 1:
        return LORA_NAME if LORA_NAME in found else found[0]
    if not found:
        raise UsageError(f"{where} has no safetensors; a LoRA in another format is not read")
    raise UsageError(f"{where} has several LoRAs; name one of them after the repository: {', '.join(found)}")


def reference(text: str, option: str) -> tuple[str, str, str | None]:
    """(repository, path in it, revision) of ``owner/repo[/path][@revision]``.

    Raises:
        UsageError: it is no such thing.
    """
    match = REFERENCE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{option}={text}: expected a file or folder on this machine, or owner/repo, owner/repo/path and "
            "owner/repo@revision on the Hugging Face Hub"
        )
    return match["repo"], (match["path"] or "").strip("/"), match["revision"]


def _folder(names: Iterable[str], component: str) -> str:
    """ "unet/", or "" in repositories of a single model, which have everything at their root."""
    return f"{component}/" if any(name.startswith(f"{component}/") for name in names) else ""


def _scheduler_file(names: Iterable[str]) -> str:
    return f"{_folder(names, 'scheduler')}scheduler_config.json"


def _no_safetensors(names: Iterable[str], folder: str, component: str, where: str) -> str:
    pickles = any(name.startswith(folder) and name.endswith((".bin", ".ckpt", ".msgpack")) for name in names)
    formats = "only in formats that can carry code" if pickles else "in no format that is read"
    return (
        f"{where} has the weights of its {component} {formats}; safetensors are needed: convert them with diffusers' "
        "save_pretrained, or use a revision or another repository that has them"
    )
