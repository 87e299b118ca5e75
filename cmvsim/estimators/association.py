"""Correlations of two measurements per patient, batched: Pearson (point-biserial), Spearman, Kendall's tau-b.

A patient with a missing (NaN) or infinite value in either measurement is not in the analysis of that replicate.

Limits are on the scale of Fisher's z = artanh r: z ± quantile x standard error, with standard error
1 / sqrt(n - 3) for Pearson, Bonett and Wright's (2000) sqrt((1 + r²/2) / (n - 3)) for Spearman and theirs of
sqrt(0.437 / (n - 4)) for Kendall.

Status: ``EMPTY`` where nobody is in the analysis; ``NOT_ESTIMABLE`` (NaN) where a measurement is constant, where fewer
than four patients (five for Kendall) are in the analysis, or where the correlation is exactly 1 or -1, where the
scale is infinite and other programs print an interval of width 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.ordering import BLOCK


@dataclass(frozen=True, slots=True)
class Correlation:
    """Correlations, one per replicate.

    Attributes
    ----------
    estimate
        The coefficient.
    se
        Standard error of artanh(estimate).
    ci_low, ci_high
        Limits on the scale of the coefficient.
    statistic, p_value
        Of "no correlation", two-sided: t on n - 2 degrees of freedom, or for Kendall a normal deviate.
    n
        Patients in the analysis.
    status
        :class:`~cmvsim.core.records.Status` codes, see the module's docstring.
    level, method
        Confidence level; coefficient, test and interval by name.
    """

    estimate: FloatArray
    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    n: IntArray
    status: IntArray
    level: float
    method: str

    def estimates(self) -> Estimates:
        """The same as `Estimates`; `events` are zeros, for there are none."""
        nothing = np.zeros_like(self.n)
        return Estimates(
            self.estimate,
            self.se,
            self.ci_low,
            self.ci_high,
            self.n,
            nothing,
            self.status,
            self.level,
            self.method,
            se_scale="fisher-z",
        )


def pearson(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Correlation:
    """Pearson's correlation; point-biserial where one measurement is coded 0 and 1. One per replicate.

    Parameters
    ----------
    x, y
        (replicates, patients), or (patients,) for all replicates; NaN is not in the analysis.
    level
        Confidence level, two-sided.

    Returns
    -------
    Correlation
        With t test and Fisher's z interval.

    Raises
    ------
    ValueError
        If shapes do not fit or `level` is not allowed; never because of the data.
    """
    a, b = _pairs(x, y)
    return _product_moment(a, b, level, spearman_rank=False)


def spearman(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Correlation:
    """Spearman's rank correlation, ties by mean ranks, one per replicate.

    Parameters
    ----------
    x, y, level
        As for :func:`pearson`.

    Returns
    -------
    Correlation
        p-value by the t approximation (R's ``exact = FALSE``), limits by Fisher's z with the standard error of Bonett
        and Wright.

    Raises
    ------
    ValueError
        If shapes do not fit or `level` is not allowed; never because of the data.

    Notes
    -----
    Bonett and Wright, Psychometrika 65 (2000) 23-28.
    """
    a, b = _pairs(x, y)
    return _product_moment(mean_ranks(a), mean_ranks(b), level, spearman_rank=True)


def kendall(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Correlation:
    """Kendall's tau-b, one per replicate.

    Parameters
    ----------
    x, y, level
        As for :func:`pearson`.

    Returns
    -------
    Correlation
        Test by the normal approximation with the variance under ties (Kendall 1970) and no continuity correction (as
        R's ``cor.test(exact = FALSE)``), limits with the standard error of Bonett and Wright.

    Raises
    ------
    ValueError
        If shapes do not fit or `level` is not allowed; never because of the data.
    """
    from scipy.special import erfc

    from cmvsim.estimators.kernels.ranks import count_concordance

    a, b = _pairs(x, y)
    n = np.isfinite(a).sum(axis=1)
    score, ties = np.empty(a.shape[0]), np.empty((a.shape[0], 6))
    count_concordance(a, b, score, ties)
    size = n.astype(np.float64)
    pairs = size * (size - 1.0) / 2.0
    with np.errstate(divide="ignore", invalid="ignore"):
        tau = score / (np.sqrt(pairs - ties[:, 0]) * np.sqrt(pairs - ties[:, 1]))
        variance = (size * (size - 1.0) * (2.0 * size + 5.0) - ties[:, 2] - ties[:, 3]) / 18.0
        variance += ties[:, 4] * ties[:, 5] / (9.0 * size * (size - 1.0) * (size - 2.0))
        variance += 2.0 * ties[:, 0] * ties[:, 1] / (size * (size - 1.0))
        statistic = score / np.sqrt(variance)
        p_value = np.asarray(erfc(np.abs(statistic) / np.sqrt(2.0)), dtype=np.float64)
        se = np.sqrt(0.437 / (size - 4.0))
    return _correlation(tau, se, statistic, p_value, n, 5, level, "Kendall tau-b, normal test, Bonett-Wright interval")


def mean_ranks(values: ArrayLike) -> FloatArray:
    """Ranks 1, 2, ... of each row, tied values sharing their mean rank; NaN stays NaN.

    Parameters
    ----------
    values
        (replicates, patients), infinite values allowed.

    Returns
    -------
    FloatArray
        Of the same shape.
    """
    from cmvsim.estimators.kernels.ranks import rank_rows

    v = np.ascontiguousarray(values, dtype=np.float64)
    ranks, step = np.empty(v.shape), max(1, BLOCK // max(v.shape[1], 1))
    for first in range(0, v.shape[0], step):  # blocks that stay in the processor's cache
        block = slice(first, first + step)
        rank_rows(v[block], np.argsort(v[block], axis=1), ranks[block])
    return ranks


def _pairs(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both measurements as (replicates, patients), NaN in both where a pair is incomplete."""
    a, b = np.broadcast_arrays(*(np.atleast_2d(np.asarray(v, dtype=np.float64)) for v in (x, y)))
    if a.ndim != 2:
        raise ValueError(f"measurements must be (replicates, patients), not {a.shape}")
    whole = np.isfinite(a) & np.isfinite(b)
    return np.where(whole, a, np.nan), np.where(whole, b, np.nan)


def _product_moment(a: FloatArray, b: FloatArray, level: float, *, spearman_rank: bool) -> Correlation:
    from scipy.special import stdtr

    from cmvsim.estimators.kernels.ranks import product_moments

    n, r = np.empty(a.shape[0], dtype=np.int64), np.empty(a.shape[0])
    product_moments(a, b, n, r)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.clip(r, -1.0, 1.0)
        statistic = r * np.sqrt((n - 2.0) / (1.0 - r * r))
        p_value = np.asarray(2.0 * stdtr(n - 2.0, -np.abs(statistic)), dtype=np.float64)
        se = np.sqrt((1.0 + r * r / 2.0 if spearman_rank else np.ones_like(r)) / (n - 3.0))
    name = "Spearman, t test, Bonett-Wright interval" if spearman_rank else "Pearson, t test, Fisher z interval"
    return _correlation(r, se, statistic, p_value, n, 4, level, name)


def _correlation(
    r: FloatArray,
    se: FloatArray,
    statistic: FloatArray,
    p_value: FloatArray,
    n: IntArray,
    fewest: int,
    level: float,
    method: str,
) -> Correlation:
    z = normal_quantile(level)
    fine = np.isfinite(r) & (np.abs(r) < 1.0 - 1e-14) & (n >= fewest)
    status = np.where(fine, int(Status.OK), int(Status.NOT_ESTIMABLE)).astype(np.int64)
    status[n == 0] = Status.EMPTY
    r, se, statistic, p_value = (np.where(fine, v, np.nan) for v in (r, se, statistic, p_value))
    centre = np.arctanh(r)
    low, high = np.tanh(centre - z * se), np.tanh(centre + z * se)
    return Correlation(r, se, low, high, statistic, p_value, n.astype(np.int64), status, level, method)
