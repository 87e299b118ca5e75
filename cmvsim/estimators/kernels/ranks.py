"""Counts over pairs of patients for Kendall's tau."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray


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
