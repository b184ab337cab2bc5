"""The pipeline classes that can be run as maps, as data; nothing of diffusers is imported.

A pipeline is a network that is called once a step, a scheduler, and, around them, encoders of a text and a decoder of
latents. The table says for each class which component is which, what classes a component may be of, and the settings
that diffusers' own ``__call__`` has as defaults. Whatever is not in it is refused with the list of what is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reprozoo import UsageError
from reprozoo.base.errors import did_you_mean

CLIP = ("CLIPTextModel",)
PROJECTED_CLIP = ("CLIPTextModelWithProjection",)
CLIP_TOKENIZER = ("CLIPTokenizer", "CLIPTokenizerFast")
T5_TOKENIZER = ("T5Tokenizer", "T5TokenizerFast")
KL = ("AutoencoderKL", "AutoencoderTiny")
LEFT_OUT = frozenset({"safety_checker", "feature_extractor", "image_encoder"})  # they make no pixel


@dataclass(frozen=True)
class PipelineClass:
    """One pipeline class.

    Attributes:
        name: as ``model_index.json`` says it.
        call: how the network is called: a name in ``calls.CALLS``.
        encode: how a prompt is encoded: a name in ``prompts.ENCODERS``; empty where none is taken.
        kind: "diffusion" (noise, v or data prediction), "flow" or "consistency": which schedulers it may have.
        scheduler: the one used where the repository's draws noise.
        network, decoder: names of the components; no decoder where the network works on pixels.
        components: name -> classes it may be of, the scheduler apart.
        optional: components that a repository may leave out.
        token_limits: tokenizer -> tokens of a prompt that its encoder reads, both ends included.
        steps, guidance_scale: defaults; None for a class that takes no guidance.
        sample_size: height and width of the latents where the network's configuration does not say.
        float32_decoder: the decoder overflows in float16 and runs in float32 then.
        packed: latents go through the network in patches of 2 x 2, so their sides are even.
    """

    name: str
    call: str
    kind: str
    scheduler: str
    network: str
    components: Mapping[str, tuple[str, ...]]
    encode: str = ""
    decoder: str = ""
    optional: frozenset[str] = frozenset()
    token_limits: Mapping[str, int] = field(default_factory=dict)
    steps: int = 50
    guidance_scale: float | None = None
    sample_size: int | None = None
    float32_decoder: bool = False
    packed: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """Components that have weights."""
        return tuple(name for name in self.components if not name.startswith("tokenizer"))

    @property
    def tokenizers(self) -> tuple[str, ...]:
        return tuple(name for name in self.components if name.startswith("tokenizer"))


def _on_pixels(name: str, *, call: str = "plain", kind: str = "diffusion", **settings: object) -> PipelineClass:
    defaults = {"scheduler": "ddim", "network": "unet", "components": {"unet": ("UNet2DModel",)}}
    return PipelineClass(name=name, call=call, kind=kind, **(defaults | settings))  # type: ignore[arg-type]


def _pixart(name: str, tokens: int) -> PipelineClass:
    return PipelineClass(
        name=name, call="pixart", encode="pixart", kind="diffusion", scheduler="dpmsolver++", network="transformer",
        decoder="vae", steps=20, guidance_scale=4.5, token_limits={"tokenizer": tokens},
        components={
            "tokenizer": T5_TOKENIZER, "text_encoder": ("T5EncoderModel",),
            "transformer": ("PixArtTransformer2DModel", "Transformer2DModel"), "vae": KL,
        },
    )  # fmt: skip


_TABLE = (
    _on_pixels("DDPMPipeline"),
    _on_pixels("DDIMPipeline"),
    _on_pixels("ConsistencyModelPipeline", kind="consistency", scheduler="consistency", steps=1),
    PipelineClass(
        name="LDMPipeline", call="plain", kind="diffusion", scheduler="ddim", network="unet", decoder="vqvae",
        components={"unet": ("UNet2DModel",), "vqvae": ("VQModel", "AutoencoderKL")},
    ),
    PipelineClass(
        name="LDMTextToImagePipeline", call="text", encode="ldm", kind="diffusion", scheduler="ddim", network="unet",
        decoder="vqvae", guidance_scale=1.0, token_limits={"tokenizer": 77},
        components={
            "tokenizer": ("BertTokenizer", "BertTokenizerFast"), "bert": ("LDMBertModel",),
            "unet": ("UNet2DConditionModel",), "vqvae": ("VQModel", "AutoencoderKL"),
        },
    ),
    PipelineClass(
        name="DiTPipeline", call="dit", kind="diffusion", scheduler="ddim", network="transformer", decoder="vae",
        guidance_scale=4.0,
        components={"transformer": ("DiTTransformer2DModel", "Transformer2DModel"), "vae": KL},
    ),
    PipelineClass(
        name="StableDiffusionPipeline", call="text", encode="stable-diffusion", kind="diffusion", scheduler="ddim",
        network="unet", decoder="vae", guidance_scale=7.5, token_limits={"tokenizer": 77},
        components={
            "tokenizer": CLIP_TOKENIZER, "text_encoder": CLIP, "unet": ("UNet2DConditionModel",), "vae": KL,
        },
    ),
    PipelineClass(
        name="StableDiffusionXLPipeline", call="sdxl", encode="sdxl", kind="diffusion", scheduler="euler",
        network="unet", decoder="vae", guidance_scale=5.0, token_limits={"tokenizer": 77, "tokenizer_2": 77},
        float32_decoder=True,
        components={
            "tokenizer": CLIP_TOKENIZER, "text_encoder": CLIP, "tokenizer_2": CLIP_TOKENIZER,
            "text_encoder_2": PROJECTED_CLIP, "unet": ("UNet2DConditionModel",), "vae": KL,
        },
    ),
    PipelineClass(
        name="StableDiffusion3Pipeline", call="sd3", encode="sd3", kind="flow", scheduler="flow-euler",
        network="transformer", decoder="vae", steps=28, guidance_scale=7.0,
        token_limits={"tokenizer": 77, "tokenizer_2": 77, "tokenizer_3": 256},
        optional=frozenset({"tokenizer_3", "text_encoder_3"}),
        components={
            "tokenizer": CLIP_TOKENIZER, "text_encoder": PROJECTED_CLIP, "tokenizer_2": CLIP_TOKENIZER,
            "text_encoder_2": PROJECTED_CLIP, "tokenizer_3": T5_TOKENIZER, "text_encoder_3": ("T5EncoderModel",),
            "transformer": ("SD3Transformer2DModel",), "vae": KL,
        },
    ),
    PipelineClass(
        name="FluxPipeline", call="flux", encode="flux", kind="flow", scheduler="flow-euler", network="transformer",
        decoder="vae", steps=28, guidance_scale=3.5, sample_size=128, packed=True,
        token_limits={"tokenizer": 77, "tokenizer_2": 512},
        components={
            "tokenizer": CLIP_TOKENIZER, "text_encoder": CLIP, "tokenizer_2": T5_TOKENIZER,
            "text_encoder_2": ("T5EncoderModel",), "transformer": ("FluxTransformer2DModel",), "vae": KL,
        },
    ),
    _pixart("PixArtAlphaPipeline", 120),
    _pixart("PixArtSigmaPipeline", 300),
    PipelineClass(
        name="SanaPipeline", call="sana", encode="sana", kind="flow", scheduler="flow-euler", network="transformer",
        decoder="vae", steps=20, guidance_scale=4.5, token_limits={"tokenizer": 300},
        components={
            "tokenizer": ("GemmaTokenizer", "GemmaTokenizerFast"), "text_encoder": ("Gemma2Model",),
            "transformer": ("SanaTransformer2DModel",), "vae": ("AutoencoderDC",),
        },
    ),
)  # fmt: skip

CLASSES: Mapping[str, PipelineClass] = {entry.name: entry for entry in _TABLE}


def pipeline_class(name: str, where: str) -> PipelineClass:
    """The entry of a class.

    Raises:
        UsageError: it is not in the table; the sentence names those that are.
    """
    if name not in CLASSES:
        raise UsageError(
            f"{where} is a {name}, which is not among the pipelines that are run as maps"
            f"{did_you_mean(name, CLASSES)}: {', '.join(CLASSES)}"
        )
    return CLASSES[name]
