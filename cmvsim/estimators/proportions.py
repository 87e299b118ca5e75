"""A proportion with its limits, and its tests against a fixed value, batched.

When there are more trials than distinct outcomes, limits are computed once per outcome x = 0..n and looked
up: an exact interval then costs about as much per trial as reading its count.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile

Method = Literal["wilson", "clopper-pearson", "agresti-coull", "wilson-corrected", "jeffreys"]
METHODS: tuple[str, ...] = get_args(Method)


def proportion(x: ArrayLike, n: ArrayLike, *, method: Method = "wilson", level: float = 0.95) -> Estimates:
    """Proportion x / n with confidence limits, one per replicate.

    Parameters
    ----------
    x, n
        Events and patients, integers of shapes that broadcast; ``0 <= x <= n``.
    method
        ``wilson`` (score), ``clopper-pearson`` (exact), ``agresti-coull`` (not clipped to [0, 1]),
        ``wilson-corrected`` (score with continuity correction, R's ``prop.test``) or ``jeffreys`` (quantiles of the
        posterior under Jeffreys' prior, 0 and 1 at the edges).
    level
        Confidence level, two-sided.

    Returns
    -------
    Estimates
        `se` is the plain Wald standard error sqrt(p (1-p) / n). Status ``NO_EVENTS`` at x = 0 and
        ``ALL_EVENTS`` at x = n, both with the method's regular limits, which exist there; ``EMPTY`` and NaN
        at n = 0.

    Raises
    ------
    ValueError
        If counts are impossible, or `method` or `level` is not allowed.
    """
    events, size = np.broadcast_arrays(np.asarray(x, dtype=np.int64), np.asarray(n, dtype=np.int64))
    low, high = proportion_limits(events, size, method=method, level=level)
    with np.errstate(invalid="ignore"):
        p = np.true_divide(events, size)
        se = np.sqrt(p * (1.0 - p) / size)
    status = np.full(events.shape, int(Status.OK), dtype=np.int64)
    status[events == size] = Status.ALL_EVENTS
    status[events == 0] = Status.NO_EVENTS
    status[size == 0] = Status.EMPTY
    return Estimates(p, se, low, high, size.copy(), events.copy(), status, level, f"{method} interval")


def proportion_limits(
    x: ArrayLike, n: ArrayLike, *, method: Method = "wilson", level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Confidence limits of a proportion; NaN where n is 0.

    Parameters
    ----------
    x, n, method, level
        As for :func:`proportion`.

    Returns
    -------
    low, high
        float64 of the broadcast shape. All stay within [0, 1] but Agresti-Coull, which is returned as its
        authors define it, unclipped.

    Raises
    ------
    ValueError
        If counts are impossible, or `method` or `level` is not allowed.

    Notes
    -----
    Wilson (1927); Clopper and Pearson (1934), by beta quantiles; Agresti and Coull (1998), Wald around
    (x + z²/2) / (n + z²); Newcombe (1998), method 4; Brown, Cai and DasGupta (2001).
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; allowed: {', '.join(METHODS)}")
    normal_quantile(level)  # refuses an impossible level also when there is nothing to compute
    events, size = np.broadcast_arrays(np.asarray(x, dtype=np.int64), np.asarray(n, dtype=np.int64))
    if events.size == 0:
        return np.empty(events.shape), np.empty(events.shape)
    if events.min() < 0 or np.any(events > size):
        raise ValueError("every x must be between 0 and its n")
    smallest, largest = int(size.min()), int(size.max())
    if smallest == largest and events.size > largest:
        low, high = _table(method, largest, level)
        return low[events], high[events]
    if events.size > largest:
        return _by_joint_table(events, size, method, level)
    return _formula(method, events, size, level)


@lru_cache(maxsize=256)
def _table(method: Method, n: int, level: float) -> tuple[FloatArray, FloatArray]:
    """Limits for x = 0..n."""
    x = np.arange(n + 1)
    return _formula(method, x, np.full_like(x, n), level)


def _by_joint_table(events: IntArray, size: IntArray, method: Method, level: float) -> tuple[FloatArray, FloatArray]:
    """Limits where n differs between trials: the tables of all sizes that occur, laid end to end."""
    sizes = np.flatnonzero(np.bincount(size.ravel()))
    if int((sizes + 1).sum()) > events.size:
        return _formula(method, events, size, level)
    start = np.zeros(int(sizes[-1]) + 1, dtype=np.int64)
    start[sizes] = np.concatenate(([0], np.cumsum(sizes + 1)[:-1]))
    tables = [_table(method, int(n), level) for n in sizes]
    at = start[size] + events
    return np.concatenate([t[0] for t in tables])[at], np.concatenate([t[1] for t in tables])[at]


def _formula(method: Method, x: IntArray, n: IntArray, level: float) -> tuple[FloatArray, FloatArray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        if method == "wilson":
            low, high = _wilson(x, n, level)
        elif method == "clopper-pearson":
            low, high = _clopper_pearson(x, n, level)
        elif method == "agresti-coull":
            low, high = _agresti_coull(x, n, level)
        elif method == "jeffreys":
            low, high = _jeffreys(x, n, level)
        else:
            low, high = _wilson_corrected(x, n, level)
    empty = n == 0
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def _wilson(x: IntArray, n: IntArray, level: float) -> tuple[FloatArray, FloatArray]:
    z2 = normal_quantile(level) ** 2
    p = x / n
    centre = (x + z2 / 2.0) / (n + z2)
    half = np.sqrt(z2 * (n * p * (1.0 - p) + z2 / 4.0)) / (n + z2)
    # at the edges the formula gives 0 and 1 up to rounding; a limit of -1e-17 would fail every later check
    return np.where(x == 0, 0.0, centre - half), np.where(x == n, 1.0, centre + half)


def _clopper_pearson(x: IntArray, n: IntArray, level: float) -> tuple[FloatArray, FloatArray]:
    from scipy.special import betaincinv

    tail = (1.0 - level) / 2.0
    low = np.where(x == 0, 0.0, betaincinv(np.maximum(x, 1), n - x + 1, tail))
    high = np.where(x == n, 1.0, betaincinv(x + 1, np.maximum(n - x, 1), 1.0 - tail))
    return low, high


def _agresti_coull(x: IntArray, n: IntArray, level: float) -> tuple[FloatArray, FloatArray]:
    z = normal_quantile(level)
    size = n + z * z
    centre = (x + z * z / 2.0) / size
    half = z * np.sqrt(centre * (1.0 - centre) / size)
    return centre - half, centre + half


def _jeffreys(x: IntArray, n: IntArray, level: float) -> tuple[FloatArray, FloatArray]:
    from scipy.special import betaincinv

    tail = (1.0 - level) / 2.0
    low = np.where(x == 0, 0.0, betaincinv(x + 0.5, n - x + 0.5, tail))
    return low, np.where(x == n, 1.0, betaincinv(x + 0.5, n - x + 0.5, 1.0 - tail))


def _wilson_corrected(x: IntArray, n: IntArray, level: float) -> tuple[FloatArray, FloatArray]:
    # as R: the correction is at most the distance from 1/2, so that the limits of x = n/2 are Wilson's own
    z2 = normal_quantile(level) ** 2
    step = np.minimum(0.5, np.abs(x - n / 2.0))
    ends = []
    for sign in (-1.0, 1.0):
        p = (x + sign * step) / n
        half = np.sqrt(np.maximum(z2 * (n * p * (1.0 - p) + z2 / 4.0), 0.0)) / (n + z2)
        ends.append((n * p + z2 / 2.0) / (n + z2) + sign * half)
    return np.where(x == 0, 0.0, np.maximum(ends[0], 0.0)), np.where(x == n, 1.0, np.minimum(ends[1], 1.0))


def proportion_test(x: ArrayLike, n: ArrayLike, p0: float, *, method: Literal["exact", "score"] = "exact") -> FloatArray:
    """Two-sided p-values of the hypothesis that the proportion is `p0`.

    Parameters
    ----------
    x, n
        Events and patients, integers of shapes that broadcast.
    p0
        Strictly between 0 and 1.
    method
        ``exact``: binomial, the probability of all counts that are no more likely than the one seen (R's
        ``binom.test``); ``score``: (p - p0) / sqrt(p0 (1 - p0) / n), normal.

    Returns
    -------
    FloatArray
        Of the broadcast shape; NaN where n is 0.

    Raises
    ------
    ValueError
        If counts are impossible, or `p0` or `method` is not allowed.
    """
    from scipy.special import erfc

    if not 0.0 < p0 < 1.0:
        raise ValueError(f"p0 must be strictly between 0 and 1, not {p0!r}")
    if method not in ("exact", "score"):
        raise ValueError(f"unknown method {method!r}; allowed: exact, score")
    events, size = np.broadcast_arrays(np.asarray(x, dtype=np.int64), np.asarray(n, dtype=np.int64))
    if events.size and (events.min() < 0 or np.any(events > size)):
        raise ValueError("every x must be between 0 and its n")
    if method == "score":
        with np.errstate(divide="ignore", invalid="ignore"):
            deviate = (events - size * p0) / np.sqrt(size * p0 * (1.0 - p0))
        return np.asarray(erfc(np.abs(deviate) / np.sqrt(2.0)), dtype=np.float64)
    p_value = np.full(events.shape, np.nan)
    for trials in np.unique(size[size > 0]):
        of_size = size == trials
        p_value[of_size] = _binomial_p_values(int(trials), p0)[events[of_size]]
    return p_value


@lru_cache(maxsize=256)
def _binomial_p_values(n: int, p0: float) -> FloatArray:
    """Exact p-value of each x = 0..n; counts as likely up to 1e-7 count as no more likely, as in R."""
    from scipy.special import gammaln, xlog1py, xlogy

    x = np.arange(n + 1)
    log_probability = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1) + xlogy(x, p0) + xlog1py(n - x, -p0)
    probability = np.exp(log_probability)
    order = np.argsort(probability)
    up_to = np.concatenate(([0.0], np.cumsum(probability[order])))
    as_unlikely = np.searchsorted(probability[order], probability * (1.0 + 1e-7), side="right")
    return np.asarray(np.minimum(up_to[as_unlikely], 1.0), dtype=np.float64)
