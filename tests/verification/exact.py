"""Exact enumeration where nobody is censored, so that the incidence is a binomial proportion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from cmvsim.core.records import FloatArray

Z = float(stats.norm.ppf(0.975))


def cloglog_limits(x: np.ndarray, m: int) -> tuple[FloatArray, FloatArray]:
    """Complementary log-log interval of x / m with variance p (1 - p) / m; Clopper-Pearson at 0 and m."""
    p = x / m
    with np.errstate(divide="ignore", invalid="ignore"):
        half = Z * np.sqrt(p * (1 - p) / m) / ((1 - p) * -np.log1p(-p))
        centre = np.log(-np.log1p(-p))
        low, high = -np.expm1(-np.exp(centre - half)), -np.expm1(-np.exp(centre + half))
    margin = 1 - 0.025 ** (1 / m)
    low, high = np.where(x == 0, 0.0, low), np.where(x == 0, margin, high)
    return np.where(x == m, 1 - margin, low), np.where(x == m, 1.0, high)


def enumerated(statistic: Callable[[FloatArray, FloatArray], FloatArray], n: int, p: float, entering: float) -> float:
    """Expectation of a function of the limits: M ~ Bin(n, entering) in the analysis, X ~ Bin(M, p) with an event."""
    total = 0.0
    for m in range(1, n + 1):
        weight = stats.binom.pmf(m, n, entering)
        if weight > 1e-12:
            x = np.arange(m + 1)
            total += weight * float(stats.binom.pmf(x, m, p) @ statistic(*cloglog_limits(x, m)))
    return total


def slope(statistic: Callable[[FloatArray, FloatArray], FloatArray], n: int, p: float, entering: float) -> float:
    """Derivative of :func:`enumerated` in p: turns the error of a simulated p into one of the expectation."""
    return (enumerated(statistic, n, p + 0.002, entering) - enumerated(statistic, n, p - 0.002, entering)) / 0.004


def mean_width(low: FloatArray, high: FloatArray) -> FloatArray:
    return (high - low) / 2


def covers(value: float) -> Callable[[FloatArray, FloatArray], FloatArray]:
    return lambda low, high: ((low <= value) & (value <= high)).astype(np.float64)


def narrow(width: float) -> Callable[[FloatArray, FloatArray], FloatArray]:
    return lambda low, high: ((high - low) / 2 <= width).astype(np.float64)
