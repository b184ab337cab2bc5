"""A LoRA merged into the weights: W + scale * alpha / rank * B A, which is what adapting the layer computes.

Read are the key names of diffusers (old and new), peft and kohya, which diffusers' own converters bring to one form;
they are pure functions of a state dict. Anything that is not a plain LoRA (DoRA, LoHa, LoKr, patterns of ranks) is
refused, and so is a key that no layer has: a LoRA that is silently half applied would look like a result.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from reprozoo_plugins.diffusers_pipelines.classes import PipelineClass
from reprozoo_plugins.diffusers_pipelines.components import header_of, quiet_libraries
from torch import Tensor, nn

from reprozoo import IntegrityError, LoadContext, UsageError
from reprozoo.zoo.weights import read_tensors

NOTES = "lora_adapter_metadata"  # of peft, in the head of the file
REFUSED = {
    "dora_scale": "DoRA", "lora_magnitude_vector": "DoRA", "hada_w": "LoHa", "lokr_": "LoKr",
    ".diff": "a full difference", "oft_": "OFT", "lora_mid": "Tucker's form",
}  # fmt: skip
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
HALVES = {"down": "lora_A", "lora_down": "lora_A", "lora_A": "lora_A", "up": "lora_B", "lora_up": "lora_B",
          "lora_B": "lora_B"}  # fmt: skip
HALF = re.compile(rf"(.+)\.({'|'.join(HALVES)})(?:\.default)?\.weight")


def merge_lora(components: Mapping[str, Any], kind: PipelineClass, context: LoadContext) -> None:
    """Add the LoRA in the file "lora" to the components' weights.

    Raises:
        UsageError: it is of a kind that is not merged.
        IntegrityError: it was made for another network.
    """
    path, name = context.files["lora"], context.card.id
    tensors = read_tensors(path, format="safetensors")
    notes = header_of(path).get(NOTES)
    notes = notes if isinstance(notes, dict) else {}
    _check_kind(tensors, notes, name)
    scale = float(context.options["lora_scale"])
    layers, alphas = _layers(tensors, kind, components)
    merged = 0
    for component, parts in layers.items():
        if component not in components:
            raise IntegrityError(f"the LoRA is for a {component}, which {name} does not have")
        modules = dict(components[component].named_modules())
        for layer, (down, up) in parts.items():
            alpha = alphas.get(f"{component}.{layer}", notes.get(f"{component}.lora_alpha"))
            module = modules.get(layer) or modules.get(layer.removeprefix("text_model."))  # flattened since 5.0
            weight = getattr(module, "weight", None)
            if not isinstance(module, (nn.Linear, nn.Conv2d)) or not isinstance(weight, Tensor):
                raise IntegrityError(f"the LoRA changes {component}.{layer}, which {name} does not have")
            change = _product(down, up, weight, f"{component}.{layer}", name)
            factor = scale * (float(alpha) / len(down) if alpha is not None else 1.0)
            weight.data = (weight.double() + factor * change).to(weight.dtype)
            merged += 1
    if not merged:
        raise IntegrityError(f"the LoRA for {name} changes no layer; is it one?")


def _layers(
    tensors: Mapping[str, Tensor], kind: PipelineClass, components: Mapping[str, Any]
) -> tuple[dict[str, dict[str, tuple[Tensor, Tensor]]], dict[str, float]]:
    """component -> layer -> (A, B), and "component.layer" -> alpha."""
    import diffusers

    settings = {"unet_config": components["unet"].config} if "unet" in components else {}
    if kind.name == "FluxPipeline":
        settings["return_alphas"] = True
    with quiet_libraries():
        found = getattr(diffusers, kind.name).lora_state_dict(dict(tensors), **settings)
    state, given_alphas = found[:2] if isinstance(found, tuple) else (found, None)
    alphas = {
        _current_name(key.removesuffix(".alpha")).removesuffix(DOWN): float(value)
        for key, value in {**(given_alphas or {}), **state}.items()
        if key.endswith(".alpha")
    }
    layers: dict[str, dict[str, tuple[Tensor, Tensor]]] = {}
    for component in {key.split(".")[0] for key in state}:
        part = {
            _current_name(key): value
            for key, value in state.items()
            if key.split(".")[0] == component and not key.endswith(".alpha")
        }
        layers[component] = _pairs({key.partition(".")[2]: value for key, value in part.items()}, component)
    return layers, alphas


def _current_name(key: str) -> str:
    """A key as peft names it, whatever library wrote it.

    >>> _current_name("unet.mid.attn1.processor.to_out_lora.up.weight")
    'unet.mid.attn1.to_out.0.lora_B.weight'
    """
    match = HALF.fullmatch(key)
    return _layer_name(key) if match is None else f"{_layer_name(match[1])}.{HALVES[match[2]]}.weight"


def _layer_name(name: str) -> str:
    """The layer that an old name of its adapter means: adapters were modules of their own before they were peft's."""
    head, _, last = name.rpartition(".")
    if last in ("lora", "lora_linear_layer", "default"):
        return _layer_name(head)
    kind = last.removesuffix("_lora")
    if kind == last:
        return name
    if head.startswith("text_encoder"):
        return f"{head}.{kind.removeprefix('to_')}_proj"
    return f"{head.removesuffix('.processor')}.{'to_out.0' if kind == 'to_out' else kind}"


def _pairs(part: Mapping[str, Tensor], component: str) -> dict[str, tuple[Tensor, Tensor]]:
    pairs = {}
    for key, down in part.items():
        layer = key.removesuffix(DOWN)
        if key.endswith(DOWN) and layer + UP in part:
            pairs[layer] = (down, part[layer + UP])
    used = {layer + end for layer in pairs for end in (DOWN, UP)}
    if unknown := [key for key in part if key not in used]:
        raise IntegrityError(f"the LoRA has {component}.{unknown[0]}, which is no half of a pair; it is damaged")
    return pairs


def _product(down: Tensor, up: Tensor, weight: Tensor, layer: str, name: str) -> Tensor:
    """B A in float64, in the shape of the weight; 1 x 1 convolutions are matrices."""
    a, b = down.double().flatten(1), up.double().flatten(1)
    if b.shape[1] != a.shape[0] or (b.shape[0], a.shape[1]) != (weight.shape[0], math.prod(weight.shape[1:])):
        raise IntegrityError(
            f"the LoRA's change of {layer} is {b.shape[0]}x{a.shape[1]}, and the layer of {name} is "
            f"{'x'.join(map(str, weight.shape))}: it was made for another model"
        )
    return (b @ a).reshape(weight.shape)


def _check_kind(tensors: Mapping[str, Tensor], notes: Mapping[str, Any], name: str) -> None:
    for mark, what in REFUSED.items():
        if any(mark in key for key in tensors):
            raise UsageError(f"the LoRA for {name} is {what}, which is not merged; only plain LoRA is")
    for key, value in notes.items():
        if value and key.rpartition(".")[2] in ("alpha_pattern", "use_dora", "use_rslora"):
            raise UsageError(f"the LoRA for {name} sets {key} = {value}, which is not merged; only plain LoRA is")
