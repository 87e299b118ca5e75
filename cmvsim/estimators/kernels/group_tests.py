"""Log-rank and Gray sweeps over sorted keys, k groups, strata added up, nested sizes."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.estimators.kernels.linear import factor, quadratic
from cmvsim.estimators.kernels.packing import BEYOND, CLASS_SHIFT, CODE_SHIFT, INDEX_MASK, OF_INTEREST


@njit(cache=True, nogil=True, error_model="numpy")
def chi_square(score: FloatArray, variance: FloatArray, chosen: IntArray, k: int) -> float:
    """Quadratic form of the first k `chosen` entries; NaN where the variance is singular."""
    small = np.empty((k, k))
    lower = np.empty((k, k))
    vector = np.empty(k)
    for a in range(k):
        vector[a] = score[chosen[a]]
        for b in range(k):
            small[a, b] = variance[chosen[a], chosen[b]]
    if not factor(small, k, lower):
        return np.nan
    return quadratic(lower, k, vector)


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_logrank(
    keys: IntArray,
    group: IntArray,
    stratum: IntArray,
    n_strata: int,
    sizes: IntArray,
    rho: float,
    statistic: FloatArray,
    df: IntArray,
    observed: FloatArray,
    expected: FloatArray,
    variance: FloatArray,
    n: IntArray,
    events: IntArray,
) -> None:
    """Fill the outputs, leading shape (replicates, sizes); `observed` and the like come with zeros.

    At each event time the hypergeometric mean and covariance of the events of each group, given the margins,
    times S(t-)^rho with S the pooled Kaplan-Meier of the stratum.
    """
    k = observed.shape[2]
    at_risk = np.zeros(k)
    d = np.zeros(k)
    leaving = np.zeros(k)
    chosen = np.zeros(k, dtype=np.int64)
    score = np.zeros(k)
    stratified = n_strata > 1
    for r in range(keys.shape[0]):
        row = keys[r]
        n_keys = 0
        while n_keys < row.size and row[n_keys] != BEYOND:
            n_keys += 1
        for j in range(sizes.size):
            V = variance[r, j]
            seen = observed[r, j]
            E = expected[r, j]
            for s in range(n_strata):
                at_risk[:] = 0.0
                for place in range(n_keys):
                    i = row[place] & INDEX_MASK
                    if i < sizes[j] and not (stratified and stratum[r, i] != s):
                        at_risk[group[r, i]] += 1.0
                Y = at_risk.sum()
                n[r, j] += int(Y)
                S = 1.0
                place = 0
                while place < n_keys:
                    code = row[place] >> CODE_SHIFT
                    deaths = 0.0
                    left = 0.0
                    while place < n_keys and row[place] >> CODE_SHIFT == code:
                        i = row[place] & INDEX_MASK
                        of_interest = ((row[place] >> CLASS_SHIFT) & 3) == OF_INTEREST
                        place += 1
                        if i < sizes[j] and not (stratified and stratum[r, i] != s):
                            g = group[r, i]
                            leaving[g] += 1.0
                            left += 1.0
                            d[g] += of_interest
                            deaths += of_interest
                    if left == 0.0:
                        continue
                    if deaths > 0.0:
                        weight = 1.0 if rho == 0.0 else S**rho
                        share = weight * deaths / Y
                        spread = 0.0
                        if Y > 1.0:
                            spread = weight * share * (Y - deaths) / (Y * (Y - 1.0))
                        for g in range(k):
                            seen[g] += weight * d[g]
                            E[g] += share * at_risk[g]
                            V[g, g] += spread * at_risk[g] * (Y - at_risk[g])
                            for h in range(g):
                                V[g, h] -= spread * at_risk[g] * at_risk[h]
                            d[g] = 0.0
                        S *= (Y - deaths) / Y
                        events[r, j] += int(deaths)
                    for g in range(k):
                        at_risk[g] -= leaving[g]
                        leaving[g] = 0.0
                    Y -= left
            used = 0
            for g in range(k):
                score[g] = seen[g] - E[g]
                for h in range(g):
                    V[h, g] = V[g, h]
                # a group nobody of which was ever at risk at an event takes no part, as in R
                if E[g] > 0.0:
                    chosen[used] = g
                    used += 1
            df[r, j] = max(used - 1, 0)
            # the groups' scores add up to zero: any one of them is superfluous
            statistic[r, j] = chi_square(score, V, chosen, used - 1) if used > 1 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_gray(
    keys: IntArray,
    group: IntArray,
    stratum: IntArray,
    n_strata: int,
    sizes: IntArray,
    rho: float,
    statistic: FloatArray,
    df: IntArray,
    score: FloatArray,
    variance: FloatArray,
    n: IntArray,
    events: IntArray,
) -> None:
    """Fill the outputs, leading shape (replicates, sizes); `score` and `variance` come with zeros.

    Gray (1988) as cmprsk computes it. Per group: S and F the left-continuous Kaplan-Meier of any event and the
    incidence, Y at risk; T = Σ Y/S estimates how many would be at risk of the cause alone, and the pooled
    incidence under the hypothesis grows by d1/T. The variance treats the events as if drawn from the pooled
    incidence, with finite-sample factors in ties.
    """
    k = score.shape[2]
    Y = np.zeros(k)
    S = np.ones(k)
    S_next = np.ones(k)
    F = np.zeros(k)
    share = np.zeros(k)
    d1 = np.zeros(k)
    d2 = np.zeros(k)
    leaving = np.zeros(k)
    a = np.zeros((k, k))
    c = np.zeros((k, k))
    v2 = np.zeros((k, k))
    v3 = np.zeros(k)
    present = np.zeros(k)
    chosen = np.zeros(k, dtype=np.int64)
    stratified = n_strata > 1
    for r in range(keys.shape[0]):
        row = keys[r]
        n_keys = 0
        while n_keys < row.size and row[n_keys] != BEYOND:
            n_keys += 1
        for j in range(sizes.size):
            V = variance[r, j]
            U = score[r, j]
            present[:] = 0.0
            for s in range(n_strata):
                for g in range(k):
                    Y[g] = 0.0
                    S[g] = 1.0
                    F[g] = 0.0
                    v3[g] = 0.0
                    for h in range(k):
                        c[g, h] = 0.0
                        v2[g, h] = 0.0
                for place in range(n_keys):
                    i = row[place] & INDEX_MASK
                    if i < sizes[j] and not (stratified and stratum[r, i] != s):
                        Y[group[r, i]] += 1.0
                for g in range(k):
                    present[g] += Y[g]
                    n[r, j] += int(Y[g])
                pooled = 0.0
                place = 0
                while place < n_keys:
                    code = row[place] >> CODE_SHIFT
                    n1 = 0.0
                    n2 = 0.0
                    left = 0.0
                    while place < n_keys and row[place] >> CODE_SHIFT == code:
                        i = row[place] & INDEX_MASK
                        kind = (row[place] >> CLASS_SHIFT) & 3
                        place += 1
                        if i < sizes[j] and not (stratified and stratum[r, i] != s):
                            g = group[r, i]
                            leaving[g] += 1.0
                            left += 1.0
                            d1[g] += kind == 1
                            d2[g] += kind == 2
                            n1 += kind == 1
                            n2 += kind == 2
                    if left == 0.0:
                        continue
                    if n1 + n2 > 0.0:
                        T = 0.0
                        Q = 0.0
                        for g in range(k):
                            share[g] = 0.0
                            if Y[g] > 0.0:
                                S_next[g] = S[g] * (Y[g] - d1[g] - d2[g]) / Y[g]
                                share[g] = Y[g] / S[g]
                                T += share[g]
                                Q += share[g] * (1.0 - F[g])
                            else:
                                S_next[g] = S[g]
                        after = pooled + n1 / T
                        if n1 > 0.0:
                            events[r, j] += int(n1)
                            weight = 1.0 if rho == 0.0 else (1.0 - pooled) ** rho
                            rate = n1 / (T * (1.0 - pooled))
                            for g in range(k):
                                U[g] += weight * (d1[g] - n1 * share[g] * (1.0 - F[g]) / Q)
                                a[g, g] = weight * share[g] * (1.0 - share[g] / T)
                                c[g, g] += a[g, g] * rate
                                for h in range(g):
                                    a[g, h] = -weight * share[g] * share[h] / T
                                    a[h, g] = a[g, h]
                                    c[g, h] += a[g, h] * rate
                                    c[h, g] = c[g, h]
                            for q in range(k):
                                if Y[q] <= 0.0:
                                    continue
                                t4 = 1.0 - (1.0 - after) / S_next[q] if S_next[q] > 0.0 else 1.0
                                t5 = 1.0 - (n1 - 1.0) / (T * S[q] - 1.0) if n1 > 1.0 else 1.0
                                t3 = t5 * S[q] * n1 / (T * Y[q])
                                v3[q] += t4 * t4 * t3
                                for g in range(k):
                                    t1 = (a[g, q] - t4 * c[g, q]) * t3
                                    v2[g, q] += t1 * t4
                                    for h in range(g + 1):
                                        V[g, h] += t1 * (a[h, q] - t4 * c[h, q])
                        if n2 > 0.0:
                            for q in range(k):
                                if S_next[q] <= 0.0 or d2[q] <= 0.0:
                                    continue
                                t4 = (1.0 - after) / S_next[q]
                                t5 = 1.0 - (d2[q] - 1.0) / (Y[q] - 1.0) if d2[q] > 1.0 else 1.0
                                t3 = t5 * S[q] * S[q] * d2[q] / (Y[q] * Y[q])
                                v3[q] += t4 * t4 * t3
                                for g in range(k):
                                    t1 = t4 * c[g, q] * t3
                                    v2[g, q] -= t1 * t4
                                    for h in range(g + 1):
                                        V[g, h] += t1 * t4 * c[h, q]
                        for g in range(k):
                            if Y[g] > 0.0:
                                F[g] += S[g] * d1[g] / Y[g]
                            S[g] = S_next[g]
                            d1[g] = 0.0
                            d2[g] = 0.0
                        pooled = after
                    for g in range(k):
                        Y[g] -= leaving[g]
                        leaving[g] = 0.0
                for g in range(k):
                    for h in range(g + 1):
                        for q in range(k):
                            V[g, h] += c[g, q] * c[h, q] * v3[q] + c[g, q] * v2[h, q] + c[h, q] * v2[g, q]
            used = 0
            for g in range(k):
                for h in range(g):
                    V[h, g] = V[g, h]
                if present[g] > 0.0:
                    chosen[used] = g
                    used += 1
            df[r, j] = max(used - 1, 0)
            statistic[r, j] = chi_square(U, V, chosen, used - 1) if used > 1 else np.nan
