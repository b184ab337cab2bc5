"""What every score asks of its input, and the precision it computes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from reprozoo.base.errors import ContractError

UNIT_TOLERANCE = 1e-4  # of a row's norm: float16 features that were cast to float32 stay within it


def check_features(features: Tensor, name: str = "features") -> None:
    """Refuse anything but (n, dim) floating unit rows, n at least 1.

    Raises:
        ContractError: with the row that is not a unit vector, NaN included.
    """
    if features.ndim != 2 or not features.is_floating_point():
        raise ContractError(f"{name}: expected floating (n, dim), got {tuple(features.shape)} {features.dtype}")
    if not features.numel():
        raise ContractError(f"{name}: expected at least one row, got shape {tuple(features.shape)}")
    norms = torch.linalg.vector_norm(features, dim=1, dtype=torch.promote_types(features.dtype, torch.float32))
    wrong = torch.nonzero(~((norms - 1).abs() <= UNIT_TOLERANCE))
    if len(wrong):
        row = int(wrong[0])
        raise ContractError(f"{name}: row {row} has norm {float(norms[row]):.6g}; descriptors give unit vectors")


def check_images(images_u8: Tensor, name: str = "images") -> None:
    """Refuse anything but (n, channels, height, width) uint8, n at least 1.

    Raises:
        ContractError: with what came.
    """
    if images_u8.ndim != 4 or images_u8.dtype != torch.uint8 or not images_u8.numel():
        raise ContractError(
            f"{name}: expected at least one uint8 image, (n, channels, height, width); "
            f"got {tuple(images_u8.shape)} {images_u8.dtype}"
        )


def check_values(values: Tensor, name: str = "similarities") -> None:
    """Refuse anything but a non-empty floating tensor without NaN.

    Raises:
        ContractError: with what came.
    """
    if not values.is_floating_point() or not values.numel():
        raise ContractError(f"{name}: expected at least one floating value, got {tuple(values.shape)} {values.dtype}")
    if values.isnan().any():
        raise ContractError(f"{name}: {int(values.isnan().sum())} of {values.numel()} values are NaN")


def check_same_shape(first: Tensor, second: Tensor, what: str) -> None:
    """Refuse tensors that cannot be paired row by row.

    Raises:
        ContractError: with both shapes.
    """
    if first.shape != second.shape:
        raise ContractError(f"{what} are paired row by row: got {tuple(first.shape)} and {tuple(second.shape)}")


def row_blocks(tensor: Tensor, rows: int) -> Iterator[Tensor]:
    """Views of ``rows`` consecutive rows, the last of what is left."""
    return (tensor[start : start + rows] for start in range(0, len(tensor), rows))


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
