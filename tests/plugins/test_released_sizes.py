"""Every card of these families describes a network of the published size, and a sampler that its kernel takes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reprozoo.diffusion.kernels import kernel_from_config
from reprozoo.diffusion.networks.dit import DiT
from reprozoo.diffusion.networks.dit_latent import LatentDiT
from reprozoo.diffusion.networks.progressive_unet import ProgressiveUNet
from reprozoo.diffusion.networks.uvit import UViT
from reprozoo.diffusion.samplers import make_sampler
from reprozoo.zoo.cards import ModelCard
from reprozoo.zoo.plugins import installed_registry

# Millions of parameters: arXiv:2209.12152, table 1; arXiv:2212.09748, table 1 (S/8 without its unread classes, XL/2
# with diffusers' repeated embeddings); progressive distillation counted in the original.
MILLIONS = {
    "uvit": 44, "uvit-cond": 44, "uvit-small-cifar10": 44, "uvit-mid-imagenet64": 131, "uvit-large-imagenet64": 287,
    "uvit-large-imagenet256": 287, "uvit-large-imagenet512": 287, "uvit-huge-imagenet256": 501,
    "uvit-huge-imagenet512": 501, "dit": 33, "dit-xl-2-256": 750, "dit-xl-2-512": 750, "progressive-teacher": 60,
    "progressivev1": 60, "progressivev2": 60, "progressivev3": 60,
}  # fmt: skip
EVALUATIONS = {
    "uvit": 20, "uvit-cond": 20, "uvit-small-cifar10": 50, "uvit-large-imagenet256": 50, "dit": 20,
    "dit-xl-2-256": 250, "progressivev1": 1,
}  # fmt: skip


def network_of(card: ModelCard) -> nn.Module:
    config = {name: value for name, value in card.network.items() if name not in ("time_scale", "centered")}
    classes = {"uvit": UViT, "progressive": ProgressiveUNet, "dit": DiT if card.num_classes is None else LatentDiT}
    with torch.device("meta"):
        return classes[card.family](**config)


@pytest.mark.parametrize("name", MILLIONS)
def test_network_and_sampler_of_the_card(name: str) -> None:
    card = installed_registry().model(name)
    network = network_of(card)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6) == MILLIONS[name]
    options = dict(card.sampler)
    sampler = make_sampler(options.pop("name"), kernel_from_config(card.kernel), **options)
    assert sampler.nfe == EVALUATIONS.get(name, sampler.nfe)


def test_no_card_of_these_families_is_left_out() -> None:
    cards = [card for card in installed_registry().models.values() if card.family in ("uvit", "dit", "progressive")]
    assert {card.id for card in cards if not card.id.startswith("tiny-")} == set(MILLIONS)
