"""exp() of many numbers at once: the regressions' kernels spend much of their time in it.

x = m ln 2 + r with a whole m and |r| <= ln(2) / 2; exp(r) by its series, whose first term left out is below 1e-17 of it,
and 2^m by writing m into the exponent's bits. Written so that the processor takes several numbers together, which a call of
the C library does not allow. Within 2 units in the last place of the C library's.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray
from cmvsim.estimators.kernels.linear import BLOCK

PER_LN2 = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
"""ln 2 in two parts; the first has so few bits that its product with a whole number is exact."""
ROUNDING = 6755399441055744.0
"""1.5 * 2^52: added to a number it leaves the nearest whole one in the lowest bits."""
LARGEST, SMALLEST = 709.4, -708.3
"""Beyond these the result is infinite, or 0."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def exponentials(values: FloatArray, n: int, out: FloatArray, spare: FloatArray) -> None:
    """Fill `out` with exp of the first n values; `spare` is scratch of the same length, none of the three another's memory."""
    for begin in range(0, n, BLOCK):
        rows = min(BLOCK, n - begin)
        given = values[begin : begin + rows]
        power = spare[begin : begin + rows]
        bits = power.view(np.int64)
        result = out[begin : begin + rows]
        for i in range(rows):
            v = given[i]
            v = min(v, LARGEST)
            v = max(v, SMALLEST)
            power[i] = v * PER_LN2 + ROUNDING
            m = power[i] - ROUNDING
            r = (v - m * LN2_HIGH) - m * LN2_LOW
            total = 1.0 / 6227020800.0
            total = total * r + 1.0 / 479001600.0
            total = total * r + 1.0 / 39916800.0
            total = total * r + 1.0 / 3628800.0
            total = total * r + 1.0 / 362880.0
            total = total * r + 1.0 / 40320.0
            total = total * r + 1.0 / 5040.0
            total = total * r + 1.0 / 720.0
            total = total * r + 1.0 / 120.0
            total = total * r + 1.0 / 24.0
            total = total * r + 1.0 / 6.0
            total = total * r + 0.5
            total = total * r + 1.0
            result[i] = total * r + 1.0
        for i in range(rows):
            bits[i] = (bits[i] + 1023) << 52
        for i in range(rows):
            whole = result[i] * power[i]
            whole = np.inf if given[i] > LARGEST else whole
            result[i] = 0.0 if given[i] < SMALLEST else whole
