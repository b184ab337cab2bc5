"""What a run found, as plain frozen records: numbers with their counts, and where they came from.

Records hold no tensor, no model and no open file, so reports, the command line and tests need nothing else. ``to_json``
of ``Comparison`` and ``Generalization`` gives one JSON document with a schema version; the values of single noises
(``similarities``, ``mean_absolute_errors``) stay outside it, in ``pairs.csv``.

Pixel differences are in units of 1/255, whatever the image.
"""

from reprozoo.engine.results.comparison import Comparison, with_arrays
from reprozoo.engine.results.generalization import Generalization, Neighbour
from reprozoo.engine.results.records import (
    OBSERVATION,
    TRUTH,
    Baseline,
    ConditionScores,
    Curve,
    Distribution,
    ImageLoader,
    ModelRun,
    NoiseFloor,
    PairedTest,
    PairScores,
    Proportion,
    Reconstruction,
    ShuffledScores,
    Values,
)
from reprozoo.engine.results.serial import SCHEMA_VERSION

__all__ = [
    "OBSERVATION",
    "SCHEMA_VERSION",
    "TRUTH",
    "Baseline",
    "Comparison",
    "ConditionScores",
    "Curve",
    "Distribution",
    "Generalization",
    "ImageLoader",
    "ModelRun",
    "Neighbour",
    "NoiseFloor",
    "PairScores",
    "PairedTest",
    "Proportion",
    "Reconstruction",
    "ShuffledScores",
    "Values",
    "with_arrays",
]
