"""The decoder of latent models: released files name its attention as diffusers did long ago."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from reprozoo import IntegrityError
from reprozoo.diffusion.networks.autoencoder import DECODED_AT_ONCE, LATENT_SCALE, LatentDecoder
from reprozoo.zoo.weights import read_checkpoint
from tests.autoencoders import tiny_autoencoder

OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def test_old_names_and_shapes_of_attention_give_the_same_images(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(tiny_autoencoder(tmp_path / "vae"))
    config, new = checkpoint.init[""]["kwargs"], dict(checkpoint.tensors)
    old = {}
    for name, tensor in new.items():
        renamed = re.sub(r"(to_q|to_k|to_v|to_out\.0)(?=\.)", lambda found: OLD[found[0]], name)
        old[renamed] = tensor[:, :, None, None] if renamed != name and tensor.ndim == 2 else tensor
    assert len(old.keys() - new.keys()) == 16  # weights and biases of four layers, in the encoder and in the decoder
    latents = torch.randn(2, 4, 4, 4, dtype=torch.float64)
    assert torch.equal(LatentDecoder(config, old)(latents), LatentDecoder(config, new)(latents))


def test_decoding_is_the_autoencoders_own_row_by_row(tmp_path: Path) -> None:
    decoder = LatentDecoder.from_checkpoint(read_checkpoint(tiny_autoencoder(tmp_path / "vae")))
    latents = torch.randn(DECODED_AT_ONCE + 1, 4, 4, 4)
    together = decoder(latents)
    expected = torch.cat([decoder.network.decode(row[None] / LATENT_SCALE).sample for row in latents])
    torch.testing.assert_close(together, expected, rtol=1e-4, atol=1e-5)  # float32 sums in another order
    with pytest.raises(IntegrityError, match="the file of the autoencoder holds the weights of another network"):
        LatentDecoder(decoder.network.config, {"encoder.conv_in.weight": torch.zeros(8, 3, 3, 3)})
