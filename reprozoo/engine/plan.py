"""What is measured of which sides: a plan, and the values that come of it. Nothing here imports torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reprozoo.base.errors import ContractError, ReprozooError
from reprozoo.measures.base import Measure, Nearest

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
            values = self.of(a.own[rows], b.own[wanted])
            if self.mirror and b.mirrored is not None:
                closer = np.maximum if self.measure.closer == "higher" else np.minimum
                values = closer(values, self.of(a.own[rows], b.mirrored[wanted]))
            parts.append(values)
        return np.concatenate(parts)

    def of(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """The values of rows of images or features, which the measure cannot change.

        Raises:
            ContractError: it failed, or gave anything but one finite number a pair; the sentence names it.
            UsageError: it cannot be taken of these images.
        """
        with self._explained():
            values: Any = self.measure.values(_read_only(a), _read_only(b))
        if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, np.floating):
            came = f"{values.dtype} values" if isinstance(values, np.ndarray) else type(values).__name__
            raise ContractError(f"the measure {self.id} gave {came}, expected a floating array of shape ({len(a)},)")
        if values.shape != (len(a),):
            raise ContractError(f"the measure {self.id} gave values of shape {values.shape}, expected ({len(a)},)")
        if not np.isfinite(values).all():
            wrong = int((~np.isfinite(values)).sum())
            raise ContractError(f"the measure {self.id} gave {wrong} of {len(a)} values that are NaN or infinite")
        return values

    def nearest(self, a: NDArray[Any], b: NDArray[Any], *, own: NDArray[np.int64] | None = None) -> Nearest:
        """The nearest rows of ``b``; raises as ``of``."""
        with self._explained():
            return self.measure.nearest(_read_only(a), _read_only(b), own=own)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what a measure raises into a sentence; what it prints goes to stderr."""
        try:
            with redirect_stdout(sys.stderr):
                yield
        except ReprozooError:
            raise
        except (Exception, SystemExit) as error:
            said = " ".join(str(error).split())
            raise ContractError(f"the measure {self.id} failed: {type(error).__name__}: {said}") from error


def _read_only(rows: NDArray[Any]) -> NDArray[Any]:
    view = rows.view()
    view.flags.writeable = False
    return view


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
