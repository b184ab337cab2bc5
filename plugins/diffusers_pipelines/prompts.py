"""From prompts to conditions, once for each prompt, by the pipelines' own encoders; none is silently cut short."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from reprozoo_plugins.diffusers_pipelines.classes import PipelineClass
from reprozoo_plugins.diffusers_pipelines.components import quiet_libraries
from torch import Tensor

from reprozoo import UsageError

REMEMBERED = 64  # prompts; an embedding of SD3 or Flux has some 5 MB
Encoded = dict[str, Tensor]
Encoder = Callable[[Any, str, torch.device], tuple[Encoded, Encoded]]


class Prompts:
    """Conditions of a pipeline's prompts, each encoded alone, so that none depends on its batch.

    Args:
        pipeline: diffusers' pipeline with its encoders.
        kind: its class.
        name: what the model is called in messages.
    """

    def __init__(self, pipeline: Any, kind: PipelineClass, name: str) -> None:
        self.pipeline, self.kind, self.name = pipeline, kind, name
        self._known: OrderedDict[str, Encoded] = OrderedDict()
        self._empty: Encoded | None = None

    def missing(self, prompts: Sequence[str]) -> bool:
        """Whether one of them was not encoded yet, so that the encoders are needed."""
        return any(prompt not in self._known for prompt in prompts)

    def __call__(self, prompts: Sequence[str], device: torch.device) -> tuple[Encoded, Encoded]:
        """Conditions of some prompts, one row each, and those of as many empty ones, for guidance.

        Raises:
            UsageError: a prompt is longer than the model reads.
        """
        rows = [self._encoded(prompt, device) for prompt in prompts]
        for prompt in list(self._known)[:-REMEMBERED]:
            del self._known[prompt]
        assert self._empty is not None  # an encoder gives both
        return _stacked(rows), _stacked([self._empty] * len(rows))

    def _encoded(self, prompt: str, device: torch.device) -> Encoded:
        if prompt not in self._known:
            self._check_length(prompt)
            with quiet_libraries():
                encoded, empty = ENCODERS[self.kind.encode](self.pipeline, prompt, device)
            self._known[prompt] = encoded
            self._empty = self._empty or empty
        self._known.move_to_end(prompt)
        return self._known[prompt]

    def _check_length(self, prompt: str) -> None:
        """Refuse what every encoder would cut short: an ignored end of a prompt would look like a result."""
        lengths = {}
        for name, limit in self.kind.token_limits.items():
            tokenizer = getattr(self.pipeline, name)
            if tokenizer is not None:
                with quiet_libraries():
                    count = len(tokenizer(prompt, truncation=False).input_ids)
                if count <= limit:
                    return
                lengths[limit] = count
        limit = max(lengths)
        raise UsageError(
            f"the prompt has {lengths[limit]:,} tokens with the marks of its ends, and {self.name} reads {limit}; the "
            f"rest would be ignored: shorten it. It begins: {prompt[:60]!r}"
        )


def _stacked(rows: Sequence[Encoded]) -> Encoded:
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def _stable_diffusion(pipeline: Any, prompt: str, device: torch.device) -> tuple[Encoded, Encoded]:
    embeds, empty = pipeline.encode_prompt(prompt, device, 1, True)
    return {"embeds": embeds}, {"embeds": empty}


def _pooled(pipeline: Any, prompt: str, device: torch.device) -> tuple[Encoded, Encoded]:
    """SDXL and SD3, whose own empty prompt may be zeros."""
    several = {name: None for name in ("prompt_2", "prompt_3") if name in _parameters(pipeline.encode_prompt)}
    embeds, empty, pooled, empty_pooled = pipeline.encode_prompt(
        prompt=prompt, device=device, do_classifier_free_guidance=True, **several
    )
    return {"embeds": embeds, "pooled": pooled}, {"embeds": empty, "pooled": empty_pooled}


def _flux(pipeline: Any, prompt: str, device: torch.device) -> tuple[Encoded, Encoded]:
    embeds, pooled, _ = pipeline.encode_prompt(prompt=prompt, prompt_2=None, device=device)
    return {"embeds": embeds, "pooled": pooled}, {}


def _masked(pipeline: Any, prompt: str, device: torch.device) -> tuple[Encoded, Encoded]:
    """PixArt and Sana: with the settings of their ``__call__``, and no cleaning, which needs further packages."""
    ours, theirs = _parameters(pipeline.encode_prompt), _parameters(pipeline.__call__)
    defaults = {
        name: theirs[name].default
        for name in ("max_sequence_length", "complex_human_instruction")
        if name in ours and name in theirs
    }
    embeds, mask, empty, empty_mask = pipeline.encode_prompt(
        prompt, True, device=device, clean_caption=False, **defaults
    )
    return {"embeds": embeds, "mask": mask}, {"embeds": empty, "mask": empty_mask}


def _ldm(pipeline: Any, prompt: str, device: torch.device) -> tuple[Encoded, Encoded]:
    found = []
    for text in (prompt, ""):
        tokens = pipeline.tokenizer(
            [text], padding="max_length", max_length=77, truncation=True, return_tensors="pt"
        )  # fmt: skip
        found.append({"embeds": pipeline.bert(tokens.input_ids.to(device))[0]})
    return found[0], found[1]


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


ENCODERS: Mapping[str, Encoder] = {
    "stable-diffusion": _stable_diffusion, "sdxl": _pooled, "sd3": _pooled, "flux": _flux, "pixart": _masked,
    "sana": _masked, "ldm": _ldm,
}  # fmt: skip
