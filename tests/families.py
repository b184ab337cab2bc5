"""Families loaded from tiny files in the formats of the originals, without the registry, and held against goldens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reprozoo import Condition, DenoiserMap, LoadContext, ModelCard, NoiseBank
from reprozoo.diffusion.kernels import at, kernel_from_config
from reprozoo.diffusion.samplers import make_sampler
from reprozoo.zoo.cards.sources import BundledSource
from reprozoo.zoo.plugins import import_object, installed_plugins
from tests.seeded import Golden

INPUT_SEED = 21  # of the two noises that golden outputs were computed from


def load_family(
    facts: Mapping[str, Any], files: Mapping[str, Path], *, formats: Mapping[str, str] | None = None
) -> DenoiserMap:
    """The map of a card made of ``facts``, loaded from local files as the registry would.

    Args:
        facts: family, network, noise_shape, image_shape; kernel, sampler, num_classes and options where there are any.
        files: by name; each file's format is "auto" unless ``formats`` says another.
    """
    family = installed_plugins().family(facts["family"]).value
    kernel = kernel_from_config(facts["kernel"]) if "kernel" in facts else None
    sampler = dict(facts.get("sampler", {}))
    card = ModelCard(
        id=f"tiny-{facts['family']}", title="", licence="unknown", paper="", training={}, family=facts["family"],
        noise_shape=tuple(facts["noise_shape"]), image_shape=tuple(facts["image_shape"]),
        num_classes=facts.get("num_classes"), network=facts["network"], kernel=facts.get("kernel", {}),
        sampler=dict(sampler),
        weights=tuple(
            BundledSource(name=name, file="", sha256="unknown", format=(formats or {}).get(name, "auto"))
            for name in files
        ),
    )  # fmt: skip
    defaults = {name: option.default for name, option in family.options.items()}
    context = LoadContext(
        card,
        defaults | facts.get("options", {}),
        files,
        kernel=kernel,
        sampler=make_sampler(sampler.pop("name"), kernel, **sampler) if kernel else None,
    )
    loaded: DenoiserMap = import_object(family.load)(context)
    return loaded


def assert_golden(golden: Golden, loaded: Any) -> None:
    """The network at three times and the state after the whole sampler are the original's, and so is the NFE.

    Relative errors, in norm: 1e-5 of the network, 1e-4 after the sampler; measured are below 5e-6 and 8e-5
    (docs/fidelity.md), another order of float32 sums.
    """
    card = golden.facts["card"]
    noise = NoiseBank(INPUT_SEED).noise(range(2), card["noise_shape"])
    labels = card.get("labels")
    arguments = () if labels is None else (torch.tensor(labels),)
    for time, expected in zip(golden.facts["times"], golden.tensors["outputs"], strict=True):
        with torch.no_grad():
            output = loaded.network(noise, torch.full((2,), time), *arguments)
        assert relative(output, expected) < 1e-5
    conditions = [Condition(class_label=label) for label in labels or (None, None)]
    with torch.no_grad():
        state = loaded.sampler(loaded.denoiser(conditions), loaded.kernel.initial_state(noise.double()))
    assert relative(state * _end_scale(loaded), golden.tensors["sample"]) < 1e-4
    assert loaded.nfe == golden.facts["nfe"]


def relative(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm of what was expected."""
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def score_sde_file(path: Path, weights: Mapping[str, Tensor], untrained: Sequence[str] = ()) -> Path:
    """A checkpoint of score_sde whose moving average is ``weights`` and whose last weights are others."""
    last = {f"module.{name}": tensor if name in untrained else 2 * tensor for name, tensor in weights.items()}
    average = [tensor for name, tensor in weights.items() if name not in untrained]
    ema = {"decay": 0.9999, "num_updates": 10, "shadow_params": average}
    torch.save({"optimizer": {}, "model": last, "ema": ema, "step": 10}, path)
    return path


def _end_scale(loaded: DenoiserMap) -> float:
    """alpha where the sampler stops, so that the state in data units becomes x_t; 1 after a denoising."""
    config = loaded.sampler.config()
    if config["name"] == "ddim" or config.get("denoise_final"):
        return 1.0
    return at(loaded.kernel.alpha, config["t_end"])
