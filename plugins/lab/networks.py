"""The networks that can be trained, by the names of recipes, and how each is told the class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo import UsageError
from reprozoo.base.errors import did_you_mean
from reprozoo.zoo.plugins import import_object

from .recipe import NetworkSpec

HIDDEN = -1  # the label of an image whose class is hidden


@dataclass(frozen=True)
class Kind:
    """A class of networks.

    Args:
        where: "package.module:class".
        classes: the option with its number of classes; "" where it cannot have any.
        one_hot: told the class by a one-hot row, zeros where it is hidden; otherwise by its number, the last one where
            it is hidden.
    """

    where: str
    classes: str = ""
    one_hot: bool = True


NETWORKS = {
    "song_unet": Kind("reprozoo.diffusion.networks.song_unet:SongUNet", "label_dim"),
    "multistage_unet": Kind("reprozoo.diffusion.networks.multistage_unet:MultistageUNet", "label_dim"),
    "ddpm_unet": Kind("reprozoo.diffusion.networks.ddpm_unet:DDPMUNet"),
    "progressive_unet": Kind("reprozoo.diffusion.networks.progressive_unet:ProgressiveUNet"),
    "uvit": Kind("reprozoo.diffusion.networks.uvit:UViT", "num_classes", one_hot=False),
    "dit": Kind("reprozoo.diffusion.networks.dit:DiT"),
    "conv_generator": Kind("reprozoo.diffusion.networks.generators:ConvGenerator"),
    "resnet_generator": Kind("reprozoo.diffusion.networks.generators:ResNetGenerator"),
    "gated_decoder": Kind("reprozoo.diffusion.networks.decoders:GatedDecoder"),
    "flow_decoder": Kind("reprozoo.diffusion.networks.decoders:FlowDecoder"),
    "conv_critic": Kind("reprozoo_plugins.lab.critics:ConvCritic"),
    "conv_encoder": Kind("reprozoo_plugins.lab.critics:ConvEncoder"),
}


def build_network(spec: NetworkSpec) -> nn.Module:
    """The network of a recipe, with fresh weights drawn from torch's global generator.

    Raises:
        UsageError: there is no such network, or it has no such option.
    """
    if spec.name not in NETWORKS:
        raise UsageError(
            f"unknown network {spec.name!r}{did_you_mean(spec.name, NETWORKS)}; known are {', '.join(NETWORKS)}"
        )
    build: Callable[..., nn.Module] = import_object(NETWORKS[spec.name].where)
    try:
        return build(**spec.options)
    except TypeError as error:
        raise UsageError(f"network {spec.name!r}: {error}") from error


class Classes:
    """How the network of a recipe is told the class.

    Args:
        spec: the recipe's network.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        kind = NETWORKS[spec.name]
        self.count = max(0, spec.options.get(kind.classes, 0)) if kind.classes else 0
        self.one_hot = kind.one_hot

    def check(self, labels: Tensor | None, *, dropout: float) -> None:
        """Refuse labels that the network cannot be told.

        Raises:
            UsageError: there are none for a network with classes, or it has too few classes for them.
        """
        if not self.count:
            return
        if labels is None:
            raise UsageError("the network has classes, and the data no labels; name labels_sha256 in [data]")
        needed = int(labels.max()) + 1 + (dropout > 0 and not self.one_hot)
        if needed > self.count:
            raise UsageError(f"the network has {self.count} classes; the labels and label_dropout need {needed}")

    def encode(self, labels: Tensor | None) -> Tensor | None:
        """What the network takes for ``labels`` (batch,), ``HIDDEN`` among them; None for a network without classes."""
        if not self.count or labels is None:
            return None
        if not self.one_hot:
            return labels.where(labels != HIDDEN, self.count - 1)
        rows = functional.one_hot(labels.clamp(min=0), self.count).float()
        return rows * (labels != HIDDEN)[:, None]

    def in_turn(self, labels: Tensor | None, count: int) -> Tensor | None:
        """Labels for ``count`` samples, each class of the data in turn."""
        return None if labels is None else torch.arange(count, device=labels.device) % (int(labels.max()) + 1)
