"""Likelihood-ratio tests of one coefficient, with the others re-estimated while it is held at zero."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.estimators.kernels.logistic import climb
from cmvsim.estimators.kernels.logistic_likelihood import root_mean_square


@njit(cache=True, nogil=True, error_model="numpy")
def fit_held(
    y: IntArray,
    covariates: FloatArray,
    term: int,
    intercept: bool,
    firth: bool,
    max_iterations: int,
    loglik: FloatArray,
    coef: FloatArray,
    status: IntArray,
) -> None:
    """(Penalised) log-likelihood of the whole design with coefficient `term` at 0, its others, and the outcome.

    Columns are divided by their root mean square as in :func:`fit_logistic`: the longest step of the penalised likelihood
    would otherwise depend on the unit.
    """
    n_replicates, n_rows, k = covariates.shape
    first = 1 if intercept else 0
    p = k + first
    x = np.empty((p, n_rows))
    event = np.empty(n_rows)
    weight = np.empty(0)
    probability = np.empty(n_rows)
    work = np.empty((p + 4, n_rows))
    score = np.empty(p)
    information = np.empty((p, p))
    lower = np.empty((p, p))
    beta = np.empty(p)
    scale = np.empty(p)
    for r in range(n_replicates):
        n = 0
        for i in range(n_rows):
            whole = y[r, i] >= 0
            for a in range(k):
                x[a + first, n] = covariates[r, i, a]
                whole &= np.isfinite(covariates[r, i, a])
            if whole:
                if intercept:
                    x[0, n] = 1.0
                event[n] = 1.0 if y[r, i] > 0 else 0.0
                n += 1
        log_scale = 0.0
        for a in range(p):
            scale[a] = root_mean_square(x[a], n)
            log_scale += np.log(scale[a])
            for i in range(n):
                x[a, i] /= scale[a]
        beta[:] = 0.0
        outcome, _, reached = climb(
            beta, term, x, event, weight, n, p, firth, max_iterations, probability, work, score, information, lower
        )
        status[r] = outcome
        loglik[r] = reached + (log_scale if firth else 0.0)
        coef[r] = beta / scale
