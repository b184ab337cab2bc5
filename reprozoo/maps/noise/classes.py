"""A class for a noise, where a model draws it at random and nobody chose one.

It is a pure function of the seed, the index of the noise and the number of classes, drawn from the stream of that noise
far behind anything the noise itself reaches: the first word of Philox4x64-10 at key (seed, index) and counter
(1, 0, 0, 2**63), counters being four 64-bit words, least significant first. The class is the upper word of its product
with the number of classes. So it is the same for any run, batch, order and version, and unrelated to the noise.
"""

from __future__ import annotations

from operator import index as as_integer

import numpy as np

from reprozoo.base.errors import UsageError

WORD = 2**64
FAR_BLOCK = 2**63  # highest word of the counter; NumPy adds one to the lowest before the first block


def random_class(seed: int, index: int, num_classes: int) -> int:
    """The class of noise ``index`` of ``seed``: uniform on 0 to ``num_classes`` - 1.

    Args:
        seed: of the noise, or any other where the noise comes from a file; from 0 to 2**64 - 1.
        index: of the noise, likewise.
        num_classes: at least 1; its bias from uniformity is below ``num_classes`` / 2**64.

    Raises:
        UsageError: an argument out of range.
    """
    seed, index, num_classes = as_integer(seed), as_integer(index), as_integer(num_classes)
    if not (0 <= seed < WORD and 0 <= index < WORD and 0 < num_classes < WORD):
        raise UsageError(
            "a random class needs a seed and an index from 0 to 2**64 - 1 and at least one class, got "
            f"seed={seed}, index={index}, num_classes={num_classes}"
        )
    key, counter = np.array([seed, index], np.uint64), np.array([0, 0, 0, FAR_BLOCK], np.uint64)
    word = int(np.random.Philox(key=key, counter=counter).random_raw())
    return word * num_classes // WORD
