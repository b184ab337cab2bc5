"""Values of each measure: identity, disjointness, permutation, closed forms; what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from reprozoo.base.errors import ContractError
from reprozoo.measures import checks
from reprozoo.measures.base import Measure
from reprozoo.measures.library.feature_distance import FeatureDistance
from reprozoo.measures.library.max_abs import MaxAbs
from reprozoo.measures.library.mean_abs import MeanAbs
from reprozoo.measures.library.psnr import Psnr
from reprozoo.measures.library.similarity import Similarity
from reprozoo.measures.summaries import summary
from tests.measures.arrays import at_cosine, flat, images, unit_rows

N = 50
OF_FEATURES = [Similarity(), FeatureDistance()]
OF_PIXELS = [MeanAbs(), MaxAbs(), Psnr()]


def inputs(measure: Measure, seed: int, count: int = N) -> NDArray:
    return unit_rows(seed, count) if measure.reads == "features" else images(seed, count)


def score(measure: Measure, name: str, values: NDArray, at: float | None = None) -> float:
    """A score of the library, by name."""
    (spec,) = (spec for spec in measure.scores if spec.name == name)
    return summary(values, spec.kind, spec.at if at is None else at)


# --- what holds for each ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", [*OF_FEATURES, *OF_PIXELS], ids=lambda m: m.name)
def test_equal_images_have_the_value_that_the_measure_says(measure: Measure) -> None:
    a = inputs(measure, 0)
    assert measure.values(a, a.copy()).tolist() == pytest.approx([measure.equal] * N, abs=1e-7)  # float32 features


@pytest.mark.parametrize("measure", [*OF_FEATURES, *OF_PIXELS], ids=lambda m: m.name)
def test_symmetry_and_permutation(measure: Measure) -> None:
    a, b = inputs(measure, 0), inputs(measure, 1)
    order = np.random.default_rng(2).permutation(N)
    values = measure.values(a, b)
    assert measure.symmetric
    assert (measure.values(b, a) == values).all()
    assert (measure.values(a[order], b[order]) == values[order]).all()
    assert (measure.values(a, b[order]) != values).any()  # but pairing matters


@pytest.mark.parametrize("measure", [*OF_FEATURES, *OF_PIXELS], ids=lambda m: m.name)
def test_blocks_do_not_show(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = inputs(measure, 0), inputs(measure, 1)
    whole = measure.values(a, b)
    monkeypatch.setattr(checks, "CHUNK_VALUES", 7 * a[0].size)
    assert (measure.values(a, b) == whole).all()


# --- features -----------------------------------------------------------------------------------------------------


def test_similarity_is_the_cosine() -> None:
    measure = Similarity()
    assert measure.values(*at_cosine(0.25)) == 0.25
    assert measure.values(unit_rows(0, 1), -unit_rows(0, 1)) == -1
    a, b = unit_rows(0, N), unit_rows(1, N)
    expected = [math.fsum(float(x) * float(y) for x, y in zip(p, q, strict=True)) for p, q in zip(a, b, strict=True)]
    values = measure.values(a, b)
    assert values.dtype == np.float32
    assert values.tolist() == pytest.approx(expected, rel=0, abs=6e-8)  # the rounding to float32


def test_disjoint_features() -> None:
    a, b = np.eye(8, dtype=np.float32)[:4], np.eye(8, dtype=np.float32)[4:]
    assert Similarity().values(a, b).tolist() == [0] * 4
    assert score(Similarity(), "rp", Similarity().values(a, b), 0.6) == 0
    assert FeatureDistance().values(a, b).tolist() == pytest.approx([math.sqrt(2)] * 4, rel=1e-15)
    assert FeatureDistance().values(a, -a).tolist() == [2] * 4


@pytest.mark.parametrize(("cosine", "expected"), [(0.6, 0), (0.6 + 1e-6, 1), (0.6 - 1e-6, 0)])
def test_a_similarity_of_exactly_the_threshold_is_no_copy(cosine: float, expected: float) -> None:
    assert score(Similarity(), "rp", Similarity().values(*at_cosine(cosine)), 0.6) == expected


def test_rp_counts() -> None:
    features = np.concatenate([at_cosine(cosine)[1] for cosine in (0.1, 0.3, 0.5, 0.7, 0.9)])
    values = Similarity().values(np.float32([[1, 0]] * 5), features)
    assert score(Similarity(), "rp", values, 0.6) == 2 / 5
    assert score(Similarity(), "rp", values, 0.4) == 3 / 5
    assert score(Similarity(), "similarity", values) == pytest.approx(0.5)


def test_pfd_of_a_known_angle() -> None:
    assert score(FeatureDistance(), "pfd", FeatureDistance().values(*at_cosine(0.5))) == pytest.approx(1, abs=1e-7)


def test_pfd_is_a_function_of_the_similarities() -> None:
    a, b = unit_rows(0, N), unit_rows(1, N)
    expected = math.sqrt(2 - 2 * float(Similarity().values(a, b).astype(np.float64).mean()))
    assert score(FeatureDistance(), "pfd", FeatureDistance().values(a, b)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_of_exact_values(dtype: type) -> None:
    eye = np.eye(4, dtype=dtype)
    assert Similarity().values(eye, np.roll(eye, 1, 0)).dtype == np.float32
    assert Similarity().values(eye, eye).tolist() == [1] * 4
    assert FeatureDistance().values(eye, eye).tolist() == [0] * 4


# --- pixels -------------------------------------------------------------------------------------------------------


def test_black_and_white() -> None:
    """The differences of uint8 arrays wrap around: 0 - 255 is 1."""
    black, white = flat(0, 0, size=3, channels=3), flat(255, 255, size=3, channels=3)
    for a, b in ((black, white), (white, black)):
        assert MeanAbs().values(a, b).tolist() == [255, 255]
        assert MaxAbs().values(a, b).tolist() == [255, 255]
        assert Psnr().values(a, b).tolist() == [0, 0]


@pytest.mark.parametrize("swapped", [False, True])
def test_pixel_measures_by_their_formulas(swapped: bool) -> None:
    a, b = (images(1, N), images(0, N)) if swapped else (images(0, N), images(1, N))
    wide = a.astype(np.float64).reshape(N, -1) - b.astype(np.float64).reshape(N, -1)
    assert (MeanAbs().values(a, b) == np.abs(wide).sum(1) / 48).all()  # whole numbers: exact
    assert (MaxAbs().values(a, b) == np.abs(wide).max(1)).all()
    expected = [10 * math.log10(255**2 / math.fsum(row * row / 48)) for row in wide]
    assert Psnr().values(a, b).tolist() == pytest.approx(expected, rel=1e-12)


def test_psnr_by_hand() -> None:
    truth = flat(100, 100, 100, size=4, channels=3)
    found = truth.copy()
    found[1] += 10  # every pixel is off by 10
    found[2, 0, 0, 0] = 255  # one of 48 values is off by 155
    expected = [100, 20 * math.log10(255 / 10), 10 * math.log10(255**2 * 48 / 155**2)]
    assert Psnr().values(found, truth).tolist() == pytest.approx(expected)


def test_psnr_of_unrelated_images() -> None:
    """Of two uniform pixels the mean squared difference is (256² - 1) / 6, so 7.75 dB."""
    values = Psnr().values(images(0, 20, size=32), images(1, 20, size=32))
    expected = 10 * math.log10(255**2 * 6 / (256**2 - 1))
    assert values.mean() == pytest.approx(expected, abs=0.03)  # 61,440 pixels: a standard error of 0.02 dB


def test_psnr_of_a_large_image_stays_at_most_that_of_equal_ones() -> None:
    a = flat(0, size=300, channels=3)
    b = a.copy()
    b[0, 0, 0, 0] = 1  # 102.4 dB
    assert Psnr().values(a, b).tolist() == [100]
    assert MaxAbs().values(a, b).tolist() == [1]


def test_an_error_of_exactly_the_threshold_is_no_match() -> None:
    a = np.zeros((3, 1, 1, 4), np.uint8)
    b = np.uint8([[15, 15, 15, 15], [15, 15, 15, 14], [0, 0, 0, 61]]).reshape(3, 1, 1, 4)
    values = MeanAbs().values(a, b)
    assert values.tolist() == [15, 14.75, 15.25]
    assert MeanAbs.threshold == 15
    assert score(MeanAbs(), "mae", values, 15) == 1 / 3
    assert score(MeanAbs(), "mae", values, 15.1) == 2 / 3
    assert score(MeanAbs(), "mean_abs", values) == 15


def test_the_largest_difference_of_all_noises() -> None:
    assert score(MaxAbs(), "max_abs", MaxAbs().values(flat(0, 0, 0), flat(3, 200, 0))) == 200


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", OF_FEATURES, ids=lambda m: m.name)
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (unit_rows(0, N), unit_rows(0, N)[1:], "paired row by row"),
        (unit_rows(0, N), unit_rows(0, N, dim=8), "paired row by row"),
        (unit_rows(0, N)[:0], unit_rows(0, N)[:0], "at least one row"),
        (unit_rows(0, N) * np.float32(1.001), unit_rows(0, N), "first features: row 0 has norm 1.001"),
        (unit_rows(0, N), unit_rows(0, N) * np.float32(math.nan), "second features: row 0 has norm nan"),
        (unit_rows(0, N)[0], unit_rows(0, N)[0], r"expected floating \(n, dim\)"),
        (np.eye(3, dtype=np.int64), np.eye(3, dtype=np.int64), r"expected floating \(n, dim\)"),
    ],
)
def test_features_that_are_refused(measure: Measure, a: NDArray, b: NDArray, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        measure.values(a, b)


@pytest.mark.parametrize("measure", OF_PIXELS, ids=lambda m: m.name)
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (images(0, N), images(0, N)[1:], "paired row by row"),
        (images(0, N)[:0], images(0, N)[:0], "at least one uint8 image"),
        (images(0, N).astype(np.float32), images(0, N), "at least one uint8 image"),
        (images(0, N), images(0, N) / 127.5 - 1, "at least one uint8 image"),
        (images(0, N)[0], images(0, N)[0], "at least one uint8 image"),
    ],
)
def test_images_that_are_refused(measure: Measure, a: NDArray, b: NDArray, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        measure.values(a, b)
