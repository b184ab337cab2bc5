"""Networks that are trained beside the one that is exported: a GAN's critic, and the encoder of a VAE."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class ConvCritic(nn.Module):
    """DCGAN's discriminator without batch norm: 4x4 convolutions, each halving the resolution, then one number.

    Args:
        in_channels: of the image.
        img_resolution: height and width of the image.
        channels: after each convolution.
        spectral: whether every layer's spectral norm is held at 1 (Miyato et al. 2018, arXiv:1802.05957).
    """

    def __init__(
        self, *, in_channels: int = 3, img_resolution: int = 32, channels: Sequence[int], spectral: bool = False
    ) -> None:
        super().__init__()
        side = img_resolution >> len(channels)
        layers = [*_halving((in_channels, *channels)), nn.Flatten(), nn.Linear(channels[-1] * side**2, 1)]
        if spectral:
            layers = [spectral_norm(layer) if hasattr(layer, "weight") else layer for layer in layers]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """(batch,) how real each of ``images`` (batch, in_channels, height, width) looks; without bounds."""
        score: Tensor = self.layers(images)
        return score[:, 0]


class ConvEncoder(nn.Module):
    """The same convolutions, ending in the mean and the logarithm of the variance of a latent.

    Args:
        z_dim: length of the latent.
        in_channels, img_resolution, channels: as ``ConvCritic``'s.
    """

    def __init__(self, *, z_dim: int, in_channels: int = 3, img_resolution: int = 32, channels: Sequence[int]) -> None:
        super().__init__()
        side = img_resolution >> len(channels)
        layers = [*_halving((in_channels, *channels)), nn.Flatten(), nn.Linear(channels[-1] * side**2, 2 * z_dim)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 2 * z_dim): the mean, then the log variance."""
        both: Tensor = self.layers(images)
        return both


def _halving(channels: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for entering, leaving in pairwise(channels):
        layers += [nn.Conv2d(entering, leaving, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return layers
