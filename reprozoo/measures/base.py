"""What a measure is: two sets of images in, one value for each pair of images out, and how such values are summarised.

A measure says everything about itself that a table, a chart or a gate needs, so that none of them knows it by name.
Arrays are NumPy's: what is measured of stored images needs no torch. Nothing is imported here, so that one file may
hold a measure and the hook that registers it.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Values: TypeAlias = "NDArray[np.floating[Any]]"
Reads = Literal["pixels", "features", "measurements"]
Closer = Literal["higher", "lower"]
Kind = Literal["share_above", "share_not_above", "share_below", "mean", "median", "rms", "quantile"]
PAIRWISE = frozenset({"same", "shuffled", "repeat"})
NEAREST = frozenset({"nearest", "nearest-other"})


@dataclass(frozen=True)
class ScoreSpec:
    """A name for a summary of a measure's values: RP is the share of similarities above 0.6.

    Args:
        name: as gates and results name it, e.g. "rp"; unique among all measures.
        title: as tables head it, e.g. "RP"; the name by default.
        kind: how values become one number. Shares are strict: a value at the threshold is not above it.
        at: threshold of a share, or level of a quantile; None for the threshold of the measure, which for features
            is the descriptor's own.
        meaning: one sentence for a reader, with what the extreme values say.
        pairings: those whose values it summarises.
        source: where it was defined.
    """

    name: str
    kind: Kind
    meaning: str
    title: str = ""
    at: float | None = None
    pairings: frozenset[str] = PAIRWISE
    source: str = ""

    @property
    def is_share(self) -> bool:
        return self.kind.startswith("share")


@dataclass(frozen=True)
class Nearest:
    """What a search found for each image of the first side.

    Attributes:
        values: (n,) of the image and what it was compared with.
        rows: (n,) int64 places in the second side of the nearest image.
    """

    values: Values
    rows: NDArray[np.int64]


class Measure(ABC):
    """One value for two images. Subclasses set the attributes and implement ``values``, ``nearest``, or both.

    Attributes:
        name: as options and results name it, in lower case with underscores.
        title: as tables and axes name it.
        meaning: one sentence: what is measured, and what its extreme values say.
        unit: e.g. "dB", or "of 255"; empty for a plain number.
        reads: "pixels": uint8 images; "features": unit vectors of a descriptor; "measurements": what a problem gives
            for the second side.
        closer: whether higher or lower values mean images that are more alike.
        edges: of the histogram's bins, increasing; values beyond the ends count in the outer bins.
        curve: thresholds at which the share of values on the closer side is recorded; empty for none.
        threshold: of shares that name none; ``bounds`` are the values that one may have.
        equal: the value of two equal images; None where there is none.
        scores: the summaries that are reported; the first is the headline.
        symmetric: whether exchanging the sides changes nothing.
        decimals: in tables.
        rank: place in tables; lower comes first.
        usual: whether it is taken in every comparison, where it comes with reprozoo.
        near: how far rounding may move a value; those so near a threshold are counted.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    meaning: ClassVar[str]
    unit: ClassVar[str] = ""
    reads: ClassVar[Reads] = "pixels"
    closer: ClassVar[Closer] = "lower"
    edges: ClassVar[tuple[float, ...]]
    curve: ClassVar[tuple[float, ...]] = ()
    threshold: ClassVar[float | None] = None
    bounds: ClassVar[tuple[float, float]] = (-float("inf"), float("inf"))
    equal: ClassVar[float | None] = None
    scores: ClassVar[tuple[ScoreSpec, ...]]
    symmetric: ClassVar[bool] = True
    decimals: ClassVar[int] = 3
    near: ClassVar[float] = 0.0
    rank: ClassVar[int] = 50
    usual: ClassVar[bool] = False

    def values(self, a: NDArray[Any], b: NDArray[Any]) -> Values:
        """One value for each pair of rows.

        Args:
            a, b: (n, channels, height, width) uint8 images, or (n, dim) float32 unit vectors, as ``reads`` says; row i
                of one belongs to row i of the other.

        Returns:
            (n,) floating; a value depends on its own two rows alone.

        Raises:
            ContractError: other shapes or types.
            UsageError: images that this measure cannot be taken of, e.g. too small ones.
        """
        raise NotImplementedError(f"{self.name} is not taken of pairs")

    def nearest(self, a: NDArray[Any], b: NDArray[Any], *, own: NDArray[np.int64] | None = None) -> Nearest:
        """The value of each row of ``a`` and the row of ``b`` nearest to it.

        Args:
            a, b: as in ``values``; b of any length.
            own: (len(a),) places of the rows of ``a`` in ``b``, which are passed over.
        """
        raise NotImplementedError(f"{self.name} has no search for the nearest")

    @classmethod
    def pairings(cls) -> frozenset[str]:
        """The pairings that it can be taken under and summarises."""
        return frozenset(p for spec in cls.scores for p in spec.pairings if cls.takes(p))

    @classmethod
    def takes(cls, pairing: str) -> bool:
        """Whether the measure can be taken under a pairing."""
        wanted = cls.nearest if pairing in NEAREST else cls.values
        return wanted is not (Measure.nearest if pairing in NEAREST else Measure.values)


@dataclass(frozen=True)
class ScoreFacts:
    """What a result records of one score of a measure.

    Attributes:
        label: says of what: "rp[sscd-disc-mixup-int8@288, >0.6]".
        at: threshold of a share, or level of a quantile.
        higher_is_closer: whether it grows as sides agree.
    """

    name: str
    title: str
    label: str
    kind: Kind
    meaning: str
    higher_is_closer: bool
    at: float | None = None

    @property
    def is_share(self) -> bool:
        return self.kind.startswith("share")


@dataclass(frozen=True)
class MeasureFacts:
    """What a result records of a measure, so that reports and new thresholds need no measure at hand.

    Attributes:
        id: name with the descriptor where it reads features: "similarity[sscd-disc-mixup-int8@288]".
        descriptor: id of the descriptor; None for pixels.
        bounds: of a threshold.
        near: how far rounding may move a value.
    """

    id: str
    name: str
    title: str
    meaning: str
    unit: str
    closer: Closer
    decimals: int
    descriptor: str | None = None
    threshold: float | None = None
    bounds: tuple[float, float] | None = None
    near: float = 0.0
    scores: list[ScoreFacts] = field(default_factory=list)
