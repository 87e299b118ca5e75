"""Logistic regression over replicates: maximum likelihood or Firth's penalised likelihood, profile limits."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.estimators.kernels.cox import (
    AT_SUPREMUM,
    EMPTY,
    NOT_CONVERGED,
    NOT_ESTIMABLE,
    OK,
    SEPARATION,
    SUSPICIOUS,
    TIGHT,
)
from cmvsim.estimators.kernels.linear import (
    factor,
    invert,
    sandwich,
    solve,
    wald,
)
from cmvsim.estimators.kernels.logistic_likelihood import likelihood, root_mean_square, separates

SLOW = 20
"""Scoring steps of the penalised likelihood after which every other one is halved."""
LONGEST = 5.0
"""Largest change of a coefficient in a step of the penalised likelihood, as in R's logistf: where hardly a patient is
undecided the information is next to singular, and a whole step would leave for ever."""


@njit(cache=True, nogil=True, error_model="numpy")
def climb(
    beta: FloatArray,
    fixed: int,
    x: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    n: int,
    p: int,
    firth: bool,
    max_iterations: int,
    probability: FloatArray,
    work: FloatArray,
    score: FloatArray,
    information: FloatArray,
    lower: FloatArray,
) -> tuple[int, int, float]:
    """Maximise from `beta`, in place, with coefficient `fixed` held (-1: none); (outcome, steps, log-likelihood).

    Leaves score and `lower` at the last point but one step of negligible size. Firth takes Fisher scoring
    steps, whose error shrinks by a factor only: it needs more of them.
    """
    free = p - (1 if fixed >= 0 else 0)
    U = np.empty(p)
    step = np.empty(p)
    trial = np.empty(p)
    block = np.empty((p, p))
    held = np.empty((p, p))
    now = likelihood(beta, x, y, weight, n, p, firth, probability, work, score, information, lower)
    if np.isnan(now):
        return NOT_ESTIMABLE, 0, np.nan
    if free == 0:
        return OK, 0, now
    outcome = NOT_CONVERGED
    steps = 0
    decrement = np.inf
    while steps < max_iterations:
        steps += 1
        if fixed < 0:
            solve(lower, p, score, step)
        else:
            for a in range(free):
                to_a = a + (a >= fixed)
                U[a] = score[to_a]
                for b in range(a + 1):
                    block[a, b] = information[to_a, b + (b >= fixed)]
            if not factor(block, free, held):
                break
            solve(held, free, U, U)
            step[fixed] = 0.0
            for a in range(free):
                step[a + (a >= fixed)] = U[a]
        decrement = 0.0
        for a in range(p):
            decrement += score[a] * step[a]
        if outcome != SEPARATION and not firth and steps > SUSPICIOUS and separates(step, x, y, n, p):
            outcome = SEPARATION
        if decrement <= (AT_SUPREMUM if outcome == SEPARATION else TIGHT):
            if outcome != SEPARATION:
                outcome = OK
                for a in range(p):
                    beta[a] += step[a]
            break
        # a scoring step may overshoot by its own length for ever: a half one in between ends that
        size = 0.5 if firth and steps > SLOW and steps % 2 == 0 else 1.0
        if firth:
            longest = 0.0
            for a in range(p):
                longest = max(longest, abs(step[a]))
            size = min(size, LONGEST / longest) if longest > 0.0 else size
        ahead = -np.inf
        for _ in range(30):
            for a in range(p):
                trial[a] = beta[a] + size * step[a]
            ahead = likelihood(trial, x, y, weight, n, p, firth, probability, work, score, information, lower)
            # near the maximum the gain drowns in rounding
            if np.isnan(ahead) or ahead >= now - 1e-12 * (abs(now) + 1.0):
                break
            size *= 0.5
        if not ahead >= now - 1e-12 * (abs(now) + 1.0):
            if not firth and outcome != SEPARATION and separates(step, x, y, n, p):
                outcome = SEPARATION
            break
        beta[:] = trial
        now = ahead
    if outcome == NOT_CONVERGED and fixed >= 0 and decrement <= AT_SUPREMUM:
        # of a constrained fit the value alone is asked for, and that is within about as much
        outcome = OK
    return outcome, steps, now


@njit(cache=True, nogil=True, error_model="numpy")
def profile_limit(
    best: FloatArray,
    term: int,
    se: float,
    side: float,
    z: float,
    maximum: float,
    x: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    n: int,
    p: int,
    firth: bool,
    max_iterations: int,
    probability: FloatArray,
    work: FloatArray,
    score: FloatArray,
    information: FloatArray,
    lower: FloatArray,
) -> float:
    """Where the signed root of twice the drop of the profile likelihood is z: ±inf if it never is, NaN if lost.

    Safeguarded Newton on the root, which is nearly linear in the coefficient: its derivative comes with the
    score of the constrained fit. The other coefficients start from the last constrained fit that was reached.
    """
    near = 0.0
    far = np.inf
    distance = z * se
    beta = best.copy()
    reached = best.copy()
    reached_at = 0.0
    for _ in range(200):
        beta[:] = reached
        beta[term] = best[term] + side * distance
        outcome, _steps, value = climb(
            beta, term, x, y, weight, n, p, firth, max_iterations, probability, work, score, information, lower
        )
        if outcome != OK:
            # the others are too far from where they belong at this distance: approach it
            if abs(distance - reached_at) <= 1e-6 * se:
                return np.nan
            distance = 0.5 * (reached_at + distance)
            continue
        reached[:] = beta
        reached_at = distance
        root = np.sqrt(max(2.0 * (maximum - value), 0.0))
        if root < z:
            near = distance
        else:
            far = distance
        slope = -side * score[term] / root if root > 0.0 else 0.0
        change = (z - root) / slope if slope > 0.0 else np.inf
        if abs(change) <= 1e-10 * se:
            return float(best[term] + side * (distance + change))
        following = distance + change
        if not near < following < far:
            following = 0.5 * (near + far) if far < np.inf else 2.0 * distance
        elif far == np.inf and following > 4.0 * distance:
            following = 4.0 * distance
        if far == np.inf and following > 1e4 * se:
            return side * np.inf
        if far < np.inf and far - near <= 1e-10 * se:
            return float(best[term] + side * far)
        distance = following
    return np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def fit_logistic(
    outcome: IntArray,
    weight: FloatArray,
    cluster: FloatArray,
    covariates: FloatArray,
    intercept: bool,
    firth: bool,
    robust: bool,
    profile: bool,
    z: float,
    max_iterations: int,
    coef: FloatArray,
    covariance: FloatArray,
    naive: FloatArray,
    limits: FloatArray,
    loglik: FloatArray,
    tests: FloatArray,
    n_rows: IntArray,
    events: IntArray,
    iterations: IntArray,
    status: IntArray,
) -> None:
    """Fit every replicate. `limits` is (replicates, p, 2), filled if `profile`; `loglik` (replicates, 2): with the
    slopes at 0 (ML) and at the estimate, `tests` (replicates, 2): LR, Wald of all slopes.

    Columns are divided by their root mean square, so that tolerances mean the same whatever the unit.
    """  # noqa: D205
    n_replicates, n_patients, n_covariates = covariates.shape
    first = 1 if intercept else 0
    p = n_covariates + first
    weighted = weight.shape[1] > 0
    x = np.empty((p, n_patients))
    y = np.empty(n_patients)
    w = np.empty(n_patients if weighted else 0)
    c = np.empty(n_patients if cluster.shape[1] > 0 else 0)
    probability = np.empty(n_patients)
    work = np.empty((p + 4, n_patients))
    residual = np.empty((p, n_patients if robust else 0))
    together = np.empty(0, dtype=np.int64)
    scale = np.empty(p)
    score = np.empty(p)
    beta = np.empty(p)
    spare = np.empty(p)
    information = np.empty((p, p))
    lower = np.empty((p, p))
    bread = np.empty((p, p))
    meat = np.empty((p, p))
    for r in range(n_replicates):
        n = 0
        total = 0.0
        positive = 0.0
        events[r] = 0
        for i in range(n_patients):
            usable = outcome[r, i] >= 0
            for a in range(n_covariates):
                x[first + a, n] = covariates[r, i, a]
                usable &= np.isfinite(covariates[r, i, a])
            if weighted:
                usable &= weight[r, i] > 0.0 and np.isfinite(weight[r, i])
            if not usable:
                continue
            if intercept:
                x[0, n] = 1.0
            if weighted:
                w[n] = weight[r, i]
            if cluster.shape[1] > 0:
                c[n] = cluster[r, i]
            y[n] = 1.0 if outcome[r, i] > 0 else 0.0
            events[r] += outcome[r, i] > 0
            each = w[n] if weighted else 1.0
            total += each
            positive += each * y[n]
            n += 1
        n_rows[r] = n
        iterations[r] = 0
        coef[r] = np.nan
        covariance[r] = np.nan
        naive[r] = np.nan
        limits[r] = np.nan
        loglik[r] = np.nan
        tests[r] = np.nan
        if n == 0:
            status[r] = EMPTY
            continue
        log_scale = 0.0
        for a in range(p):
            scale[a] = root_mean_square(x[a], n)
            log_scale += np.log(scale[a])
            for i in range(n):
                x[a, i] /= scale[a]
            beta[a] = 0.0
        if intercept and 0.0 < positive < total:
            # where it is if nothing else matters
            beta[0] = np.log(positive / (total - positive))
        status[r], iterations[r], value = climb(
            beta, -1, x, y, w, n, p, firth, max_iterations, probability, work, score, information, lower
        )
        if not firth:
            share = positive / total if intercept else 0.5
            loglik[r, 0] = 0.0
            if positive > 0.0:
                loglik[r, 0] += positive * np.log(share)
            if positive < total:
                loglik[r, 0] += (total - positive) * np.log(1.0 - share)
        if status[r] == OK or status[r] == SEPARATION:
            # under separation the supremum, to the precision reached
            loglik[r, 1] = value + (log_scale if firth else 0.0)
            tests[r, 0] = 2.0 * (loglik[r, 1] - loglik[r, 0])
        if status[r] != OK:
            continue
        invert(lower, p, spare, bread)
        if robust:
            if c.size > 0:
                together = np.argsort(c[:n])
            for a in range(p):
                for i in range(n):
                    residual[a, i] = (w[i] if weighted else 1.0) * (y[i] - probability[i]) * x[a, i]
            sandwich(bread, residual, c, together, n, p, meat)
        else:
            meat[:] = bread
        if p > first:
            tests[r, 1] = wald(meat[first:, first:], p - first, beta[first:])
        for a in range(p):
            coef[r, a] = beta[a] / scale[a]
            for b in range(p):
                covariance[r, a, b] = meat[a, b] / (scale[a] * scale[b])
                naive[r, a, b] = bread[a, b] / (scale[a] * scale[b])
        if profile:
            for a in range(p):
                for end in range(2):
                    limits[r, a, end] = (
                        profile_limit(
                            beta,
                            a,
                            np.sqrt(bread[a, a]),
                            -1.0 if end == 0 else 1.0,
                            z,
                            value,
                            x,
                            y,
                            w,
                            n,
                            p,
                            firth,
                            max_iterations,
                            probability,
                            work,
                            score,
                            information,
                            lower,
                        )
                        / scale[a]
                    )
