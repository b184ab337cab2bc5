"""Between images and pixels: the one rounding of the whole project, grids, and PNG files.

``images`` are float32 (n, channels, height, width) in [-1, 1]; ``images_u8`` are the same as uint8. Every image is
rounded here, once; scores, descriptors and reports see the uint8 pixels only.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from reprozoo.base.errors import ContractError, UsageError
from reprozoo.base.files import write_whole

ROUNDING = "floor(127.5 x + 128)"  # part of the store's keys: another rounding is another image
RANGE_TOLERANCE = 1e-6  # as in maps: float32 rounding of a clamp
MODES = {1: "L", 3: "RGB"}


def to_uint8(images: Tensor) -> Tensor:
    """Round images to pixels: -1 is 0, 1 is 255, halves go up.

    Args:
        images: (n, channels, height, width) floating, finite, in [-1, 1].

    Returns:
        The same shape, uint8.

    Raises:
        ContractError: not floating, or a value outside [-1, 1] or NaN.

    Source: arXiv:2206.00364, whose code truncates x * 127.5 + 128 after a clip; this is that, in float32.
    """
    if not images.is_floating_point():
        raise ContractError(f"expected floating-point images in [-1, 1], got {images.dtype}")
    images = images.float()
    if images.numel() and not float(images.abs().max()) <= 1 + RANGE_TOLERANCE:
        raise ContractError(
            f"expected images in [-1, 1], got values from {float(images.min()):.4g} to {float(images.max()):.4g}"
        )
    return images.mul(127.5).add_(128).clamp_(0, 255).to(torch.uint8)


def from_uint8(images_u8: Tensor) -> Tensor:
    """Images of pixels, float32 in [-1, 1]; ``to_uint8`` gives the pixels back.

    Raises:
        ContractError: not uint8.
    """
    if images_u8.dtype != torch.uint8:
        raise ContractError(f"expected uint8 pixels, got {images_u8.dtype}; round them with to_uint8")
    return images_u8.to(torch.float32).div_(127.5).sub_(1)


def grid(images_u8: Tensor, *, columns: int, pad: int = 2, background: int = 255) -> Tensor:
    """Lay images out in rows, in reading order.

    Args:
        images_u8: (n, channels, height, width) uint8.
        columns: images a row; fewer where there are fewer images.
        pad: pixels between two images and around them.
        background: grey level of what no image covers.

    Returns:
        (channels, rows * (height + pad) + pad, columns * (width + pad) + pad) uint8.

    Raises:
        ContractError: no image, not uint8, or fewer than one column.
    """
    if images_u8.ndim != 4 or not len(images_u8) or images_u8.dtype != torch.uint8:
        raise ContractError(
            "a grid is made of at least one image, (n, channels, height, width) uint8; "
            f"got {tuple(images_u8.shape)} {images_u8.dtype}"
        )
    if columns < 1:
        raise ContractError(f"a grid has at least one column, got {columns}")
    count, channels, height, width = images_u8.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    canvas = images_u8.new_full((channels, rows * (height + pad) + pad, columns * (width + pad) + pad), background)
    for i, image in enumerate(images_u8):
        top = pad + i // columns * (height + pad)
        left = pad + i % columns * (width + pad)
        canvas[:, top : top + height, left : left + width] = image
    return canvas


def png_bytes(image_u8: Tensor) -> bytes:
    """One image as a PNG file in memory.

    Args:
        image_u8: (1 or 3, height, width) uint8.

    Raises:
        ContractError: another shape or type.
    """
    if image_u8.ndim != 3 or image_u8.shape[0] not in MODES or image_u8.dtype != torch.uint8:
        raise ContractError(
            f"a PNG is made of one (1 or 3, height, width) uint8 image; got {tuple(image_u8.shape)} {image_u8.dtype}"
        )
    pixels = image_u8.cpu().permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if len(image_u8) == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def save_png(image_u8: Tensor, path: str | os.PathLike[str]) -> None:
    """Write one (1 or 3, height, width) uint8 image as PNG, whole or not at all.

    Raises:
        ContractError: another shape or type.
        UsageError: the place cannot be written.
    """
    write_whole(Path(path), png_bytes(image_u8), remedy="choose another place")


def read_image(path: str | os.PathLike[str], *, channels: int = 3) -> Tensor:
    """Read the pixels of one image file, as they are stored: no resizing, no rotation by EXIF.

    Args:
        path: any 8-bit format that Pillow reads.
        channels: 3 for RGB, 1 for grey.

    Returns:
        (channels, height, width) uint8.

    Raises:
        UsageError: missing, unreadable, more than 8 bits a channel, or partly transparent.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode.startswith(("I", "F")):
                raise UsageError(f"{path} has more than 8 bits a channel ({image.mode}); convert it to 8 bits first")
            if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
                raise UsageError(f"{path} is partly transparent; put it on a background first")
            converted = image.convert(MODES[channels])
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"cannot read the image {path}: {error}") from error
    pixels = torch.frombuffer(bytearray(converted.tobytes()), dtype=torch.uint8)
    return pixels.reshape(converted.height, converted.width, channels).permute(2, 0, 1).contiguous()
