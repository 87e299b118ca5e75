"""Likelihood of logistic regression, plain or with Firth's penalty: its value, score and information at a point."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray
from cmvsim.estimators.kernels.exponential import exponentials
from cmvsim.estimators.kernels.linear import BLOCK, cross_product, dot, factor, linear_predictor, weighted_sums
from cmvsim.estimators.kernels.partial_likelihood import RECESSION


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})
def _probabilities(
    y: FloatArray, eta: FloatArray, small: FloatArray, probability: FloatArray, spread: FloatArray, error: FloatArray
) -> float:
    """Log-likelihood without weights; `small` is exp(-|η|). Fills probabilities, their variances and y less them.

    At most ``BLOCK`` rows: one logarithm serves all, each factor being at most 2.
    """
    loglik: float = 0.0
    product = 1.0
    for i in range(y.size):
        inverse = 1.0 / (1.0 + small[i])
        share = small[i] * inverse
        probability[i] = inverse if eta[i] > 0.0 else share
        spread[i] = share * inverse
        error[i] = y[i] - probability[i]
    for i in range(y.size):
        # |η| is lost where the outcome is the less likely one
        loglik += min(0.0, eta[i]) + (y[i] - 1.0) * eta[i]
        product *= 1.0 + small[i]
    loglik -= np.log(product)
    return loglik


@njit(cache=True, nogil=True, error_model="numpy")
def root_mean_square(column: FloatArray, n: int) -> float:
    """Of the first n, 1 where all are 0: what a column is divided by."""
    squares = dot(column, column, n)
    return float(np.sqrt(squares / n)) if squares > 0.0 else 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def likelihood(
    beta: FloatArray,
    x: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    n: int,
    p: int,
    firth: bool,
    probability: FloatArray,
    work: FloatArray,
    score: FloatArray,
    information: FloatArray,
    lower: FloatArray,
) -> float:
    """(Penalised) log-likelihood at `beta`; fills score and the factor of the information in `lower`.

    `x` is (p, rows), `weight` empty where all are 1, `work` (p + 4, rows) scratch. NaN where the information is
    singular. Firth adds half its log-determinant; the score then gains h (1/2 - probability), h the leverages.
    """
    eta = work[0]
    small = work[1]
    spread = work[2]
    error = work[3]
    linear_predictor(x, beta, n, p, eta)
    for i in range(n):
        # without overflow whatever the sign
        spread[i] = -abs(eta[i])
    exponentials(spread, n, small, error)
    loglik = 0.0
    for begin in range(0, n, BLOCK):
        at = slice(begin, min(begin + BLOCK, n))
        loglik += _probabilities(y[at], eta[at], small[at], probability[at], spread[at], error[at])
    if weight.size > 0:
        loglik = 0.0
        for i in range(n):
            loglik += weight[i] * (min(eta[i], 0.0) + (y[i] - 1.0) * eta[i] - np.log1p(small[i]))
            spread[i] *= weight[i]
            error[i] *= weight[i]
    for a in range(p):
        for b in range(a + 1):
            information[a, b] = 0.0
    cross_product(x, spread, n, p, small, information)
    if not factor(information, p, lower):
        return np.nan
    if firth:
        half = work[4:]
        leverage = eta
        leverage[:n] = 0.0
        for a in range(p):
            half[a, :n] = x[a, :n]
            for b in range(a):
                for i in range(n):
                    half[a, i] -= lower[a, b] * half[b, i]
            for i in range(n):
                half[a, i] /= lower[a, a]
                leverage[i] += half[a, i] * half[a, i]
        for i in range(n):
            error[i] += spread[i] * leverage[i] * (0.5 - probability[i])
        for a in range(p):
            loglik += np.log(lower[a, a])
    weighted_sums(x, error, n, p, score)
    return float(loglik)


@njit(cache=True, nogil=True, error_model="numpy")
def separates(direction: FloatArray, x: FloatArray, y: FloatArray, n: int, p: int) -> bool:
    """Whether xδ >= 0 for every event and <= 0 for every other, not all 0: no maximum (Albert and Anderson 1984)."""
    largest = 0.0
    worst = 0.0
    for i in range(n):
        along = 0.0
        for a in range(p):
            along += x[a, i] * direction[a]
        largest = max(largest, abs(along))
        worst = max(worst, -along if y[i] > 0.5 else along)
    return largest > 0.0 and worst <= RECESSION * largest
