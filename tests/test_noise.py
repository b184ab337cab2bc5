"""Noise is what its documentation says, bit for bit, and is standard normal."""

import hashlib
import math
import os
import struct
import subprocess
import sys
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch

from reprozoo.base.errors import UsageError
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.maps.noise.normals import _box_muller, standard_normals

MASK = 2**64 - 1
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


def philox(key, counter):
    """One block of Philox4x64-10, from its paper (Salmon et al., 2011), on Python's integers."""
    x, (k0, k1) = list(counter), key
    for _ in range(10):
        low, high = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [(high >> 64) ^ x[1] ^ k0, high & MASK, (low >> 64) ^ x[3] ^ k1, low & MASK]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return x


def horner(coefficients, x):
    value = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value


def scalar_pair(first, second):
    """The documented recipe in Python's own float64: what a port to another language does."""
    u = ((first >> 11) + 1) / 2**53
    z, e = math.frexp(u)
    if z < math.sqrt(0.5):
        z, e = z * 2, e - 1
    s = (z - 1) / (z + 1)
    w = s * s
    high, low = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
    log = e * high + (e * low + 2 * (s + (w * s) * horner([1 / (2 * k + 1) for k in range(1, 11)], w)))
    m = second >> 11
    q = (m + 2**50) >> 51
    phi = (m - (q << 51)) * (math.pi / 2**52)
    w = phi * phi
    sine = phi + (phi * w) * horner([(-1) ** k / math.factorial(2 * k + 1) for k in range(1, 9)], w)
    cosine = 1 + w * horner([(-1) ** k / math.factorial(2 * k) for k in range(1, 10)], w)
    for _ in range(q):
        cosine, sine = -sine, cosine
    radius = math.sqrt(-2 * log)
    return radius * cosine, radius * sine


def scalar_noise(seed, index, count):
    """Noise from nothing but the documentation."""
    words = [word for block in range(1, count // 4 + 2) for word in philox((seed, index), (block, 0, 0, 0))]
    pairs = [scalar_pair(words[2 * k], words[2 * k + 1]) for k in range((count + 1) // 2)]
    return [struct.unpack("f", struct.pack("f", value))[0] for pair in pairs for value in pair][:count]


@pytest.mark.parametrize(("seed", "index"), [(0, 0), (1, 2), (MASK, 12345), (7, MASK)])
def test_documentation_gives_the_same_bits(seed, index):
    assert NoiseBank(seed).noise([index], (301,))[0].tolist() == scalar_noise(seed, index, 301)


def test_golden_values():
    # Hexadecimal: every bit counts. A change here changes every image of every model, and ALGORITHM must say so.
    values = [float(x).hex() for x in NoiseBank(0).noise([0, 1], (3,)).flatten()]
    assert values == [
        "0x1.44ad640000000p-3",
        "0x1.7dcefe0000000p+1",
        "-0x1.ecfa260000000p+0",
        "0x1.6067380000000p-8",
        "-0x1.4918ac0000000p-1",
        "-0x1.c63ef00000000p-1",
    ]


def test_golden_digest():
    digest = NoiseBank(0).digest(range(64), (3, 32, 32))
    assert digest == "7ed4227f76a5781e0669fa081ba1918a4e977c02626651b443b10bc07a7bb802"


def test_vector_instructions_do_not_show():
    umath = pytest.importorskip("numpy._core._multiarray_umath")
    used = [feature for feature in umath.__cpu_dispatch__ if umath.__cpu_features__[feature]]
    program = "from reprozoo.maps.noise.bank import NoiseBank; print(NoiseBank(0).digest(range(64), (3, 32, 32)))"
    plain = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(used)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.strip() == NoiseBank(0).digest(range(64), (3, 32, 32))


def decimal_cos_sin(angle):
    cosine = sine = Decimal(0)
    term = Decimal(1)
    for k in range(80):
        if k % 2:
            sine += term if k % 4 == 1 else -term
        else:
            cosine += term if k % 4 == 0 else -term
        term = term * angle / (k + 1)
    return cosine, sine


def exact_pair(first, second):
    with localcontext(prec=60):
        radius = (-2 * (Decimal((int(first) >> 11) + 1) / 2**53).ln()).sqrt()
        cosine, sine = decimal_cos_sin(2 * PI * (int(second) >> 11) / 2**53)
        return radius * cosine, radius * sine


def edge_words():
    """Uniforms next to 0, 1, sqrt(1/2) and 1/2, and angles next to every multiple of an eighth of a turn."""
    near = [0, 1, 2, 2**52 - 1, 2**52, 2**52 + 1, 2**53 - 3, 2**53 - 2, int(2**52.5) - 1, int(2**52.5), 2**20]
    angles = [(turn * 2**50 + offset) % 2**53 for turn in range(9) for offset in (-1, 0, 1)]
    return [(u << 11, a << 11) for u in near for a in angles]


def test_normals_are_exact_to_1e_15():
    rng = np.random.default_rng(0)
    pairs = edge_words() + [tuple(map(int, pair)) for pair in rng.integers(0, 2**64, (300, 2), np.uint64)]
    computed = _box_muller(np.array(pairs, np.uint64).flatten())
    for pair, *values in zip(pairs, *computed, strict=True):
        for value, exact in zip(values, exact_pair(*pair), strict=True):
            # 7 roundings of 1.1e-16 on the way; 1e-45 where the exact value is 0 (a quarter turn) and Decimal is not
            assert abs(Decimal(float(value)) - exact) <= Decimal("1e-15") * abs(exact) + Decimal("1e-45")


def test_largest_normal_and_zero_are_finite():
    normals = standard_normals(np.array([0, 0, MASK, 0], np.uint64))
    assert normals.tolist() == [pytest.approx(math.sqrt(106 * math.log(2))), 0, 0, 0]


@pytest.mark.parametrize("shape", [(5,), (3, 5, 5), (3, 32, 32)])
def test_any_split_gives_the_same_noise(shape):
    bank = NoiseBank(3)
    whole = bank.noise(range(40), shape)
    assert torch.equal(torch.cat([bank.noise(range(i, i + 8), shape) for i in range(0, 40, 8)]), whole)
    assert torch.equal(bank.noise([39, 0, 7, 7], shape), whole[[39, 0, 7, 7]])


def test_blocks_do_not_show(monkeypatch):
    bank = NoiseBank(3)
    whole = bank.noise(range(10), (7, 9))
    digest = bank.digest(range(10), (7, 9))
    monkeypatch.setattr("reprozoo.maps.noise.bank.BLOCK_VALUES", 130)
    monkeypatch.setattr("reprozoo.maps.noise.normals.BLOCK", 5)
    assert torch.equal(bank.noise(range(10), (7, 9)), whole)
    assert bank.digest(range(10), (7, 9)) == digest


def test_digest_is_of_the_bytes():
    noise = NoiseBank(5).noise([4, 2], (3, 4))
    assert NoiseBank(5).digest([4, 2], (3, 4)) == hashlib.sha256(noise.numpy().astype("<f4").tobytes()).hexdigest()


def test_noise_is_float32_of_the_shape_asked_for():
    noise = NoiseBank(0).noise(range(3), (2, 4, 4))
    assert noise.dtype == torch.float32
    assert noise.shape == (3, 2, 4, 4)
    assert NoiseBank(0).noise([], (2,)).shape == (0, 2)


def test_drawing_leaves_the_global_generators_alone():
    torch.manual_seed(0)
    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].tolist()
    NoiseBank(0).noise(range(3), (8,))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == before_numpy


def test_moments_are_those_of_a_standard_normal():
    x = NoiseBank(0).noise(range(300), (3, 32, 32)).double()
    n = x.numel()
    # Five standard errors each: of the mean 1/sqrt(n), the variance sqrt(2/n), the skewness sqrt(15/n), x^4 sqrt(96/n).
    assert abs(x.mean()) < 5 / math.sqrt(n)
    assert abs(x.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((x**3).mean()) < 5 * math.sqrt(15 / n)
    assert abs((x**4).mean() - 3) < 5 * math.sqrt(96 / n)


def test_kolmogorov_smirnov():
    x = NoiseBank(1).noise(range(100), (3, 32, 32)).double().flatten().sort().values
    n = len(x)
    distance = (torch.special.ndtr(x) - (torch.arange(n) + 0.5) / n).abs().max() + 0.5 / n
    assert distance * math.sqrt(n) < 1.95  # the 0.001 quantile of Kolmogorov's distribution


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda: NoiseBank(0).noise(range(1, 101), (3072,)), id="next index"),
        pytest.param(lambda: NoiseBank(1).noise(range(100), (3072,)), id="next seed"),
        pytest.param(lambda: NoiseBank(2**32).noise(range(100), (3072,)), id="high word of the seed"),
        pytest.param(lambda: NoiseBank(0).noise(range(100), (3073,))[:, 1:], id="next value"),
    ],
)
def test_neighbours_are_not_correlated(other):
    a, b = NoiseBank(0).noise(range(100), (3072,)).double(), other().double()
    bound = 5 / math.sqrt(a.numel())  # five standard errors of a mean of products of independent unit variables
    assert abs((a * b).mean()) < bound
    assert abs(((a**2 - 1) * (b**2 - 1)).mean() / 2) < bound


def test_seed_and_index_are_not_interchangeable():
    assert not torch.equal(NoiseBank(1).noise([0], (8,)), NoiseBank(0).noise([1], (8,)))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seed_out_of_range(seed):
    with pytest.raises(UsageError, match=r"from 0 to 2\*\*64 - 1"):
        NoiseBank(seed)


@pytest.mark.parametrize("indices", [[0, -1], [2**64], range(-1, 3), range(2**64 - 1, 2**64 + 1), range(3, -2, -1)])
def test_index_out_of_range(indices):
    with pytest.raises(UsageError, match="noise indices go from 0"):
        NoiseBank(0).noise(indices, (2,))


@pytest.mark.parametrize("shape", [(), (3, 0), (-1,)])
def test_empty_shape(shape):
    with pytest.raises(UsageError, match="shape of a noise"):
        NoiseBank(0).noise([0], shape)


def test_huge_range_is_checked_at_once():
    with pytest.raises(UsageError, match="noise indices go from 0"):
        NoiseBank(0).noise(range(-(10**15), 10**15), (2,))


def test_spec_identifies_the_noise():
    assert NoiseBank(3).spec() == {"kind": "bank", "algorithm": "philox4x64-10/box-muller/1", "seed": 3}
    assert NoiseBank(np.int64(3)).spec() == NoiseBank(3).spec()
