"""Two proportions whose difference or ratio is fixed: maximum likelihood, and the limits a score test gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray

LOG_RATIO_BOUND = 20.0
"""Ratios beyond exp(20) are not told apart: no arm is large enough for a limit there."""


def constrained_proportions(
    p1: ArrayLike, p2: ArrayLike, ratio: ArrayLike, difference: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Maximum-likelihood proportions q1, q2 with q1 - q2 = `difference`.

    Parameters
    ----------
    p1, p2
        Observed (or expected) proportions.
    ratio
        Patients of arm 2 per patient of arm 1.
    difference
        Fixed difference, in [-1, 1].

    Returns
    -------
    q1, q2
        float64 of the broadcast shape.

    Notes
    -----
    Farrington and Manning, Statistics in Medicine 9 (1990) 1447-1454, and Miettinen and Nurminen (1985), solve a
    cubic for this. The log-likelihood is concave in q2, so its slope is halved here: no branch of the cubic can be
    the wrong one.
    """
    a, b, r, d = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (p1, p2, ratio, difference)))
    low, high = np.maximum(0.0, -d), np.minimum(1.0, 1.0 - d)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(60):
            q = (low + high) / 2.0
            slope = a / (q + d) - (1.0 - a) / (1.0 - q - d) + r * (b / q - (1.0 - b) / (1.0 - q))
            low, high = np.where(slope > 0, q, low), np.where(slope > 0, high, q)
    pooled = (a + r * b) / (1.0 + r)
    q2 = np.where(d == 0.0, pooled, (low + high) / 2.0)
    return np.clip(q2 + d, 0.0, 1.0), q2


def score_difference_limits(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, z: float, correction: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Differences p1 - p2 that the score test does not reject.

    Parameters
    ----------
    x1, n1, x2, n2
        Events and patients (at least one) of each arm; shapes that broadcast.
    z
        Normal quantile.
    correction
        The variance factor N / (N - 1) of Miettinen and Nurminen (1985); without it the limits are Mee's (1984).

    Returns
    -------
    low, high
        float64 of the broadcast shape, within [-1, 1].
    """
    a, m, b, k = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (x1, n1, x2, n2)))
    p1, p2 = a / m, b / k
    factor = (m + k) / (m + k - 1.0) if correction else 1.0

    def statistic(delta: FloatArray) -> FloatArray:
        q1, q2 = constrained_proportions(p1, p2, k / m, delta)
        variance = (q1 * (1.0 - q1) / m + q2 * (1.0 - q2) / k) * factor
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((p1 - p2 - delta) / np.sqrt(variance), dtype=np.float64)

    # the statistic falls in the difference, so halving finds its crossings
    ends = []
    for sign in (1.0, -1.0):
        inside, outside = p1 - p2, np.full_like(p1, -sign)
        for _ in range(60):
            middle = (inside + outside) / 2.0
            rejected = sign * statistic(middle) > z
            inside, outside = np.where(rejected, inside, middle), np.where(rejected, middle, outside)
        ends.append((inside + outside) / 2.0)
    return ends[0], ends[1]


def score_ratio_limits(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, z: float, correction: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Ratios p1 / p2 that the score test does not reject.

    Parameters
    ----------
    x1, n1, x2, n2
        Events and patients (at least one) of each arm; shapes that broadcast.
    z
        Normal quantile.
    correction
        The variance factor N / (N - 1) of Miettinen and Nurminen (1985); without it the limits are Koopman's
        (1984).

    Returns
    -------
    low, high
        float64 of the broadcast shape: low 0 where x1 is 0, high infinite where x2 is 0, both where neither arm
        has an event.
    """
    a, m, b, k = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (x1, n1, x2, n2)))
    p1, p2 = a / m, b / k
    factor = (m + k) / (m + k - 1.0) if correction else 1.0

    def statistic(log_ratio: FloatArray) -> FloatArray:
        theta = np.exp(log_ratio)
        # the quadratic of Koopman for q2, the smaller root in the form that loses no digits
        quadratic, linear, constant = (m + k) * theta, (m + b) * theta + k + a, a + b
        root = np.sqrt(np.maximum(linear * linear - 4.0 * quadratic * constant, 0.0))
        q2 = 2.0 * constant / (linear + root)
        q1 = np.minimum(theta * q2, 1.0)
        variance = (q1 * (1.0 - q1) / m + theta**2 * q2 * (1.0 - q2) / k) * factor
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((p1 - theta * p2) / np.sqrt(variance), dtype=np.float64)

    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.where((a > 0) & (b > 0), np.log(p1 / p2), np.where(a > 0, LOG_RATIO_BOUND, -LOG_RATIO_BOUND))
    ends = []
    for sign in (1.0, -1.0):
        inside, outside = centre, np.full_like(p1, -sign * LOG_RATIO_BOUND)
        for _ in range(60):
            middle = (inside + outside) / 2.0
            rejected = sign * statistic(middle) > z
            inside, outside = np.where(rejected, inside, middle), np.where(rejected, middle, outside)
        ends.append(np.exp((inside + outside) / 2.0))
    return np.where(a == 0, 0.0, ends[0]), np.where(b == 0, np.inf, ends[1])
