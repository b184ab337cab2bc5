"""From the card of a pipeline to a map; imported only when one is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from reprozoo_plugins.diffusers_pipelines.calls import CALLS
from reprozoo_plugins.diffusers_pipelines.changes import Placement, compile_network, quantize_network
from reprozoo_plugins.diffusers_pipelines.classes import PipelineClass, pipeline_class
from reprozoo_plugins.diffusers_pipelines.components import load_components, pipeline_object
from reprozoo_plugins.diffusers_pipelines.lora import merge_lora
from reprozoo_plugins.diffusers_pipelines.memory import check_memory
from reprozoo_plugins.diffusers_pipelines.prompts import Prompts
from reprozoo_plugins.diffusers_pipelines.schedulers import Schedules, check_scheduler
from torch import Tensor

from reprozoo import Condition, IntegrityError, LoadContext, NoiseToImageMap, UsageError

DECODED_PIXELS = 512 * 512  # at a time: one image of Stable Diffusion, many small ones


class PipelineMap(NoiseToImageMap):
    """A pipeline's loop from given noise.

    Args:
        kind: its class.
        components: by name.
        schedules: makes the scheduler of each batch.
        prompts: encodes prompts; None for a pipeline without them.
        context: card, options, device and precision.
    """

    def __init__(
        self,
        kind: PipelineClass,
        components: Mapping[str, Any],
        schedules: Callable[[Any], Any],
        prompts: Prompts | None,
        context: LoadContext,
    ) -> None:
        card = context.card
        self.noise_shape, self.image_shape, self.num_classes = card.noise_shape, card.image_shape, card.num_classes
        self.kind, self.components, self.schedules, self.prompts = kind, components, schedules, prompts
        if prompts is not None:
            self.accepts = self.requires = frozenset({"prompt"})
        elif card.num_classes is not None:
            self.accepts = self.requires = frozenset({"class_label"})
        self.device, self.dtype = torch.device(context.device), getattr(torch, context.dtype)
        self.placement = Placement(components, self.device, context.options.get("offload"))
        scale = context.options.get("guidance_scale")
        self.guidance = float(scale if scale is not None else kind.guidance_scale or 0.0)
        self.guided = kind.guidance_scale is not None and kind.call != "flux" and self.guidance > 1
        self.network = components[kind.network]
        self.nfe = len(schedules(self.device).timesteps)
        self.pixel_factor = card.image_shape[1] // card.noise_shape[1]

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        with pinned_attention(self.device):
            given = self._given(conditions)
            scheduler = self.schedules(self.device)
            x = noise.to(self.device, torch.float32) * getattr(scheduler, "init_noise_sigma", 1.0)
            with self.placement.on_device(self.kind.network):
                for t in scheduler.timesteps:
                    x = scheduler.step(self._output(scheduler, x, t, given), t, x, return_dict=False)[0]
            self._check_finite(x, self.kind.network)
            images = self._decoded(x) if self.kind.decoder else x
        return self._checked(images).clamp(-1.0, 1.0)

    def _given(self, conditions: Sequence[Condition]) -> dict[str, Tensor]:
        """Conditions of a batch on the device, the unconditional ones first where it is guided."""
        count = len(conditions)
        factor = torch.full((count,), float(self.pixel_factor), device=self.device)
        given = {"factor": factor, "guidance": torch.full_like(factor, self.guidance)}
        empty = dict(given)
        if self.prompts is not None:
            texts = [str(condition.prompt) for condition in conditions]
            encoders = [name for name in self.kind.models if name not in (self.kind.network, self.kind.decoder)]
            with self.placement.on_device(*(encoders if self.prompts.missing(texts) else ())):
                encoded, unconditional = self.prompts(texts, self.device)
            given |= encoded
            empty |= unconditional
        elif self.num_classes is not None:
            given["labels"] = torch.tensor([condition.class_label for condition in conditions], device=self.device)
            empty["labels"] = torch.full_like(given["labels"], self.num_classes)  # "no class"
        return {name: torch.cat([empty[name], rows]) for name, rows in given.items()} if self.guided else given

    def _output(self, scheduler: Any, x: Tensor, t: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        """What the scheduler steps with, float32: one call of the network, guided."""
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        batch = torch.cat([scaled, scaled]) if self.guided else scaled
        output = CALLS[self.kind.call](self.network, batch.to(self.dtype), t, given).float()
        if not self.guided:
            return output
        unconditional, conditional = output.chunk(2)
        return unconditional + self.guidance * (conditional - unconditional)

    def _decoded(self, latents: Tensor) -> Tensor:
        """Images of latents, float32, some at a time; in float32 throughout where the decoder overflows otherwise."""
        decoder = self.components[self.kind.decoder]
        config = decoder.config
        upcast = self.kind.float32_decoder and self.dtype == torch.float16 and config.get("force_upcast", False)
        at_once = max(1, DECODED_PIXELS // (self.image_shape[1] * self.image_shape[2]))
        with self.placement.on_device(self.kind.decoder):
            if upcast:
                decoder.to(torch.float32)
            scaled = _unscaled(latents, config).to(torch.float32 if upcast else self.dtype)
            images = [decoder.decode(part, return_dict=False)[0].float() for part in torch.split(scaled, at_once)]
        return torch.cat(images)

    def _checked(self, images: Tensor) -> Tensor:
        """Refuse NaN, and images that are black throughout, which is how half precision often fails.

        Raises:
            IntegrityError: with the precision that helps.
        """
        self._check_finite(images, self.kind.decoder or self.kind.network)
        if self.dtype != torch.float32 and bool((images.flatten(1).amax(1) <= -1).any()):
            raise IntegrityError(
                f"{self.display_name} made an image that is black in every pixel in {_name(self.dtype)}; "
                f"{self._remedy()}"
            )
        return images

    def _check_finite(self, x: Tensor, part: str) -> None:
        if not bool(torch.isfinite(x).all()):
            raise IntegrityError(
                f"the {part} of {self.display_name} produced NaN or infinity in {_name(self.dtype)}; {self._remedy()}"
            )

    def _remedy(self) -> str:
        if self.dtype == torch.float16:
            return "run it with --dtype bfloat16, which has float32's range, or with --dtype float32"
        if self.dtype == torch.bfloat16:
            return "run it with --dtype float32"
        return "the weights are damaged, or the guidance scale is out of all bounds"


def load(context: LoadContext) -> PipelineMap:
    """Make the components, change them as the options say, put them together.

    Raises:
        UsageError: an option that this pipeline or this machine does not have.
        IntegrityError: a component is damaged or does not fit.
    """
    card, options = context.card, context.options
    kind = pipeline_class(str(card.network.get("pipeline")), card.id)
    check_scheduler(str(options["scheduler"]), kind.kind, card.id)
    check_memory(context)
    components = load_components(context, kind)
    network = components[kind.network]
    _check_network(kind, network, card.id)
    if "lora" in context.files:
        merge_lora(components, kind, context)
    pipeline = pipeline_object(kind, components) if kind.encode else None
    if options.get("quantize"):
        quantize_network(network, card.id)
    if options.get("compile"):
        compile_network(network)
    steps = int(options["steps"])
    if not 1 <= steps <= 1000:
        raise UsageError(f"option steps={steps}: expected 1 to 1000 steps")
    _, height, width = card.noise_shape
    patch = 2 if kind.packed else int(network.config.get("patch_size") or 1)
    schedules = Schedules(
        components["scheduler"], str(options["scheduler"]), steps=steps, kind=kind.kind,
        tokens=(height // patch) * (width // patch), linear_sigmas=kind.call == "flux",
        latent=bool(kind.decoder),
    )  # fmt: skip
    prompts = Prompts(pipeline, kind, card.id) if kind.encode else None
    return PipelineMap(kind, components, schedules, prompts, context)


def _check_network(kind: PipelineClass, network: Any, name: str) -> None:
    if getattr(network.config, "time_cond_proj_dim", None) is not None:
        raise UsageError(
            f"{name} has a network distilled with its guidance as an input (latent consistency), whose sampler draws "
            "noise at every step; it is not run as a map"
        )


@contextmanager
def pinned_attention(device: torch.device) -> Iterator[None]:
    """One attention for all models: on GPUs the memory-efficient kernel, whose forward pass sums in a fixed order in
    every precision, on CPUs the flash kernel; where these do not apply, the plain one. Flash on GPUs has no float32,
    and what the environment says (``DIFFUSERS_ATTN_BACKEND``, xformers) does not count.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fast = SDPBackend.FLASH_ATTENTION if device.type == "cpu" else SDPBackend.EFFICIENT_ATTENTION
    with ExitStack() as stack:
        stack.enter_context(sdpa_kernel([fast, SDPBackend.MATH]))
        try:
            from diffusers.models.attention_dispatch import attention_backend
        except ImportError:  # older than 0.36: nothing to choose
            pass
        else:
            stack.enter_context(attention_backend("native"))
        yield


def _unscaled(latents: Tensor, config: Mapping[str, Any]) -> Tensor:
    """In the autoencoder's units."""
    mean, std = config.get("latents_mean"), config.get("latents_std")
    scale = float(config.get("scaling_factor") or 1.0)
    if mean is not None and std is not None:
        centre, spread = (latents.new_tensor(values).reshape(1, -1, 1, 1) for values in (mean, std))
        return latents * spread / scale + centre
    return latents / scale + float(config.get("shift_factor") or 0.0)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
