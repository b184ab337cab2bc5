"""What is measured of which sides: a plan, and the values that come of it. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import ContractError
from reprozoo.measures.base import Measure

if TYPE_CHECKING:
    from reprozoo.measures.descriptors import Descriptor

BLOCK_ROWS = 256  # images searched at a time
COMPARED_ROWS = 64  # features compared at a time: their differences in float64 stay in a processor's cache


@dataclass(frozen=True)
class Taken:
    """A measure with the descriptor whose features it reads.

    Attributes:
        mirror: whether the closer of the values with an image and with its mirror image counts.
    """

    measure: Measure
    descriptor: Descriptor | None = None
    mirror: bool = False

    @property
    def id(self) -> str:
        return self.measure.name if self.descriptor is None else f"{self.measure.name}[{self.descriptor.id}]"

    def values(self, a: Features, b: Features, others: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Of row i of ``a`` and row i, or others[i], of ``b``, block by block."""
        parts: list[NDArray[Any]] = []
        for start in range(0, len(a.own), COMPARED_ROWS):
            rows = slice(start, start + COMPARED_ROWS)
            wanted = rows if others is None else others[rows]
            values = self.measure.values(a.own[rows], b.own[wanted])
            if self.mirror and b.mirrored is not None:
                closer = np.maximum if self.measure.closer == "higher" else np.minimum
                values = closer(values, self.measure.values(a.own[rows], b.mirrored[wanted]))
            parts.append(values)
        return self.checked(np.concatenate(parts), len(a.own))

    def checked(self, values: NDArray[Any], count: int) -> NDArray[Any]:
        """The values, once they are one finite number a pair.

        Raises:
            ContractError: with what the measure gave instead.
        """
        if values.shape != (count,) or not np.issubdtype(values.dtype, np.floating):
            raise ContractError(
                f"the measure {self.id} gave {values.dtype} of shape {values.shape}, expected floating ({count},)"
            )
        if not np.isfinite(values).all():
            wrong = int((~np.isfinite(values)).sum())
            raise ContractError(f"the measure {self.id} gave {wrong} of {count} values that are NaN or infinite")
        return values


@dataclass(frozen=True)
class Features:
    """Features of a side's images, (n, dim) unit vectors; of their mirror images where those count."""

    own: NDArray[np.float32]
    mirrored: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Planned:
    """Two sides to be measured under a pairing; positions in the list of sides.

    Attributes:
        measures: those taken; others that are asked for do not apply.
    """

    pairing: str
    a: int
    b: int
    measures: Sequence[Taken]


@dataclass(frozen=True)
class Found:
    """The values of one measure of one planned pair; as ``result.Measurement`` has them.

    Attributes:
        values: (rounds, n).
    """

    planned: Planned
    taken: Taken
    values: NDArray[Any]
    partners: NDArray[np.int64] | None = None
    own: NDArray[np.int64] | None = None
