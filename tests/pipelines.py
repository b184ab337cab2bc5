"""Tiny pipelines of diffusers with random weights, whole: to be called, to be saved, to be put on a Hub.

``TINY[class name](seed)`` makes the components of one; ``pipeline`` puts them into diffusers' own class, and ``files``
gives what its repository on the Hub holds.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors.torch import load, save

Parts = dict[str, Any]
HIDDEN = 32


def randomised(module: Any, seed: int, gain: float = 1.0) -> Any:
    """The module with every parameter drawn anew, so that no layer is zero and nothing passes by accident.

    A smaller ``gain`` makes a network that does not amplify rounding from step to step.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            std = gain * (parameter.numel() / parameter.shape[0]) ** -0.5 if parameter.ndim > 1 else 0.1
            parameter.copy_(std * drawn + (1.0 if "norm" in name and name.endswith("weight") else 0.0))
    return module.eval()


# --- components ----------------------------------------------------------------------------------------------------


def clip_tokenizer() -> Any:
    """Byte-level characters and a few words; 77 tokens, as in every CLIP."""
    letters = [chr(code) for code in [*range(33, 127), *range(161, 173), *range(174, 256)]]
    words = ["".join(pair) + "</w>" for pair in (("a", "n"), ("o", "f"))]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *words, "<|startoftext|>", "<|endoftext|>"]
    vocab = {token: number for number, token in enumerate(tokens)}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "vocab.json").write_text(json.dumps(vocab))
        Path(folder, "merges.txt").write_text("#version: 0.2\na n</w>\no f</w>\n")
        Path(folder, "tokenizer_config.json").write_text(json.dumps({"model_max_length": 77}))
        return transformers.CLIPTokenizer.from_pretrained(folder)


def t5_tokenizer() -> Any:
    letters = [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz,."]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    return transformers.T5TokenizerFast(vocab=special + letters, extra_ids=0, model_max_length=512)


def gemma_tokenizer() -> Any:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁"]
    tokens = special + list("abcdefghijklmnopqrstuvwxyz.,") + [f"<0x{byte:02X}>" for byte in range(256)]
    return transformers.GemmaTokenizerFast(vocab={token: i for i, token in enumerate(tokens)}, merges=[])


def bert_tokenizer() -> Any:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "of", "photo", "horse"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "vocab.txt").write_text("\n".join(tokens))
        Path(folder, "tokenizer_config.json").write_text(json.dumps({"model_max_length": 77}))
        return transformers.BertTokenizerFast.from_pretrained(folder)


def clip(seed: int, *, projected: bool = False) -> Any:
    config = transformers.CLIPTextConfig(
        vocab_size=len(clip_tokenizer()), hidden_size=HIDDEN, intermediate_size=37, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=77, projection_dim=HIDDEN, bos_token_id=0,
        eos_token_id=len(clip_tokenizer()) - 1, pad_token_id=1,
    )  # fmt: skip
    cls = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return randomised(cls(config), seed)


def t5(seed: int) -> Any:
    config = transformers.T5Config(
        vocab_size=64, d_model=HIDDEN, d_ff=37, d_kv=8, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu"
    )
    return randomised(transformers.T5EncoderModel(config), seed)


def gemma(seed: int) -> Any:
    config = transformers.Gemma2Config(
        vocab_size=320, hidden_size=HIDDEN, intermediate_size=37, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8,
    )  # fmt: skip
    return randomised(transformers.Gemma2Model(config), seed)


def autoencoder(seed: int, *, blocks: int = 2, **settings: Any) -> Any:
    """Images are 2 ** (blocks - 1) times as large as latents."""
    return randomised(
        diffusers.AutoencoderKL(
            block_out_channels=(8,) * blocks, down_block_types=("DownEncoderBlock2D",) * blocks,
            up_block_types=("UpDecoderBlock2D",) * blocks, latent_channels=4, norm_num_groups=4, sample_size=16,
            **settings,
        ),
        seed,
    )  # fmt: skip


def text_unet(seed: int, **settings: Any) -> Any:
    chosen = {
        "sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "attention_head_dim": 4,
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "cross_attention_dim": HIDDEN,
    } | settings  # fmt: skip
    return randomised(diffusers.UNet2DConditionModel(**chosen), seed)


def pixel_unet(seed: int, **settings: Any) -> Any:
    chosen = {
        "sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": 4,
    } | settings  # fmt: skip
    return randomised(diffusers.UNet2DModel(**chosen), seed)


def pndm() -> Any:
    """The scheduler of Stable Diffusion's repositories; what their files say is said here too, since diffusers treats
    a default and a value that is equal to it differently when it makes another scheduler of them.
    """
    return diffusers.PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1,
        set_alpha_to_one=False, prediction_type="epsilon", timestep_spacing="leading",
    )  # fmt: skip


# --- pipelines -----------------------------------------------------------------------------------------------------


def stable_diffusion(seed: int) -> Parts:
    return {
        "tokenizer": clip_tokenizer(), "text_encoder": clip(seed), "unet": text_unet(seed + 1),
        "vae": autoencoder(seed + 2, blocks=4), "scheduler": pndm(), "safety_checker": None, "feature_extractor": None,
    }  # fmt: skip


def sdxl(seed: int) -> Parts:
    unet = text_unet(
        seed + 2, cross_attention_dim=2 * HIDDEN, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + HIDDEN, transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
    )  # fmt: skip
    return {
        "tokenizer": clip_tokenizer(), "text_encoder": clip(seed), "tokenizer_2": clip_tokenizer(),
        "text_encoder_2": clip(seed + 1, projected=True), "unet": unet,
        "vae": autoencoder(seed + 3, scaling_factor=0.13025), "scheduler": diffusers.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
            timestep_spacing="leading", use_karras_sigmas=False,
        ),
    }  # fmt: skip


def sd3(seed: int) -> Parts:
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        joint_attention_dim=2 * HIDDEN, caption_projection_dim=32, pooled_projection_dim=2 * HIDDEN, out_channels=4,
        pos_embed_max_size=12,
    )  # fmt: skip
    return {
        "tokenizer": clip_tokenizer(), "text_encoder": clip(seed, projected=True), "tokenizer_2": clip_tokenizer(),
        "text_encoder_2": clip(seed + 1, projected=True), "tokenizer_3": None, "text_encoder_3": None,
        "transformer": randomised(transformer, seed + 2, gain=0.5),
        "vae": autoencoder(seed + 3, scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False,
                           use_post_quant_conv=False),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    }  # fmt: skip


def flux(seed: int) -> Parts:
    transformer = diffusers.FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=HIDDEN, pooled_projection_dim=HIDDEN, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    return {
        "tokenizer": clip_tokenizer(), "text_encoder": clip(seed), "tokenizer_2": t5_tokenizer(),
        "text_encoder_2": t5(seed + 1), "transformer": randomised(transformer, seed + 2),
        "vae": autoencoder(seed + 3, scaling_factor=0.3611, shift_factor=0.1159),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(
            shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15
        ),
    }  # fmt: skip


def pixart(seed: int) -> Parts:
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=8, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=4, in_channels=4,
        out_channels=8, cross_attention_dim=32, caption_channels=HIDDEN, use_additional_conditions=False,
    )  # fmt: skip
    return {
        "tokenizer": t5_tokenizer(), "text_encoder": t5(seed), "transformer": randomised(transformer, seed + 1),
        "vae": autoencoder(seed + 2), "scheduler": diffusers.DPMSolverMultistepScheduler(),
    }  # fmt: skip


def sana(seed: int) -> Parts:
    transformer = diffusers.SanaTransformer2DModel(
        in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=HIDDEN,
        sample_size=16, patch_size=1,
    )  # fmt: skip
    vae = diffusers.AutoencoderDC(
        in_channels=3, latent_channels=4, attention_head_dim=2, encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"), encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1), downsample_block_type="conv",
        upsample_block_type="interpolate", decoder_norm_types="rms_norm", decoder_act_fns="silu",
        scaling_factor=0.41407,
    )  # fmt: skip
    return {
        "tokenizer": gemma_tokenizer(), "text_encoder": gemma(seed), "transformer": randomised(transformer, seed + 1),
        "vae": randomised(vae, seed + 2), "scheduler": diffusers.DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
    }  # fmt: skip


def dit(seed: int) -> Parts:
    transformer = diffusers.DiTTransformer2DModel(
        sample_size=8, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=2, in_channels=4,
        out_channels=8, num_embeds_ada_norm=1000, norm_elementwise_affine=False,
    )  # fmt: skip
    return {
        "transformer": randomised(transformer, seed), "vae": autoencoder(seed + 1),
        "scheduler": diffusers.DDIMScheduler(clip_sample=False),
    }  # fmt: skip


def ddpm(seed: int) -> Parts:
    return {"unet": pixel_unet(seed), "scheduler": diffusers.DDPMScheduler()}


def ddim(seed: int) -> Parts:
    return {"unet": pixel_unet(seed), "scheduler": diffusers.DDIMScheduler()}


def consistency(seed: int) -> Parts:
    return {
        "unet": pixel_unet(seed, num_class_embeds=10),
        "scheduler": diffusers.CMStochasticIterativeScheduler(num_train_timesteps=40, sigma_max=80.0),
    }


def ldm(seed: int) -> Parts:
    vqvae = diffusers.VQModel(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, norm_num_groups=4,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=3, num_vq_embeddings=16, sample_size=16,
    )  # fmt: skip
    return {
        "vqvae": randomised(vqvae, seed), "unet": pixel_unet(seed + 1),
        "scheduler": diffusers.DDIMScheduler(clip_sample=False),
    }  # fmt: skip


def ldm_text(seed: int) -> Parts:
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

    config = LDMBertConfig(
        vocab_size=9, d_model=HIDDEN, encoder_layers=1, encoder_ffn_dim=37, encoder_attention_heads=2, head_dim=8,
        max_position_embeddings=77, num_hidden_layers=1, pad_token_id=0,
    )  # fmt: skip
    return {
        "vqvae": autoencoder(seed, blocks=4), "bert": randomised(LDMBertModel(config), seed + 1),
        "tokenizer": bert_tokenizer(), "unet": text_unet(seed + 2),
        "scheduler": diffusers.DDIMScheduler(clip_sample=False),
    }  # fmt: skip


TINY: Mapping[str, Callable[[int], Parts]] = {
    "StableDiffusionPipeline": stable_diffusion, "StableDiffusionXLPipeline": sdxl, "StableDiffusion3Pipeline": sd3,
    "FluxPipeline": flux, "PixArtAlphaPipeline": pixart, "PixArtSigmaPipeline": pixart, "SanaPipeline": sana,
    "DiTPipeline": dit, "DDPMPipeline": ddpm, "DDIMPipeline": ddim, "ConsistencyModelPipeline": consistency,
    "LDMPipeline": ldm, "LDMTextToImagePipeline": ldm_text,
}  # fmt: skip


@cache
def pipeline(name: str, seed: int = 0) -> Any:
    """diffusers' own pipeline around tiny components."""
    made = getattr(diffusers, name)(**TINY[name](seed))
    made.set_progress_bar_config(disable=True)
    return made


@cache
def files(name: str, seed: int = 0, *, half: bool = False) -> dict[str, bytes]:
    """The repository of a pipeline as ``save_pretrained`` writes it; ``half`` adds the variant fp16 of all weights."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline(name, seed).save_pretrained(folder)
        found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
    if half:
        for path, body in list(found.items()):
            if path.endswith(".safetensors"):
                cast = {
                    key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in load(body).items()
                }
                found[path.replace(".safetensors", ".fp16.safetensors")] = save(cast, metadata={"format": "pt"})
    return found
