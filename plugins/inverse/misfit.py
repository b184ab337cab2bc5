"""How well images explain what was measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reprozoo.diffusion.observations import LinearOperator
from reprozoo.maps.images import from_uint8
from reprozoo.measures.base import Measure, ScoreSpec, Values
from reprozoo.measures.checks import check_images, check_same_shape

HALF_RANGE = 127.5  # levels of 8 bits in a unit of images in [-1, 1]


class Misfit(Measure):
    """Root mean square of what differs between the measurement of each image and the one that was given, in 1/255.

    Images rounded to 8 bits have about 0.3 without any other fault.

    Args:
        operator: that measures the images.
    """

    name = "misfit"
    title = "misfit"
    meaning = (
        "Root mean square difference between what is measured of the image and what was observed. 0: the image "
        "explains the observation; 0.3: up to the rounding to 8 bits."
    )
    unit = "of 255"
    reads = "measurements"
    closer = "lower"
    edges = tuple(float(2 * i) for i in range(65))
    symmetric = False
    decimals = 1
    scores = (
        ScoreSpec(
            name="misfit",
            title="misfit",
            kind="median",
            meaning="Median misfit of the images to what was observed, in units of 1/255. 0: they explain it; 0.3: up "
            "to the rounding to 8 bits.",
        ),
    )

    def __init__(self, operator: LinearOperator) -> None:
        self.operator = operator

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        """One value an image.

        Args:
            a: (n, channels, height, width) uint8 images.
            b: (n, *measurement_shape) float32 measurements of images in [-1, 1].

        Raises:
            ContractError: other shapes or types.
        """
        check_images(a, "images")
        found = self.operator.forward(from_uint8(_tensor(a)))
        check_same_shape(found.numpy(), b, "measurements")
        differences = (found.double() - _tensor(b).double()).flatten(1)
        values: NDArray[np.float64] = (HALF_RANGE * differences.square().mean(1).sqrt()).numpy()
        return values


def _tensor(array: NDArray[Any]) -> Tensor:
    """A copy: torch takes no reversed views, and warns of arrays that cannot be written."""
    return torch.from_numpy(np.array(array, order="C"))
