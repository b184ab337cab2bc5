"""From a progressive-distillation card to a map; imported only when one is loaded.

``network`` is the arguments of ``ProgressiveUNet``, and ``student_steps`` for files that do not say it themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from reprozoo import Condition, LoadContext, NetworkDenoiserMap, UsageError, load_weights
from reprozoo.diffusion.kernels import at, per_sample
from reprozoo.diffusion.networks.progressive_unet import ProgressiveUNet, state_dict_from_flax

LARGEST_TIME = 1000.0


class ProgressiveMap(NetworkDenoiserMap):
    """x0 itself, the network being told the noise level as 1000 * atan(sigma) / (pi / 2)."""

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        lowest, highest = (at(self.kernel.sigma, t) for t in (self.kernel.t_min, self.kernel.t_max))
        time = sigma.clamp(lowest, highest).atan() * (2 / math.pi * LARGEST_TIME)
        state = per_sample(self.kernel.alpha(self.kernel.time(sigma)), x) * x
        return self.run_network(state, time, self.class_labels(conditions))


def load(context: LoadContext) -> ProgressiveMap:
    """Build the card's network, load its weights strictly, wrap it.

    Raises:
        UsageError: a student is asked for other steps than its own.
    """
    checkpoint = context.checkpoint()
    config = dict(context.card.network)
    steps = int(checkpoint.facts.get("num_sample_steps", config.pop("student_steps", 0)))  # 0 of a teacher
    if steps:
        _check_sampler(context, steps)
    network = ProgressiveUNet(**config)
    load_weights(network, _state_dict(checkpoint.tensors), context.card.id)
    loaded = ProgressiveMap(network, **context.network_settings())
    loaded.is_posterior_mean = not steps
    return loaded


def _state_dict(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    is_flax = any(name.endswith("/kernel") for name in tensors)
    return state_dict_from_flax(tensors) if is_flax else dict(tensors)


def _check_sampler(context: LoadContext, steps: int) -> None:
    """A student knows the levels of its own steps of DDIM, and where its teacher goes from them; nothing else."""
    asked = context.sampler.config()
    own = {"name": "ddim", "steps": steps, "spacing": "time_uniform"}
    if differing := [f"{name}={asked.get(name)}" for name, value in own.items() if asked.get(name) != value]:
        raise UsageError(
            f"{context.card.id} is a student of {steps} steps of DDIM, uniform in time, and was asked for "
            f"{', '.join(differing)}; leave the sampler's options out, or choose the student of that number"
        )
