"""NumPy's arrays in torch: their memory, and matrix products in full precision, whatever the caller has switched on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def to_read(array: NDArray[Any]) -> torch.Tensor:
    """A tensor to read from, of the array's own memory wherever torch can have it, also where that is read-only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.as_tensor(np.ascontiguousarray(array) if any(step < 0 for step in array.strides) else array)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Float32 matrix products in float32: no TF32, no bfloat16, no autocast; the caller's settings are put back."""
    switches: tuple[Any, ...] = ()
    if hasattr(torch.backends, "fp32_precision"):  # since torch 2.9, beside the older setting
        switches = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    precisions = [switch.fp32_precision for switch in switches]
    try:
        previous = torch.get_float32_matmul_precision()
    except RuntimeError:  # the caller set the newer switches alone; torch then refuses to name the older setting
        previous = "highest"
    try:
        torch.set_float32_matmul_precision("highest")  # sets the newer switches too
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(previous)
        for switch, precision in zip(switches, precisions, strict=True):
            switch.fp32_precision = precision
