"""diffusers' schedulers by name: those that draw no noise. The others are refused by name.

A map is a function of the noise it is given; a scheduler that draws more at every step makes another image each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reprozoo import UsageError
from reprozoo.base.errors import did_you_mean

LARGEST_SHIFT = 1.15  # of dynamic shifting, where a configuration does not say


@dataclass(frozen=True)
class SchedulerName:
    """A scheduler that can be chosen.

    Attributes:
        cls: diffusers' class.
        kinds: of networks it can run.
        settings: what is changed in the repository's configuration.
    """

    cls: str
    kinds: tuple[str, ...] = ("diffusion",)
    settings: Mapping[str, Any] = field(default_factory=dict)


SCHEDULERS: Mapping[str, SchedulerName] = {
    "pndm": SchedulerName("PNDMScheduler"),
    "ddim": SchedulerName("DDIMScheduler"),
    "dpmsolver++": SchedulerName(
        "DPMSolverMultistepScheduler", ("diffusion", "flow"), {"algorithm_type": "dpmsolver++"}
    ),
    "dpmsolver": SchedulerName(
        "DPMSolverMultistepScheduler", settings={"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"}
    ),
    "unipc": SchedulerName("UniPCMultistepScheduler", ("diffusion", "flow")),
    "deis": SchedulerName("DEISMultistepScheduler"),
    "heun": SchedulerName("HeunDiscreteScheduler"),
    "euler": SchedulerName("EulerDiscreteScheduler"),
    "flow-euler": SchedulerName("FlowMatchEulerDiscreteScheduler", ("flow",), {"stochastic_sampling": False}),
    "consistency": SchedulerName("CMStochasticIterativeScheduler", ("consistency",)),
}
STOCHASTIC = {
    "ddpm": "DDPMScheduler", "euler_a": "EulerAncestralDiscreteScheduler", "euler-a": "EulerAncestralDiscreteScheduler",
    "euler-ancestral": "EulerAncestralDiscreteScheduler", "kdpm2_a": "KDPM2AncestralDiscreteScheduler",
    "lcm": "LCMScheduler", "tcd": "TCDScheduler", "scm": "SCMScheduler", "sde": "DPMSolverSDEScheduler",
    "dpmsolver-sde": "DPMSolverSDEScheduler", "sde-dpmsolver": "DPMSolverMultistepScheduler",
    "sde-dpmsolver++": "DPMSolverMultistepScheduler", "dpmsolver++-sde": "DPMSolverMultistepScheduler",
}  # fmt: skip


def check_scheduler(name: str, kind: str, whose: str) -> None:
    """Refuse a scheduler that draws noise, that does not exist, or that networks of this kind do not take.

    Raises:
        UsageError: with those that can be chosen.
    """
    fitting = [known for known, entry in SCHEDULERS.items() if kind in entry.kinds]
    choice = f"those that {whose} can be run with are {', '.join(fitting)}"
    if name.lower() in STOCHASTIC or name in STOCHASTIC.values():
        cls = STOCHASTIC.get(name.lower(), name)
        raise UsageError(
            f"scheduler {name!r} ({cls}) draws new noise at its steps, so an image would be no function of the noise "
            f"that is compared; {choice}"
        )
    if name not in SCHEDULERS:
        raise UsageError(f"no scheduler is called {name!r}{did_you_mean(name, SCHEDULERS)}; {choice}")
    if name not in fitting:
        raise UsageError(f"scheduler {name!r} is not for a {kind} network; {choice}")


def own_scheduler(config: Mapping[str, Any], class_name: str) -> str | None:
    """The name of a repository's own scheduler; None where it draws noise or is not known."""
    if class_name == "DPMSolverMultistepScheduler":
        algorithm = config.get("algorithm_type", "dpmsolver++")
        return algorithm if algorithm in SCHEDULERS else None
    if config.get("stochastic_sampling"):
        return None
    return next((name for name, entry in SCHEDULERS.items() if entry.cls == class_name), None)


class Schedules:
    """Fresh schedulers of one choice, so that none carries anything from one batch to the next.

    Args:
        own: the repository's scheduler, as its pipeline has it.
        name: the one chosen.
        steps: how many.
        kind: of the network.
        tokens: pieces that the network sees an image as, for schedules that depend on it.
        linear_sigmas: Flux's schedule: noise levels from 1 to 1/steps before they are shifted.
        latent: the state is latents, which have no bounds; a scheduler made of another one does not clip them, though
            that is what diffusers' DDIM does unless it is told not to.
    """

    def __init__(
        self,
        own: Any,
        name: str,
        *,
        steps: int,
        kind: str,
        tokens: int = 0,
        linear_sigmas: bool = False,
        latent: bool = True,
    ) -> None:
        import diffusers

        self.cls: Any = getattr(diffusers, SCHEDULERS[name].cls)
        settings = dict(SCHEDULERS[name].settings)
        if name == "ddim" and latent and not isinstance(own, self.cls):
            settings["clip_sample"] = False
        if kind == "flow" and name != "flow-euler":
            shift = own.config.get("flow_shift", own.config.get("shift", 1.0))
            settings |= {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": shift}
        elif kind == "flow" and "flow_shift" in own.config:
            settings["shift"] = own.config["flow_shift"]
        self.config = self.cls.from_config(own.config, **settings).config
        self.steps, self.tokens = steps, tokens
        self.linear_sigmas = linear_sigmas and name == "flow-euler"

    def __call__(self, device: Any) -> Any:
        """A scheduler at its first step, its noise levels on the device."""
        scheduler = self.cls.from_config(self.config)
        choice: dict[str, Any] = {"num_inference_steps": self.steps}
        if self.linear_sigmas:
            choice = {"sigmas": [1 - i / self.steps for i in range(self.steps)]}
        if scheduler.config.get("use_dynamic_shifting"):
            choice["mu"] = _shift(scheduler.config, self.tokens)
        scheduler.set_timesteps(**choice, device=device)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)
        return scheduler


def _shift(config: Mapping[str, Any], tokens: int) -> float:
    """mu of dynamic shifting: linear in the number of tokens (diffusers@0.42 ``calculate_shift``)."""
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", LARGEST_SHIFT)
    return float(low + (tokens - few) * (high - low) / (many - few))
