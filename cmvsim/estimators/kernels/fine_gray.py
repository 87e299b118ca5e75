"""Newton's method for Fine-Gray regression over replicates: steps, stopping, separation, sandwich."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.estimators.kernels.cox import (
    AT_SUPREMUM,
    EMPTY,
    NO_EVENTS,
    NOT_CONVERGED,
    NOT_ESTIMABLE,
    OK,
    SEPARATION,
    SUSPICIOUS,
    TIGHT,
)
from cmvsim.estimators.kernels.linear import factor, invert, quadratic, sandwich, solve, standardise, wald
from cmvsim.estimators.kernels.subdistribution import (
    censoring_survivor,
    influences,
    subdistribution_recedes,
    weighted_likelihood,
)


@njit(cache=True, nogil=True, error_model="numpy")
def fit_fine_gray(
    order: IntArray,
    time: FloatArray,
    cause: IntArray,
    covariates: FloatArray,
    event: int,
    max_iterations: int,
    coef: FloatArray,
    covariance: FloatArray,
    naive: FloatArray,
    loglik: FloatArray,
    tests: FloatArray,
    n_rows: IntArray,
    events: IntArray,
    iterations: IntArray,
    status: IntArray,
) -> None:
    """Fit every replicate; `order` sorts by time, rows out of the analysis have cause -1 or place -1.

    `loglik` is (replicates, 2): at 0 and at the estimate; `tests` is (replicates, 3): score, LR, Wald.
    """
    n_replicates, n_patients, p = covariates.shape
    x = np.empty((p, n_patients))
    t = np.empty(n_patients)
    kind = np.empty(n_patients, dtype=np.int64)
    survivor = np.empty(n_patients)
    own = np.empty(n_patients)
    risk = np.empty(n_patients)
    influence = np.empty((p, n_patients))
    spare = np.empty((3, n_patients))
    sums = np.empty((3, p))
    alone = np.empty(0, dtype=np.int64)
    nobody = np.empty(0)
    mean = np.empty(p)
    scale = np.empty(p)
    U = np.empty(p)
    step = np.empty(p)
    beta = np.empty(p)
    trial = np.empty(p)
    information = np.empty((p, p))
    lower = np.empty((p, p))
    bread = np.empty((p, p))
    meat = np.empty((p, p))
    for r in range(n_replicates):
        n = 0
        n_events = 0
        for place in range(n_patients):
            i = order[r, place]
            if i < 0 or cause[r, i] < 0:
                continue
            finite = True
            for a in range(p):
                x[a, n] = covariates[r, i, a]
                finite &= np.isfinite(x[a, n])
            if not finite:
                continue
            t[n] = time[r, i]
            kind[n] = 0 if cause[r, i] == 0 else (1 if cause[r, i] == event else 2)
            n_events += kind[n] == 1
            n += 1
        n_rows[r] = n
        events[r] = n_events
        iterations[r] = 0
        coef[r] = np.nan
        covariance[r] = np.nan
        naive[r] = np.nan
        loglik[r] = np.nan
        tests[r] = np.nan
        if n == 0 or n_events == 0:
            status[r] = EMPTY if n == 0 else NO_EVENTS
            if n > 0:
                loglik[r] = 0.0
            continue
        standardise(x, n, p, mean, scale)
        censoring_survivor(t, kind, n, survivor, own)
        beta[:] = 0.0
        now = weighted_likelihood(beta, x, n, p, t, kind, survivor, own, risk, spare, sums, U, information)
        loglik[r] = now
        if not factor(information, p, lower):
            status[r] = NOT_ESTIMABLE
            continue
        tests[r, 0] = quadratic(lower, p, U)
        outcome = NOT_CONVERGED
        for iteration in range(1, max_iterations + 1):
            solve(lower, p, U, step)
            decrement = 0.0
            for a in range(p):
                decrement += U[a] * step[a]
            iterations[r] = iteration
            if outcome != SEPARATION and iteration > SUSPICIOUS and subdistribution_recedes(step, x, n, p, t, kind):
                outcome = SEPARATION
            if decrement <= (AT_SUPREMUM if outcome == SEPARATION else TIGHT):
                outcome = SEPARATION if outcome == SEPARATION else OK
                break
            size = 1.0
            ahead = -np.inf
            for _ in range(30):
                for a in range(p):
                    trial[a] = beta[a] + size * step[a]
                ahead = weighted_likelihood(trial, x, n, p, t, kind, survivor, own, risk, spare, sums, U, information)
                # near the maximum the gain drowns in rounding
                if ahead >= now - 1e-12 * (abs(now) + 1.0):
                    break
                size *= 0.5
            if not ahead >= now - 1e-12 * (abs(now) + 1.0):
                break
            beta[:] = trial
            now = ahead
            if not factor(information, p, lower):
                if outcome != SEPARATION and subdistribution_recedes(step, x, n, p, t, kind):
                    outcome = SEPARATION
                break
        if outcome == OK:
            # the step already at hand: the error it leaves is its square
            for a in range(p):
                beta[a] += step[a]
        status[r] = outcome
        if outcome != NOT_CONVERGED:
            # under separation the supremum, to the precision reached
            loglik[r, 1] = now
            tests[r, 1] = 2.0 * (now - loglik[r, 0])
        if outcome != OK:
            continue
        invert(lower, p, step, bread)
        influences(x, n, p, t, kind, survivor, own, risk, influence)
        sandwich(bread, influence, nobody, alone, n, p, meat)
        tests[r, 2] = wald(meat, p, beta)
        for a in range(p):
            coef[r, a] = beta[a] / scale[a]
            for b in range(p):
                covariance[r, a, b] = meat[a, b] / (scale[a] * scale[b])
                naive[r, a, b] = bread[a, b] / (scale[a] * scale[b])
