"""The contract: a map takes noise to images, deterministically and one sample at a time.

``NoiseToImageMap`` is what every model becomes. Its ``__call__`` is final and enforces the contract on every call, so
that a plugin cannot break it silently.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, final

import torch
from torch import Tensor

from reprozoo.base.errors import ContractError, IntegrityError, UsageError
from reprozoo.maps.condition import EMPTY, Condition, check_condition

RANGE_TOLERANCE = 1e-6  # float32 rounding of a clamp to [-1, 1]; anything above is a map that forgot to clamp


class Denoiser(Protocol):
    """Karras's D: the posterior mean of the clean image.

    ``x`` is (batch, *noise_shape) in data units, x = x0 + sigma * eps; ``sigma`` is (batch,). Returns x0 of ``x``'s
    shape and dtype. Each row depends on its own row of ``x`` and ``sigma`` alone.
    """

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor: ...


class NoiseToImageMap(ABC):
    """A generative model as a deterministic function of noise.

    Subclasses set the attributes below and implement ``generate``; nothing else is needed.

    Attributes:
        noise_shape: shape of one noise, e.g. (3, 32, 32) or (128,).
        image_shape: (channels, height, width) of one image.
        accepts: condition kinds that change the image, out of ``CONDITION_KINDS``.
        requires: those of them without which the map cannot run.
        num_classes: number of class labels, where ``class_label`` is accepted.
        nfe: network evaluations for one image; None where the sampler chooses (adaptive steps).
    """

    noise_shape: tuple[int, ...]
    image_shape: tuple[int, int, int]
    accepts: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()
    num_classes: int | None = None
    nfe: int | None = 1

    @abstractmethod
    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Images of ``noise``: the one method of a map.

        Args:
            noise: (batch, *noise_shape) float32, unit variance, on the CPU; not to be modified.
            conditions: one per row of ``noise``.

        Returns:
            (batch, *image_shape), finite, in [-1, 1]; any floating dtype and device.
        """

    @final
    def __call__(self, noise: Tensor, conditions: Sequence[Condition] | None = None) -> Tensor:
        """Run the map with its contract enforced.

        Args:
            noise: (batch, *noise_shape) float32, finite.
            conditions: one per row, or None for none.

        Returns:
            (batch, *image_shape) float32 images in [-1, 1] on the CPU.

        Raises:
            UsageError: noise of another shape, or conditions that this map does not take or needs and lacks.
            ContractError: the map returned another shape, or values outside [-1, 1].
            IntegrityError: the map returned NaN or infinity.
        """
        self._check_noise(noise)
        conditions = [EMPTY] * len(noise) if conditions is None else list(conditions)
        self.check_conditions(conditions, count=len(noise))
        with torch.no_grad():
            images = self._generated(noise, conditions)
        return self._checked_images(images, count=len(noise))

    def check_conditions(self, conditions: Sequence[Condition], *, count: int) -> None:
        """Refuse conditions that are not one a sample, or that ``check_condition`` refuses."""
        if len(conditions) != count:
            raise UsageError(f"expected one condition for each of {count} noises, got {len(conditions)}")
        for condition in set(conditions):
            check_condition(condition, self.accepts, self.requires, self.num_classes, name=self.display_name)

    @property
    def display_name(self) -> str:
        """How the map is called in messages; the engine sets ``name`` to the id it was loaded under."""
        return str(getattr(self, "name", type(self).__name__))

    def _generated(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        try:
            return self.generate(noise, conditions)
        except SystemExit as error:  # no plugin may end the program that runs it
            raise ContractError(
                f"{self.display_name} called sys.exit({error.code!r}); it was to make images"
            ) from error

    def _check_noise(self, noise: Tensor) -> None:
        if noise.dtype != torch.float32:
            raise UsageError(f"expected float32 noise, got {noise.dtype}; draw it with NoiseBank")
        if tuple(noise.shape[1:]) != tuple(self.noise_shape) or noise.ndim == 0:
            raise UsageError(
                f"{self.display_name} takes noise of shape (batch, {', '.join(map(str, self.noise_shape))}), "
                f"got {tuple(noise.shape)}"
            )
        if not torch.isfinite(noise).all():
            raise UsageError("the noise holds NaN or infinity; draw it with NoiseBank")

    def _checked_images(self, images: Tensor, *, count: int) -> Tensor:
        expected = (count, *self.image_shape)
        if not isinstance(images, Tensor) or tuple(images.shape) != expected:
            came = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise ContractError(
                f"{self.display_name} returned {came} where its contract says images of shape {expected}"
            )
        images = images.detach().to("cpu", torch.float32)
        if not torch.isfinite(images).all():
            raise IntegrityError(
                f"{self.display_name} produced NaN or infinite pixels; half precision often does this: "
                "run it again with --dtype float32"
            )
        largest = float(images.abs().max()) if images.numel() else 0.0
        if largest > 1 + RANGE_TOLERANCE:
            raise ContractError(
                f"{self.display_name} returned pixel values up to {largest:.4g} where its contract says [-1, 1]; "
                "a map clamps its images itself"
            )
        return images.clamp(-1.0, 1.0)
