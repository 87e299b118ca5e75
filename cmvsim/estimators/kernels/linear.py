"""Linear algebra of the regressions' kernels: sums over rows, and small symmetric systems in the leading p × p block.

Design matrices hold a covariate to a row, (p, rows): a sum over patients then runs along memory, and the processor may take
several terms at once, in an order of its own. Which order depends on the processor and on the number of rows alone, so that the
same rows give the same bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray

SINGULAR = 1e-11
"""A pivot below this share of its diagonal entry counts as zero: the column is a combination of earlier ones."""


@njit(cache=True, nogil=True, error_model="numpy")
def factor(matrix: FloatArray, p: int, lower: FloatArray) -> bool:
    """Cholesky factor of the lower triangle of `matrix` into `lower`; False where it is not positive definite."""
    for a in range(p):
        for b in range(a + 1):
            total = matrix[a, b]
            for c in range(b):
                total -= lower[a, c] * lower[b, c]
            if a == b:
                if not (np.isfinite(total) and total > SINGULAR * matrix[a, a] and total > 0.0):
                    return False
                lower[a, a] = np.sqrt(total)
            else:
                lower[a, b] = total / lower[b, b]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def solve(lower: FloatArray, p: int, right: FloatArray, solution: FloatArray) -> None:
    """Solve with a factor from :func:`factor`; `right` and `solution` may be the same array."""
    for a in range(p):
        total = right[a]
        for b in range(a):
            total -= lower[a, b] * solution[b]
        solution[a] = total / lower[a, a]
    for a in range(p - 1, -1, -1):
        total = solution[a]
        for b in range(a + 1, p):
            total -= lower[b, a] * solution[b]
        solution[a] = total / lower[a, a]


@njit(cache=True, nogil=True, error_model="numpy")
def invert(lower: FloatArray, p: int, column: FloatArray, inverse: FloatArray) -> None:
    """Whole inverse from a factor; `column` is scratch of length p."""
    for a in range(p):
        column[:p] = 0.0
        column[a] = 1.0
        solve(lower, p, column, column)
        for b in range(p):
            inverse[b, a] = column[b]


@njit(cache=True, nogil=True, error_model="numpy")
def quadratic(lower: FloatArray, p: int, vector: FloatArray) -> float:
    """Quadratic form v' A⁻¹ v from the factor of A."""
    total = 0.0
    half = np.empty(p)
    for a in range(p):
        z = vector[a]
        for b in range(a):
            z -= lower[a, b] * half[b]
        half[a] = z / lower[a, a]
        total += half[a] * half[a]
    return total


BLOCK = 512
"""Rows that pass through the processor's cache together. Blocks are slices: an index that starts from a variable could be
negative for all that the compiler knows, and it would then take one row at a time."""


@njit(cache=True, nogil=True, error_model="numpy")
def linear_predictor(x: FloatArray, beta: FloatArray, n: int, p: int, eta: FloatArray) -> None:
    """Fill `eta` with xβ of the first n rows."""
    for begin in range(0, n, BLOCK):
        rows = min(BLOCK, n - begin)
        here = eta[begin : begin + rows]
        for a in range(p):
            column = x[a][begin : begin + rows]
            of_a = beta[a]
            if a == 0:
                for i in range(rows):
                    here[i] = column[i] * of_a
            else:
                for i in range(rows):
                    here[i] += column[i] * of_a


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})
def dot(u: FloatArray, v: FloatArray, n: int) -> float:
    """Σ u v over the first n."""
    total = 0.0
    for i in range(n):
        total += u[i] * v[i]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def weighted_sums(x: FloatArray, weight: FloatArray, n: int, p: int, out: FloatArray) -> None:
    """Fill `out` with Σ weight x over the first n rows."""
    for a in range(p):
        out[a] = dot(weight, x[a], n)


@njit(cache=True, nogil=True, error_model="numpy")
def cross_product(x: FloatArray, weight: FloatArray, n: int, p: int, spare: FloatArray, out: FloatArray) -> None:
    """Add Σ weight x x' over the first n rows to the lower triangle of `out`; `spare` is scratch."""
    for begin in range(0, n, BLOCK):
        rows = min(BLOCK, n - begin)
        here = weight[begin : begin + rows]
        for a in range(p):
            column = x[a][begin : begin + rows]
            for i in range(rows):
                spare[i] = here[i] * column[i]
            for b in range(a + 1):
                out[a, b] += dot(spare, x[b][begin : begin + rows], rows)


@njit(cache=True, nogil=True, error_model="numpy")
def sandwich(
    bread: FloatArray, residuals: FloatArray, cluster: FloatArray, order: IntArray, n: int, p: int, out: FloatArray
) -> None:
    """A⁻¹ (Σ u u') A⁻¹, u the sum of the first n columns of `residuals` within a cluster; no clusters if `cluster` is empty.

    `order` brings the rows of a cluster together. No small-sample factor.
    """
    meat = np.zeros((p, p))
    total = np.zeros(p)
    if cluster.size == 0:
        for a in range(p):
            for b in range(a + 1):
                meat[a, b] = dot(residuals[a], residuals[b], n)
    else:
        for place in range(n):
            i = order[place]
            for a in range(p):
                total[a] += residuals[a, i]
            if place + 1 == n or cluster[order[place + 1]] != cluster[i]:
                for a in range(p):
                    for b in range(a + 1):
                        meat[a, b] += total[a] * total[b]
                total[:] = 0.0
    half = np.zeros((p, p))
    for a in range(p):
        for b in range(p):
            for c in range(p):
                half[a, b] += bread[a, c] * (meat[c, b] if c >= b else meat[b, c])
    for a in range(p):
        for b in range(p):
            out[a, b] = 0.0
            for c in range(p):
                out[a, b] += half[a, c] * bread[c, b]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})
def _sum(values: FloatArray, n: int) -> float:
    total = 0.0
    for i in range(n):
        total += values[i]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def standardise(x: FloatArray, n: int, p: int, mean: FloatArray, scale: FloatArray) -> None:
    """Centre the first n columns of (p, rows) and divide by the standard deviation, in place; a constant row becomes zeros.

    Steps and tolerances then mean the same whatever the unit of a covariate, and exp() stays in range.
    """
    for a in range(p):
        largest = 0.0
        for i in range(n):
            largest = max(largest, abs(x[a, i]))
        mean[a] = _sum(x[a], n) / max(n, 1)
        for i in range(n):
            x[a, i] -= mean[a]
        scale[a] = np.sqrt(dot(x[a], x[a], n) / max(n, 1))
        constant = not scale[a] > 1e-14 * largest
        if constant:
            scale[a] = 1.0
        inverse = 0.0 if constant else 1.0 / scale[a]
        for i in range(n):
            x[a, i] *= inverse


@njit(cache=True, nogil=True, error_model="numpy")
def wald(covariance: FloatArray, p: int, estimate: FloatArray) -> float:
    """Quadratic form b' V⁻¹ b; NaN where V is singular."""
    lower = np.empty((p, p))
    if not factor(covariance, p, lower):
        return np.nan
    return quadratic(lower, p, estimate)
