"""From cards to theory maps; imported only when one is loaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from reprozoo_plugins.theory.empirical import EmpiricalDenoiser
from reprozoo_plugins.theory.gaussian import Gaussian
from reprozoo_plugins.theory.mixture import orthogonal_subspaces
from torch import Tensor

from reprozoo import Condition, DenoiserMap, LoadContext, UsageError
from reprozoo.diffusion.kernels import at


class TheoryMap(DenoiserMap):
    """A closed-form denoiser of flattened images, run by a sampler like any network.

    Args:
        denoise_rows: (batch, dim) float64 rows and (batch,) sigmas -> posterior means.
        gaussian: the data, where they are Gaussian.
        settings: as ``LoadContext.denoiser_settings`` gives them.
    """

    def __init__(
        self,
        denoise_rows: Callable[[Tensor, Tensor], Tensor],
        *,
        gaussian: Gaussian | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.denoise_rows, self.gaussian = denoise_rows, gaussian

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return self.denoise_rows(x.flatten(1).double(), sigma.double()).reshape(x.shape).to(x.dtype)


class GaussianFlowMap(TheoryMap):
    """The Gaussian's probability flow in closed form: no solver, no solver error, no denoiser call."""

    def __init__(self, gaussian: Gaussian, **settings: Any) -> None:
        super().__init__(gaussian.denoise, gaussian=gaussian, **settings)
        self.flow = gaussian.flow
        self.nfe = 0

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        x = self.kernel.initial_state(noise.to(self.device, torch.float64))
        sigma = torch.full((len(x),), at(self.kernel.sigma, self.kernel.t_max), dtype=torch.float64, device=x.device)
        return self.flow(x.flatten(1), sigma).reshape(x.shape).clamp(-1.0, 1.0)


def load_gaussian(context: LoadContext) -> DenoiserMap:
    """The Gaussian whose mean and leading eigenpairs lie in the card's file.

    The file holds ``mean`` (dim,), ``vectors`` (dim, rank), ``values`` (rank,) and ``rest`` (), in units of images in
    [-1, 1], flattened channel first.
    """
    tensors = {name: tensor.double() for name, tensor in context.tensors("statistics").items()}
    dim = math.prod(context.card.image_shape)
    if tensors["mean"].numel() != dim:
        raise UsageError(
            f"the statistics hold {tensors['mean'].numel()} values per image, {context.card.id} needs {dim}"
        )
    gaussian = Gaussian(tensors["mean"], _orthonormal(tensors["vectors"]), tensors["values"], float(tensors["rest"]))
    moved = Gaussian(*(t.to(context.device) for t in (gaussian.mean, gaussian.vectors, gaussian.values)), gaussian.rest)
    if context.options["flow"] == "closed-form":
        _expect_no_choice_of_sampler(context)
        return GaussianFlowMap(moved, **context.denoiser_settings())
    return TheoryMap(moved.denoise, gaussian=moved, **context.denoiser_settings())


def _expect_no_choice_of_sampler(context: LoadContext) -> None:
    chosen = context.sampler.config()
    if differing := [
        f"{name}={chosen.get(name)}" for name, value in context.card.sampler.items() if chosen.get(name) != value
    ]:
        raise UsageError(
            f"{context.card.id} computes its flow in closed form, in which {', '.join(differing)} has no part; leave "
            "it out, or add +flow=sampler"
        )


def load_empirical(context: LoadContext) -> DenoiserMap:
    """The empirical distribution of the data set that option ``data`` names."""
    from reprozoo.zoo.datasets import load_dataset

    name, first = context.options["data"], context.options["first"]
    if not name:
        raise UsageError(f"{context.card.id} needs a training set: {context.card.id}+data=NAME or +data=PATH")
    images = torch.as_tensor(load_dataset(name, context.options["split"]).images_u8)
    if tuple(images.shape[1:]) != context.card.image_shape:
        raise UsageError(
            f"the images of {name} are {tuple(images.shape[1:])}, {context.card.id} is for {context.card.image_shape}"
        )
    if first is not None:
        if not 1 <= first <= len(images):
            raise UsageError(f"option first={first}: {name} has {len(images)} images; expected 1 to {len(images)}")
        images = images[:first]
    denoiser = EmpiricalDenoiser(images.flatten(1), torch.device(context.device))
    return TheoryMap(denoiser.denoise, **context.denoiser_settings())


def load_mixture(context: LoadContext) -> DenoiserMap:
    """The paper's synthetic mixture on orthogonal subspaces, in the card's image shape."""
    options = context.options
    mixture = orthogonal_subspaces(
        math.prod(context.card.image_shape),
        components=options["components"],
        rank=options["rank"],
        seed=options["mixture_seed"],
    )
    return TheoryMap(mixture.denoise, **context.denoiser_settings())


def _orthonormal(vectors: Tensor) -> Tensor:
    """Undo the rounding of half-precision storage: the nearest orthonormal columns in order."""
    basis, triangle = torch.linalg.qr(vectors)
    return basis * torch.sign(torch.diagonal(triangle))
