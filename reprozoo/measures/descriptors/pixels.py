"""Raw pixels as a descriptor: no network, nothing to fetch; sensitive to every shift and shade."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from reprozoo.measures.descriptors.base import Descriptor, DescriptorContext
from reprozoo.measures.descriptors.resizing import resize_bilinear

SIZE = 32
MID_GREY = 127.5  # no pixel has it, so no image is the zero vector


class Pixels(Descriptor):
    """The cosine of two images as vectors of pixels around mid-grey, at 32×32."""

    id = f"pixels@{SIZE}"
    dim = 3 * SIZE * SIZE
    threshold = 0.9  # a habit, not a finding: images that differ by a shade or a one-pixel shift lie around it

    def identity(self) -> dict[str, Any]:
        return {"id": self.id, "resize": "bilinear/1", "version": 1}

    def describe(self, images_u8: Tensor) -> Tensor:
        vectors = resize_bilinear(images_u8, height=SIZE, width=SIZE).flatten(1).double() - MID_GREY
        norms: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        return (vectors / norms).float()


def load(context: DescriptorContext) -> Descriptor:
    """Build it; nothing of the context is needed."""
    return Pixels()
