"""Newton's method for Cox regression over replicates: steps, stopping, separation, tests."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray, Status
from cmvsim.estimators.kernels.linear import factor, invert, quadratic, sandwich, solve, standardise, wald
from cmvsim.estimators.kernels.partial_likelihood import death_times, partial_likelihood, recedes, score_residuals

OK = int(Status.OK)
NO_EVENTS = int(Status.NO_EVENTS)
EMPTY = int(Status.EMPTY)
NOT_ESTIMABLE = int(Status.NOT_ESTIMABLE)
SEPARATION = int(Status.SEPARATION)
NOT_CONVERGED = int(Status.NOT_CONVERGED)

TIGHT = 1e-18
"""Squared Newton decrement at which to stop: the last step then moves a coefficient by 1e-9 of its SE."""
AT_SUPREMUM = 1e-10
"""The same once there is known to be no maximum: the likelihood is within about as much of its supremum."""
SUSPICIOUS = 8
"""Newton steps after which a likelihood without maximum is looked for."""
FLAT = 1e-14
"""Information per event, over the largest squared covariate, that is rounding alone."""


@njit(cache=True, nogil=True, error_model="numpy")
def fit_cox(
    order: IntArray,
    entry_order: IntArray,
    time: FloatArray,
    cause: IntArray,
    entry: FloatArray,
    weight: FloatArray,
    stratum: IntArray,
    cluster: FloatArray,
    covariates: FloatArray,
    event: int,
    efron: bool,
    robust: bool,
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
    """Fit every replicate; `order` sorts by (stratum, exit); rows out of the analysis have cause -1 or place -1.

    `entry`, `weight`, `stratum` and `cluster` may have no columns: none given. `loglik` is (replicates, 2): at
    0 and at the estimate; `tests` is (replicates, 4): score, LR, Wald, robust score.
    """
    n_replicates, n_patients, p = covariates.shape
    late = entry.shape[1] > 0
    weighted = weight.shape[1] > 0
    clustered = cluster.shape[1] > 0
    x = np.empty((p, n_patients))
    t = np.empty(n_patients)
    start_at = np.full(n_patients, -np.inf)
    w = np.ones(n_patients)
    c = np.empty(n_patients if clustered else 0)
    dead = np.empty(n_patients, dtype=np.bool_)
    segment = np.zeros(n_patients, dtype=np.int64)
    place_of = np.empty(n_patients, dtype=np.int64)
    by_entry = np.empty(n_patients if late else 0, dtype=np.int64)
    risk = np.empty(n_patients)
    spare = np.empty((6, n_patients))
    mark = np.empty(n_patients)
    table = np.empty((6, n_patients), dtype=np.int64)
    toll = np.empty(n_patients)
    means = np.empty((p, n_patients))
    sums = np.empty((2, p))
    residual = np.empty((p, n_patients if robust else 0))
    hazards = np.empty((3 * (p + 1), n_patients + 1 if robust else 0))
    places = np.empty((2, n_patients if robust else 0), dtype=np.int64)
    together = np.empty(0, dtype=np.int64)
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
        level = -1
        place_of[:] = -1
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
            if n == 0 or (stratum.shape[1] > 0 and stratum[r, i] != level):
                level = stratum[r, i] if stratum.shape[1] > 0 else 0
                segment[n] = n
            else:
                segment[n] = segment[n - 1]
            t[n] = time[r, i]
            dead[n] = cause[r, i] == event
            n_events += dead[n]
            if weighted:
                w[n] = weight[r, i]
            if late:
                start_at[n] = entry[r, i]
            if clustered:
                c[n] = cluster[r, i]
            place_of[i] = n
            n += 1
        if late:
            found = 0
            for place in range(n_patients):
                if place_of[entry_order[r, place]] >= 0:
                    by_entry[found] = place_of[entry_order[r, place]]
                    found += 1
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
        for i in range(n):
            mark[i] = w[i] if dead[i] else 0.0
        n_times = death_times(t, mark, segment, n, table, toll)
        beta[:] = 0.0
        now = partial_likelihood(
            beta,
            x,
            n,
            p,
            t,
            mark,
            w,
            segment,
            n_times,
            table,
            toll,
            late,
            start_at,
            by_entry,
            efron,
            risk,
            spare,
            means,
            sums,
            U,
            information,
        )
        loglik[r] = now
        rounding = FLAT * n_events * _largest_square(x, n, p)
        if _flat(information, p, rounding) or not factor(information, p, lower):
            status[r] = NOT_ESTIMABLE
            continue
        tests[r, 0] = quadratic(lower, p, U)
        if robust:
            if clustered:
                together = np.argsort(c[:n])
            score_residuals(x, n, p, t, dead, w, segment, late, start_at, by_entry, efron, risk, hazards, places, residual)
            bread[:] = 0.0
            for a in range(p):
                bread[a, a] = 1.0
            sandwich(bread, residual, c, together, n, p, meat)
            if factor(meat, p, bread):
                tests[r, 3] = quadratic(bread, p, U)
        outcome = NOT_CONVERGED
        for iteration in range(1, max_iterations + 1):
            solve(lower, p, U, step)
            decrement = 0.0
            for a in range(p):
                decrement += U[a] * step[a]
            iterations[r] = iteration
            if outcome != SEPARATION and iteration > SUSPICIOUS and recedes(step, x, n, p, t, dead, segment, late, start_at):
                outcome = SEPARATION
            if decrement <= (AT_SUPREMUM if outcome == SEPARATION else TIGHT):
                outcome = SEPARATION if outcome == SEPARATION else OK
                break
            size = 1.0
            ahead = -np.inf
            for _ in range(30):
                for a in range(p):
                    trial[a] = beta[a] + size * step[a]
                ahead = partial_likelihood(
                    trial,
                    x,
                    n,
                    p,
                    t,
                    mark,
                    w,
                    segment,
                    n_times,
                    table,
                    toll,
                    late,
                    start_at,
                    by_entry,
                    efron,
                    risk,
                    spare,
                    means,
                    sums,
                    U,
                    information,
                )
                # near the maximum the gain drowns in rounding
                if ahead >= now - 1e-12 * (abs(now) + 1.0):
                    break
                size *= 0.5
            if not ahead >= now - 1e-12 * (abs(now) + 1.0):
                break
            beta[:] = trial
            now = ahead
            if not factor(information, p, lower):
                if outcome != SEPARATION and recedes(step, x, n, p, t, dead, segment, late, start_at):
                    outcome = SEPARATION
                break
        if outcome == NOT_CONVERGED or (outcome == OK and _flat(information, p, rounding)):
            # a long step can end where the likelihood is level to rounding: it looks like a maximum, or stops the climb
            outcome = SEPARATION if recedes(beta, x, n, p, t, dead, segment, late, start_at) else NOT_CONVERGED
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
        if robust:
            score_residuals(x, n, p, t, dead, w, segment, late, start_at, by_entry, efron, risk, hazards, places, residual)
            sandwich(bread, residual, c, together, n, p, meat)
        else:
            meat[:] = bread
        tests[r, 2] = wald(meat, p, beta)
        for a in range(p):
            coef[r, a] = beta[a] / scale[a]
            for b in range(p):
                covariance[r, a, b] = meat[a, b] / (scale[a] * scale[b])
                naive[r, a, b] = bread[a, b] / (scale[a] * scale[b])


@njit(cache=True, nogil=True, error_model="numpy")
def _largest_square(x: FloatArray, n: int, p: int) -> float:
    largest = 0.0
    for a in range(p):
        for i in range(n):
            largest = max(largest, x[a, i] * x[a, i])
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def _flat(information: FloatArray, p: int, rounding: float) -> bool:
    """Whether nothing is known of a coefficient: its covariate is constant in every risk set, as weighted by the fit."""
    flat = False
    for a in range(p):
        flat |= not information[a, a] > rounding
    return flat
