"""Independence estimating equations for visits within patients: normal equations by blocks, sandwich by patients."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray, Status
from cmvsim.estimators.kernels.linear import factor, invert, solve

OK = int(Status.OK)
EMPTY = int(Status.EMPTY)
NOT_ESTIMABLE = int(Status.NOT_ESTIMABLE)

PLAIN = 0
MANCL_DEROUEN = 1
FAY_GRAUBARD = 2

NO_GROUPS = 0
ONE_GROUP = 1
GROUP_PER_VISIT = 2

LARGEST_SHARE = 0.75
"""Fay and Graubard's (2001) bound of a patient's share of the information in their correction."""


@njit(cache=True, nogil=True, error_model="numpy")
def fit_independence(
    outcome: FloatArray,
    covariates: FloatArray,
    effects: int,
    correction: int,
    coef: FloatArray,
    covariance: FloatArray,
    naive: FloatArray,
    scale: FloatArray,
    n_rows: IntArray,
    clusters: IntArray,
    status: IntArray,
) -> None:
    """Fit every replicate; `outcome` (replicates, patients, visits), NaN where there is none.

    `coef` is (replicates, groups + q): one group per visit, one or none, then the covariates. `scale` is the mean
    squared residual.
    """
    n_replicates, n_patients, n_visits, q = covariates.shape
    most = coef.shape[1]
    n_groups = most - q
    used = np.empty((n_patients, n_visits), dtype=np.bool_)
    attended = np.empty(n_visits, dtype=np.int64)
    column = np.empty(n_visits, dtype=np.int64)
    place = np.empty(most, dtype=np.int64)
    A = np.empty((most, most))
    lower = np.empty((most, most))
    scratch = np.empty((most, most))
    B = np.empty((most, most))
    meat = np.empty((most, most))
    own = np.empty((most, most))
    half = np.empty((most, most))
    right = np.empty(most)
    beta = np.empty(most)
    U = np.empty(most)
    # a patient's rows, dense: only for the corrections and for the rare check of a single patient's leverage
    X = np.empty((n_visits, most))
    e = np.empty(n_visits)
    hat = np.empty((n_visits, n_visits))
    root = np.empty((n_visits, n_visits))
    z = np.empty(n_visits)
    for r in range(n_replicates):
        coef[r] = np.nan
        covariance[r] = np.nan
        naive[r] = np.nan
        scale[r] = np.nan
        attended[:] = 0
        for i in range(n_patients):
            for v in range(n_visits):
                fine = np.isfinite(outcome[r, i, v])
                for a in range(q):
                    fine &= np.isfinite(covariates[r, i, v, a])
                used[i, v] = fine
                attended[v] += fine
        g = 0
        for v in range(n_visits):
            column[v] = -1
            if effects == GROUP_PER_VISIT and attended[v] >= 2:
                column[v] = g
                place[g] = v
                g += 1
            elif effects == ONE_GROUP and attended[v] > 0:
                column[v] = 0
                place[0] = 0
                g = 1
        p = g + q
        for a in range(q):
            place[g + a] = n_groups + a
        A[:] = 0.0
        right[:] = 0.0
        n = 0
        n_clusters = 0
        squares = 0.0
        for i in range(n_patients):
            first = n
            for v in range(n_visits):
                # a visit of a single patient fits its own mean and says nothing of the covariates
                if effects == GROUP_PER_VISIT and column[v] < 0:
                    used[i, v] = False
                if not used[i, v]:
                    continue
                n += 1
                y = outcome[r, i, v]
                squares += y * y
                k = column[v]
                if k >= 0:
                    A[k, k] += 1.0
                    right[k] += y
                for a in range(q):
                    x = covariates[r, i, v, a]
                    right[g + a] += x * y
                    if k >= 0:
                        A[g + a, k] += x
                    for b in range(a + 1):
                        A[g + a, g + b] += x * covariates[r, i, v, b]
            n_clusters += n > first
        n_rows[r] = n
        clusters[r] = n_clusters
        status[r] = EMPTY if n == 0 else NOT_ESTIMABLE
        if n_clusters <= p or not factor(A, p, lower):
            continue
        solve(lower, p, right, beta)
        invert(lower, p, U, B)
        meat[:] = 0.0
        residual_squares = 0.0
        alone = False
        for i in range(n_patients):
            U[:p] = 0.0
            rows = 0
            leverage = 0.0
            for v in range(n_visits):
                if not used[i, v]:
                    continue
                k = column[v]
                residual = outcome[r, i, v] - (beta[k] if k >= 0 else 0.0)
                form = B[k, k] if k >= 0 else 0.0
                for a in range(q):
                    x = covariates[r, i, v, a]
                    residual -= x * beta[g + a]
                    inner = 2.0 * B[g + a, k] if k >= 0 else 0.0
                    for b in range(q):
                        inner += covariates[r, i, v, b] * B[g + a, g + b]
                    form += x * inner
                leverage += form
                residual_squares += residual * residual
                e[rows] = residual
                rows += 1
                if k >= 0:
                    U[k] += residual
                for a in range(q):
                    U[g + a] += covariates[r, i, v, a] * residual
            if rows == 0:
                continue
            decisive = leverage >= 1.0 - 1e-9
            if correction != PLAIN or decisive:
                m = 0
                for v in range(n_visits):
                    if not used[i, v]:
                        continue
                    X[m, :p] = 0.0
                    if column[v] >= 0:
                        X[m, column[v]] = 1.0
                    for a in range(q):
                        X[m, g + a] = covariates[r, i, v, a]
                    m += 1
                for a in range(p):
                    for b in range(a + 1):
                        total = 0.0
                        for k in range(rows):
                            total += X[k, a] * X[k, b]
                        own[a, b] = total
                        own[b, a] = total
            if decisive:
                # without this patient, would everything still be estimable?
                for a in range(p):
                    for b in range(a + 1):
                        half[a, b] = A[a, b] - own[a, b]
                        if a == b and half[a, a] <= 1e-9 * A[a, a]:
                            alone = True
                if alone or not factor(half, p, scratch):
                    alone = True
                    break
            if correction == MANCL_DEROUEN:
                for k in range(rows):
                    for m in range(k + 1):
                        total = 0.0
                        for a in range(p):
                            inner = 0.0
                            for b in range(p):
                                inner += B[a, b] * X[m, b]
                            total += X[k, a] * inner
                        hat[k, m] = (1.0 if k == m else 0.0) - total
                if not factor(hat, rows, root):
                    alone = True
                    break
                solve(root, rows, e, z)
                for a in range(p):
                    U[a] = 0.0
                    for k in range(rows):
                        U[a] += X[k, a] * z[k]
            elif correction == FAY_GRAUBARD:
                for a in range(p):
                    share = 0.0
                    for b in range(p):
                        share += own[a, b] * B[b, a]
                    U[a] /= np.sqrt(1.0 - min(LARGEST_SHARE, share))
            for a in range(p):
                if U[a] != 0.0:
                    for b in range(a + 1):
                        meat[a, b] += U[a] * U[b]
        if alone or not residual_squares > 1e-24 * squares:
            continue
        for a in range(p):
            for b in range(p):
                total = 0.0
                for k in range(p):
                    total += B[a, k] * (meat[k, b] if k >= b else meat[b, k])
                half[a, b] = total
        mean_square = residual_squares / n
        for a in range(p):
            coef[r, place[a]] = beta[a]
            for b in range(p):
                total = 0.0
                for k in range(p):
                    total += half[a, k] * B[k, b]
                covariance[r, place[a], place[b]] = total
                naive[r, place[a], place[b]] = mean_square * B[a, b]
        scale[r] = mean_square
        status[r] = OK
