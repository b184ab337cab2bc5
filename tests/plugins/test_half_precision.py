"""Half precision of the native families: it is used, finite, and off by no more than its bits explain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reprozoo import Condition, NoiseBank
from reprozoo.zoo.cards import Registry
from reprozoo.zoo.resolving import Zoo
from tests.families import relative
from tests.originals import write_card

pytestmark = pytest.mark.slow

GOLDENS = (
    "adm", "consistency-flax", "consistency-torch", "dit-pixels", "edm-ve", "edm-adm", "multistage-vp",
    "multistage-edm", "progressive", "score-sde-ddpm", "score-sde-ddpmpp", "uvit-pixels",
)  # fmt: skip
# Relative errors at sigma 1, or where consistency models start; measured: up to 1.7e-2 and 2.4e-3.
LIMITS = {"bfloat16": 0.03, "float16": 0.004}


@pytest.mark.parametrize("name", GOLDENS)
def test_half_precision_is_near_float32(name: str, tmp_path: Path) -> None:
    spec, zoo = write_card(name, tmp_path), Zoo(registry=Registry([tmp_path]))
    expected = clean_image(zoo.resolve(spec).load())
    errors = {}
    for dtype, limit in LIMITS.items():
        loaded = zoo.resolve(spec, dtype=dtype).load()
        errors[dtype] = relative(clean_image(loaded), expected)
        assert 0 < errors[dtype] < limit
        images = loaded(NoiseBank(3).noise(range(2), loaded.noise_shape), conditions(loaded))
        assert images.isfinite().all()
    assert errors["float16"] < errors["bfloat16"]


def clean_image(loaded: Any) -> Tensor:
    """The network's word for the clean image: at sigma 1, or of a consistency model where it starts, at 80."""
    noise = NoiseBank(3).noise(range(2), loaded.noise_shape).double()
    one_step = hasattr(loaded, "consistency")
    level = torch.full((2,), 80.0 if one_step else 1.0, dtype=torch.float64)
    ask = loaded.consistency if one_step else loaded.denoise
    with torch.no_grad():
        found: Tensor = ask(level.reshape(-1, 1, 1, 1) * noise * 1.4, level, conditions(loaded))
    return found


def conditions(loaded: Any) -> list[Condition]:
    return [Condition(class_label=0 if loaded.num_classes else None)] * 2
