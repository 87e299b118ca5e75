"""Ranks, product moments, and counts over pairs of patients for Kendall's tau."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray


@njit(cache=True, nogil=True, error_model="numpy")
def _tie_sums(values: FloatArray) -> tuple[float, float, float]:
    """Sums over groups of t tied values: of t (t-1) / 2, of t (t-1) (2t+5) and of t (t-1) (t-2)."""
    arranged = np.sort(values)
    pairs = 0.0
    variance = 0.0
    triples = 0.0
    i = 0
    while i < arranged.size:
        first = i
        while i < arranged.size and arranged[i] == arranged[first]:
            i += 1
        t = float(i - first)
        pairs += t * (t - 1.0) / 2.0
        variance += t * (t - 1.0) * (2.0 * t + 5.0)
        triples += t * (t - 1.0) * (t - 2.0)
    return pairs, variance, triples


@njit(cache=True, nogil=True, error_model="numpy")
def count_concordance(x: FloatArray, y: FloatArray, score: FloatArray, ties: FloatArray) -> None:
    """Concordant minus discordant pairs of each replicate, and the sums over ties that the variance needs.

    `ties` is (replicates, 6): pairs tied in x and in y, then the variance terms of x and y, then the triples. NaN
    in `x` is not in the analysis (and NaN in `y` must be in the same places).
    """
    n_replicates, n_patients = x.shape
    a = np.empty(n_patients)
    b = np.empty(n_patients)
    for r in range(n_replicates):
        n = 0
        for i in range(n_patients):
            if x[r, i] == x[r, i]:
                a[n] = x[r, i]
                b[n] = y[r, i]
                n += 1
        total = 0
        for i in range(n):
            for j in range(i):
                up = (a[i] > a[j]) - (a[i] < a[j])
                total += up * ((b[i] > b[j]) - (b[i] < b[j]))
        score[r] = total
        pairs, variance, triples = _tie_sums(a[:n])
        ties[r, 0] = pairs
        ties[r, 2] = variance
        ties[r, 4] = triples
        pairs, variance, triples = _tie_sums(b[:n])
        ties[r, 1] = pairs
        ties[r, 3] = variance
        ties[r, 5] = triples


@njit(cache=True, nogil=True, error_model="numpy")
def rank_rows(values: FloatArray, order: IntArray, ranks: FloatArray) -> None:
    """Mean ranks of each row from its ascending order, which has NaN last; NaN stays NaN."""
    n_replicates, n_patients = values.shape
    for r in range(n_replicates):
        i = 0
        while i < n_patients:
            first = i
            value = values[r, order[r, i]]
            while i < n_patients and values[r, order[r, i]] == value:
                i += 1
            if i == first:  # NaN, and nothing else comes after it
                for q in range(i, n_patients):
                    ranks[r, order[r, q]] = np.nan
                break
            for q in range(first, i):
                ranks[r, order[r, q]] = (first + 1 + i) / 2.0


@njit(cache=True, nogil=True, error_model="numpy")
def product_moments(x: FloatArray, y: FloatArray, n: IntArray, correlation: FloatArray) -> None:
    """Pairs without NaN, and the product-moment correlation of each row; NaN where a column is constant.

    Rounding leaves a constant column with a spread of about 1e-16 of its size, hence the margin.
    """
    n_replicates, n_patients = x.shape
    for r in range(n_replicates):
        count = 0
        mean_x = 0.0
        mean_y = 0.0
        largest_x = 0.0
        largest_y = 0.0
        for i in range(n_patients):
            if x[r, i] == x[r, i]:
                count += 1
                mean_x += x[r, i]
                mean_y += y[r, i]
                largest_x = max(largest_x, abs(x[r, i]))
                largest_y = max(largest_y, abs(y[r, i]))
        n[r] = count
        correlation[r] = np.nan
        if count == 0:
            continue
        mean_x /= count
        mean_y /= count
        xx = 0.0
        yy = 0.0
        xy = 0.0
        for i in range(n_patients):
            if x[r, i] == x[r, i]:
                a = x[r, i] - mean_x
                b = y[r, i] - mean_y
                xx += a * a
                yy += b * b
                xy += a * b
        margin = 1e-13 * np.sqrt(count)
        if np.sqrt(xx) > margin * largest_x and np.sqrt(yy) > margin * largest_y:
            correlation[r] = xy / (np.sqrt(xx) * np.sqrt(yy))
