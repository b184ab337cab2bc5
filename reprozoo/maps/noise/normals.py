"""Standard normals from 64-bit words, the same bits on every machine.

Box-Muller needs a logarithm, a sine and a cosine, and those of a C library or of a SIMD dispatch differ in the last bit
between platforms and versions. Here they are made of what IEEE 754 defines exactly (+, -, *, / and sqrt in float64,
shifts of integers) and of Taylor coefficients that are single divisions, so that any language gets the same bits. Each
normal is within 1e-15 (relative) of the exact value before it is rounded to float32.

The recipe, for words w[0], w[1], ...; every operation rounds to float64, in the order written, and none are fused:

    m1 = (w[2k] >> 11) + 1        u1 = m1 / 2**53, in (0, 1]
    m2 = w[2k + 1] >> 11          u2 = m2 / 2**53, in [0, 1)
    normal[2k]     = float32(sqrt(-2 ln u1) * cos(2 pi u2))
    normal[2k + 1] = float32(sqrt(-2 ln u1) * sin(2 pi u2))

    ln u:  u = z * 2**e with z between sqrt(1/2) and sqrt(2), s = (z - 1) / (z + 1), w = s*s
           e * LN2_HIGH + (2 * (s + s*w * P(w)) + e * LN2_LOW),    P: 1/3, 1/5, ... 1/21
    2 pi u2 = q * pi/2 + phi:  q = (m2 + 2**50) >> 51, phi = (m2 - (q << 51)) * (pi / 2**52), w = phi*phi
           sin phi = phi + phi*w * S(w),    S: -1/3!, 1/5!, ... 1/17!
           cos phi = 1 + w * C(w),          C: -1/2!, 1/4!, ... 1/16!, -1/18!
           then a quarter turn q times: odd q exchanges the two; the cosine is negated for q = 1, 2, the sine for 2, 3.

P, S and C are evaluated by Horner's rule from the highest power down.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # ln 2 cut to 32 bits, so that a small integer times it is exact
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")  # what is left of ln 2
PI = float.fromhex("0x1.921fb54442d18p+1")
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD  # the float64 next to sqrt(1/2), as an integer

ATANH = tuple(1 / (2 * k + 1) for k in range(1, 11))
SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(1, 9))
COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(1, 10))

BLOCK = 8192  # pairs at a time: the scratch arrays stay in a core's second-level cache


def standard_normals(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Turn pairs of words into pairs of independent standard normals, by the recipe above.

    Args:
        words: (2p,) uniform 64-bit words.

    Returns:
        (2p,) float32 normals; the largest possible magnitude is 8.6.
    """
    normals = np.empty(len(words), np.float32)
    for start in range(0, len(words), 2 * BLOCK):
        block = slice(start, start + 2 * BLOCK)
        normals[block][0::2], normals[block][1::2] = _box_muller(words[block])
    return normals


def _box_muller(words: NDArray[np.uint64]) -> tuple[Floats, Floats]:
    numerators = (words >> np.uint64(11)).view(np.int64)
    radius = _log(numerators[0::2] + 1)
    radius *= -2.0
    np.sqrt(radius, out=radius)
    cosine, sine = _cos_sin(numerators[1::2])
    cosine *= radius
    sine *= radius
    return cosine, sine


def _log(numerator: Integers) -> Floats:
    """ln(numerator / 2**53) for integers from 1 to 2**53; relative error below 4e-16."""
    z = numerator * 2.0**-53
    bits = z.view(np.int64)
    exponent = bits - SQRT_HALF_BITS
    exponent >>= 52
    bits -= exponent << 52
    s = z - 1.0
    z += 1.0
    s /= z
    w = s * s
    log = _polynomial(ATANH, w)
    w *= s
    log *= w
    log += s
    log *= 2.0
    log += exponent * LN2_LOW
    log += exponent * LN2_HIGH
    return log


def _cos_sin(numerator: Integers) -> tuple[Floats, Floats]:
    """cos and sin of 2 pi numerator / 2**53 for integers from 0 to 2**53 - 1; relative error below 4e-16."""
    quadrant = numerator + (1 << 50)
    quadrant >>= 51
    phi = (numerator - (quadrant << 51)) * (PI / 2**52)
    w = phi * phi
    cosine = _polynomial(COSINE, w)
    cosine *= w
    cosine += 1.0
    sine = _polynomial(SINE, w)
    w *= phi
    sine *= w
    sine += phi
    odd = (quadrant & 1).astype(np.bool_)
    cosine, sine = np.where(odd, sine, cosine), np.where(odd, cosine, sine)
    _negate(cosine, where=(quadrant + 1) & 2)
    _negate(sine, where=quadrant & 2)
    return cosine, sine


def _negate(values: Floats, *, where: Integers) -> None:
    """Flip the signs of the values whose ``where`` is 2 and not 0; the sign of a float64 is its bit 63."""
    bits = values.view(np.int64)
    bits ^= where << 62


def _polynomial(coefficients: tuple[float, ...], x: Floats) -> Floats:
    """c[0] + x (c[1] + x (c[2] + ...)), by Horner's rule."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value *= x
        value += coefficient
    return value
