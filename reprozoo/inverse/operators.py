"""What a measurement is: a linear map from an image to what was seen of it, with its exact adjoint.

An operator works on each sample by itself, in the dtype and on the device of what it is given, and autograd goes
through it. Its ``config`` is JSON of everything that decides the numbers it computes; two operators of equal config
are the same operator, wherever their file lay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor

Shape = tuple[int, int, int]
MeasurementShape = tuple[int, ...]


class LinearOperator(ABC):
    """y = A x for images x.

    Attributes:
        name: as specs write it.
        image_shape: (channels, height, width) of x.
        measurement_shape: of y.
        gram: c where A A^T = c I, so that A^T / c is the pseudo-inverse; None where there is no such number.
    """

    name: ClassVar[str]
    image_shape: Shape
    measurement_shape: MeasurementShape
    gram: float | None = None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(batch, *image_shape) -> (batch, *measurement_shape)."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """(batch, *measurement_shape) -> (batch, *image_shape), with <A x, y> = <x, A^T y> for all x and y."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The operator as JSON, its name and image shape included."""

    def picture(self, y: Tensor) -> Tensor:
        """The measurement as an image for a reader: (batch, *image_shape); what was not seen is mid-grey."""
        return y if self.gram is None else self.adjoint(y) / self.gram
