"""Progressive distillation: a student that does in one step of DDIM what its teacher does in two, then again.

Source: Salimans and Ho 2022, arXiv:2202.00512, algorithm 2 and section 4; image prediction, cosine kernel. In the
authors' code (google-research ``diffusion_distillation``) the learning rate falls within a stage and each begins with
new moments of Adam; here neither is so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reprozoo import Sampler, UsageError
from reprozoo.diffusion.kernels import per_sample
from reprozoo.diffusion.samplers import make_sampler

from .base import Batch, Network, Networks
from .denoising import X0Objective


@dataclass(frozen=True, kw_only=True)
class ProgressiveDistillation(X0Objective):
    """Halve the steps every ``stage_images`` images, the averaged student becoming the teacher, and stay at the last.

    Attributes:
        teacher_steps: steps of the first teacher; a power of two times ``student_steps``.
        student_steps: steps of the student that is exported.
        stage_images: images of every stage but the last.
    """

    needs_teacher: ClassVar[bool] = True

    teacher_steps: int
    student_steps: int
    stage_images: int

    def __post_init__(self) -> None:
        halvings = math.log2(self.teacher_steps / self.student_steps)
        if halvings < 1 or not halvings.is_integer():
            raise UsageError(
                f"teacher_steps is {self.teacher_steps}; it must be student_steps = {self.student_steps} times 2, "
                "4, 8, ..."
            )

    def steps_at(self, seen: int) -> int:
        """Steps of the student after ``seen`` images."""
        return max(self.teacher_steps >> (seen // self.stage_images + 1), self.student_steps)

    def draws(self, batch: int, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, ...]:
        place = torch.rand(batch, generator=generator, device=generator.device)
        return place, torch.randn((batch, *shape), generator=generator, device=generator.device)

    def losses(self, networks: Networks, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        place, noise = batch.draws
        steps = self.steps_at(batch.seen)
        t = (1 + (place * steps).floor().clamp(max=steps - 1)).double() / steps
        sigma = self.kernel.sigma(t).float()
        x = batch.x0 + per_sample(sigma, noise) * noise
        with torch.no_grad():
            target = self.target_of_teacher(batch.bound(networks["teacher"]), x, t, steps)
        found = self.predict(batch.bound(networks["network"]), x, sigma).float()
        error = (found - target).square().mean(dim=(1, 2, 3))
        yield "network", (self.weight(sigma) * error).mean()

    def target_of_teacher(self, teacher: Network, x: Tensor, t: Tensor, steps: int) -> Tensor:
        """The image that takes ``x`` in one step of 1 / steps where the teacher's two steps take it.

        ``t`` is (batch,) float64; all levels are sigma, in which a DDIM step is x' = x0 + (sigma' / sigma) (x - x0).
        """
        start, middle, end = (self.kernel.sigma((t - k / (2 * steps)).clamp(min=0)) for k in range(3))
        end = torch.where(t * steps < 1.5, 0.0, end)  # the last step ends at the image itself
        state = x.double()
        for sigma, following in ((start, middle), (middle, end)):
            x0 = self.predict(teacher, state.float(), sigma.float()).double()
            state = x0 + per_sample(following / sigma, x) * (state - x0)
        ratio = per_sample(end / start, x)
        return ((state - ratio * x.double()) / (1 - ratio)).float()

    def after_step(
        self, network: nn.Module, companions: Mapping[str, nn.Module], average: Mapping[str, Tensor], seen: range
    ) -> None:
        """At the end of a stage the student's average becomes the teacher, from which the next student starts."""
        if self.steps_at(seen.start) != self.steps_at(seen.stop):
            network.load_state_dict({**network.state_dict(), **average})
            companions["teacher"].load_state_dict(network.state_dict())

    def sampler(self, steps: int) -> Sampler:
        return make_sampler("ddim", self.kernel, steps=self.student_steps, spacing="time_uniform", clip_x0=True)
