"""Mantel-Haenszel estimates over strata of 2 x 2 tables, batched: odds ratio, risk ratio, risk difference, test.

Counts have the strata on their last axis; a stratum in which an arm has nobody adds nothing. All variances hold both
for few large and for many small strata.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.two_proportions import Tables, TableTest

PooledMeasure = Literal["difference", "risk-ratio", "odds-ratio"]


def mantel_haenszel(
    x1: ArrayLike,
    n1: ArrayLike,
    x2: ArrayLike,
    n2: ArrayLike,
    *,
    measure: PooledMeasure = "difference",
    level: float = 0.95,
) -> Estimates:
    """Mantel-Haenszel estimate common to all strata, one per replicate.

    Parameters
    ----------
    x1, n1, x2, n2
        Events and patients of each arm, integers (..., strata), of shapes that broadcast.
    measure
        ``difference`` (variance of Sato 1989), ``risk-ratio`` (Greenland and Robins 1985) or ``odds-ratio`` (Robins,
        Breslow and Greenland 1986).
    level
        Confidence level, two-sided.

    Returns
    -------
    Estimates
        Of the shape of the counts without the strata. `se` plain for the difference, on the log scale for the ratios.
        `n` and `events` count the strata that contribute. ``EMPTY`` where none does; ``NOT_ESTIMABLE`` (NaN) where
        the standard error is zero or infinite: for the difference if each stratum's risks are 0 or 1, for the ratios
        if one of the two weighted sums they divide is zero.

    Raises
    ------
    ValueError
        If counts are impossible, or `measure` or `level` is not allowed.
    """
    if measure not in get_args(PooledMeasure):
        raise ValueError(f"unknown measure {measure!r}; allowed: {', '.join(get_args(PooledMeasure))}")
    z = normal_quantile(level)
    tables = Tables.of(x1, n1, x2, n2)
    if tables.x1.ndim == 0:
        raise ValueError("counts need an axis of strata")
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "difference":
            estimate, se = _difference(tables)
            low, high = np.maximum(estimate - z * se, -1.0), np.minimum(estimate + z * se, 1.0)
        else:
            estimate, se = _risk_ratio(tables) if measure == "risk-ratio" else _odds_ratio(tables)
            low, high = estimate * np.exp(-z * se), estimate * np.exp(z * se)
    counts = ~tables.empty
    n, events = _total(tables.n, counts), _total(tables.events, counts)
    fine = np.isfinite(se) & (se > 0.0) & np.isfinite(estimate)
    status = np.where(fine, int(Status.OK), int(Status.NOT_ESTIMABLE)).astype(np.int64)
    status[n == 0] = Status.EMPTY
    estimate, se, low, high = (np.where(status == Status.OK, v, np.nan) for v in (estimate, se, low, high))
    scale = "plain" if measure == "difference" else "log"
    return Estimates(estimate, se, low, high, n, events, status, level, f"Mantel-Haenszel {measure}", se_scale=scale)


def mantel_haenszel_test(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, *, correction: bool = False) -> TableTest:
    """Cochran-Mantel-Haenszel test of no association in any stratum, one per replicate.

    Parameters
    ----------
    x1, n1, x2, n2
        As for :func:`mantel_haenszel`.
    correction
        |observed - expected| less 1/2.

    Returns
    -------
    TableTest
        ``NOT_ESTIMABLE`` where no stratum can tell the arms apart.

    Raises
    ------
    ValueError
        If counts are impossible.

    Notes
    -----
    Mantel and Haenszel (1959), with the hypergeometric variance; strata of one patient add nothing.
    """
    from scipy.special import chdtrc

    tables = Tables.of(x1, n1, x2, n2)
    counts = ~tables.empty
    size, events = tables.n, tables.events
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(counts, tables.n1 * (events / size), 0.0)
        spread = tables.n1 * tables.n2 * (events / size) * ((size - events) / size) / (size - 1.0)
        variance = np.where(counts, spread, 0.0).sum(axis=-1)
        distance = np.abs(np.where(counts, tables.x1 - expected, 0.0).sum(axis=-1))
        if correction:
            distance = np.maximum(distance - 0.5, 0.0)
        statistic = distance**2 / variance
    n = _total(size, counts)
    status = np.where(variance > 0.0, int(Status.OK), int(Status.NOT_ESTIMABLE)).astype(np.int64)
    status[n == 0] = Status.EMPTY
    statistic = np.where(status == Status.OK, statistic, np.nan)
    p_value = np.asarray(chdtrc(1.0, statistic), dtype=np.float64)
    return TableTest(statistic, p_value, n, _total(events, counts), status, "Cochran-Mantel-Haenszel")


def _total(values: IntArray, counts: BoolArray) -> IntArray:
    return np.asarray(np.where(counts, values, 0).sum(axis=-1), dtype=np.int64)


def _sum(values: FloatArray) -> FloatArray:
    """Over strata; the NaN of an empty arm adds nothing."""
    return np.asarray(np.where(np.isfinite(values), values, 0.0).sum(axis=-1), dtype=np.float64)


def _cells(tables: Tables) -> tuple[FloatArray, ...]:
    """Events and patients as floats, NaN in strata without one of the arms, and the total."""
    empty = tables.empty
    a, m, b, k = (np.where(empty, np.nan, c) for c in (tables.x1, tables.n1, tables.x2, tables.n2))
    return a, m, b, k, m + k


def _difference(tables: Tables) -> tuple[FloatArray, FloatArray]:
    a, m, b, k, total = _cells(tables)
    weight = _sum(m * k / total)
    estimate = _sum((a * k - b * m) / total) / weight
    skewed = _sum((m * m * b - k * k * a + m * k * (k - m) / 2.0) / total**2)
    spread = _sum((a * (k - b) + b * (m - a)) / (2.0 * total))
    return estimate, np.sqrt(np.maximum(estimate * skewed + spread, 0.0)) / weight


def _risk_ratio(tables: Tables) -> tuple[FloatArray, FloatArray]:
    a, m, b, k, total = _cells(tables)
    over, under = _sum(a * k / total), _sum(b * m / total)
    spread = _sum((m * k * (a + b) - a * b * total) / total**2)
    return over / under, np.sqrt(spread / (over * under))


def _odds_ratio(tables: Tables) -> tuple[FloatArray, FloatArray]:
    a, m, b, k, total = _cells(tables)
    agree, with_odds = (a + k - b) / total, a * (k - b) / total
    differ, against = (b + m - a) / total, b * (m - a) / total
    over, under = _sum(with_odds), _sum(against)
    variance = _sum(agree * with_odds) / (2.0 * over**2)
    variance += _sum(agree * against + differ * with_odds) / (2.0 * over * under)
    variance += _sum(differ * against) / (2.0 * under**2)
    return over / under, np.sqrt(variance)
