"""The maps: an observation and a denoiser in, the same noise always to the same image out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from reprozoo_plugins.inverse.guidance import Guidance, corrected, estimate_and_gradient
from reprozoo_plugins.inverse.units import units_of
from reprozoo_plugins.inverse.updates import Step, ancestral_steps, dpm_solver_steps
from torch import Tensor

from reprozoo import Condition, DenoiserMap, NoiseToImageMap, UsageError
from reprozoo.diffusion.kernels import at
from reprozoo.diffusion.observations import ObservedBatch, observations_of
from reprozoo.diffusion.sampling import evaluate

HIGHEST_ORDER = 3


class ObservedMap(NoiseToImageMap):
    """A denoiser's map that is shown an observation of every image; subclasses say what it does with them.

    Args:
        base: the denoiser, with its kernel.
        steps: from noise to image.

    Attributes:
        gradient_nfe: how many of the ``nfe`` evaluations are differentiated.
    """

    gradient_nfe = 0

    def __init__(self, base: DenoiserMap, steps: Sequence[Step]) -> None:
        self.base, self.steps, self.units = base, steps, units_of(base)
        self.noise_shape, self.image_shape, self.num_classes = base.noise_shape, base.image_shape, base.num_classes
        self.accepts, self.requires = base.accepts | {"observation"}, base.requires | {"observation"}
        self.nfe = sum(1 + step.further_calls for step in steps)

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return self.integrate(noise, conditions).clamp(-1.0, 1.0)

    def integrate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Images that are not clamped yet, float64 on the device."""
        noise = noise.to(self.base.device, torch.float64)
        observed = ObservedBatch(observations_of(conditions), self.image_shape, self.base.device)
        kernel = self.base.kernel
        x = kernel.initial_state(noise) * (self.steps[0].start / at(kernel.sigma, kernel.t_max))
        for step in self.steps:
            x = self.advance(step, x, noise, observed, conditions)
        return self.units.images(x)

    @abstractmethod
    def advance(
        self, step: Step, x: Tensor, noise: Tensor, observed: ObservedBatch, conditions: Sequence[Condition]
    ) -> Tensor:
        """The state after ``step``, in data units, float64."""


class PosteriorSampling(ObservedMap):
    """Diffusion posterior sampling without randomness: after each step, down the gradient of the misfit.

    Args:
        guidance: norm and step sizes.
        clip: whether estimates of the image are clipped to [-1, 1].
    """

    def __init__(self, base: DenoiserMap, steps: Sequence[Step], *, guidance: Guidance, clip: bool) -> None:
        super().__init__(base, steps)
        self.guidance, self.clip = guidance, clip
        self.gradient_nfe = len(steps)

    def advance(
        self, step: Step, x: Tensor, noise: Tensor, observed: ObservedBatch, conditions: Sequence[Condition]
    ) -> Tensor:
        denoiser = self.base.denoiser(conditions)
        x0, gradient = estimate_and_gradient(
            denoiser, x, step.start, observed, self.units, norm=self.guidance.norm, clip=self.clip
        )
        noise_std = observed.noise_std / abs(self.units.slope)
        sizes = self.guidance.step_sizes(
            step.start, step.end, self.base.kernel, noise_std=noise_std, gram=observed.gram
        )
        return corrected(step(denoiser, x, x0), gradient, sizes)


class Projection(ObservedMap):
    """After each step, what was measured of the state is replaced by the measurement with this noise on it.

    The original draws fresh noise each time; here it is the noise that the image is made from.
    """

    def advance(
        self, step: Step, x: Tensor, noise: Tensor, observed: ObservedBatch, conditions: Sequence[Condition]
    ) -> Tensor:
        denoiser = self.base.denoiser(conditions)
        x = step(denoiser, x, evaluate(denoiser, x, step.start))
        images = observed.projected(self.units.images(x), self.units.slope * step.end * noise)
        return self.units.states(images)


def load_posterior_sampling(base: DenoiserMap, options: Mapping[str, Any]) -> PosteriorSampling:
    """The solver ``dps`` over a denoiser.

    Raises:
        UsageError: options that have no effect together.
    """
    if options["schedule"] == "posterior" and (options["norm"] != "squared" or options["scale"] != "data"):
        raise UsageError("solver dps: schedule=posterior has its own step sizes, of norm=squared in scale=data")
    if options["data_std"] is not None and options["schedule"] != "posterior":
        raise UsageError("solver dps: data_std is for schedule=posterior alone")
    if options["update"] == "ddpm" and options["order"] is not None:
        raise UsageError("solver dps: order is that of update=dpm-solver; update=ddpm has none")
    guidance = Guidance(**{name: options[name] for name in ("zeta", "norm", "schedule", "scale", "data_std")})
    steps = steps_of(base, options)
    return PosteriorSampling(base, steps, guidance=guidance, clip=options["clip"])


def load_projection(base: DenoiserMap, options: Mapping[str, Any]) -> Projection:
    """The solver ``projection`` over a denoiser."""
    return Projection(base, steps_of(base, options))


def steps_of(base: DenoiserMap, options: Mapping[str, Any]) -> list[Step]:
    """The steps that ``steps``, ``order`` and ``update`` ask for."""
    if options.get("update") == "ddpm":
        return ancestral_steps(base.kernel, evaluations=options["steps"])
    return dpm_solver_steps(base.kernel, evaluations=options["steps"], order=options["order"] or HIGHEST_ORDER)
