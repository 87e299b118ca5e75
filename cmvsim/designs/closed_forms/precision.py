"""Precision of an estimated proportion, exactly: sizes for a width, coverage, and uncensored incidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import betaincinv

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.designs.closed_forms.basics import (
    binomial_at_least,
    binomial_pmf,
    require,
    require_positive,
    require_probability,
)
from cmvsim.designs.closed_forms.intervals import binomial_limits
from cmvsim.estimators import limits, proportion_limits
from cmvsim.estimators.intervals import exact_margin, normal_quantile

SizeMethod = Literal["wilson", "clopper-pearson", "agresti-coull"]
SMALLEST_HALF_WIDTH = 0.005


@dataclass(frozen=True, slots=True)
class PrecisionSizes:
    """Patients for an interval no wider than wanted, by what "no wider" is asked of.

    Attributes
    ----------
    plug_in
        The width at the expected count n p (which need not be whole).
    expected_width
        The mean width.
    assured, assured_stable
        The width with the probability wanted: the first such n, and the n from which every larger one has it.
    """

    plug_in: int
    expected_width: int
    assured: int
    assured_stable: int


@dataclass(frozen=True, slots=True)
class IntervalPerformance:
    """Exact performance of an interval: coverage, mean width, and probability that it is narrow enough."""

    coverage: float
    mean_width: float
    p_narrow: float


def precision_sizes(
    p: float,
    half_width: float,
    *,
    method: SizeMethod = "wilson",
    level: float = 0.95,
    probability: float = 0.8,
) -> PrecisionSizes:
    """Patients so that the confidence interval of a proportion is no wider than 2 x `half_width`.

    Parameters
    ----------
    p
        Expected proportion.
    half_width
        Half of the full width wanted, at least 0.005.
    method
        Interval: ``wilson``, ``clopper-pearson`` (exact) or ``agresti-coull``. For Wald see
        :mod:`cmvsim.planning.closed_forms`.
    level
        Confidence level.
    probability
        Probability wanted of an interval that is narrow enough (``assured``).

    Notes
    -----
    Plug-in as in R presize; expected and assured width by enumeration of the binomial distribution. All sizes are
    looked at up to the n at which the widest interval of all, at x = n/2, is narrow enough.
    """
    require_probability(p=p, level=level, probability=probability)
    require(SMALLEST_HALF_WIDTH <= half_width < 0.5, f"half_width = {half_width:g} must lie in [{SMALLEST_HALF_WIDTH}, 0.5)")
    width = 2.0 * half_width + 1e-12
    plug_in = _first(lambda n: real_width(n * p, n, method, level) <= width)
    largest = _first(lambda n: real_width(n / 2.0, n, method, level) <= width)
    n = np.arange(1, largest + 2)
    narrow = _p_narrow(n, p, width, method, level) >= probability - 1e-12
    short = np.flatnonzero(~narrow)
    expected = _smallest_mean_width(p, width, method, level, largest)
    return PrecisionSizes(plug_in, expected, int(np.argmax(narrow)) + 1, int(short[-1]) + 2 if short.size else 1)


def real_width(x: float, n: float, method: SizeMethod, level: float) -> float:
    """Width of the interval at a count that need not be whole, 0 < x < n."""
    z2 = normal_quantile(level) ** 2
    if method == "wilson":
        return 2.0 * math.sqrt(z2 * (x * (1.0 - x / n) + z2 / 4.0)) / (n + z2)
    if method == "agresti-coull":
        centre = (x + z2 / 2.0) / (n + z2)
        return 2.0 * math.sqrt(z2 * centre * (1.0 - centre) / (n + z2))
    require(method == "clopper-pearson", f"unknown method {method!r}; allowed: wilson, clopper-pearson, agresti-coull")
    tail = (1.0 - level) / 2.0
    return float(betaincinv(x + 1.0, n - x, 1.0 - tail) - betaincinv(x, n - x + 1.0, tail))


def _first(reached: Callable[[int], bool]) -> int:
    """Smallest n >= 1 at which a monotone condition holds."""
    low, high = 0, 1
    while not reached(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _p_narrow(n: IntArray, p: float, width: float, method: SizeMethod, level: float) -> FloatArray:
    """P(width <= w) for every n: widths rise from x = 0 to n/2, so the narrow ones are the counts up to an edge."""
    low, high = np.full_like(n, -1), n // 2  # narrow at low (or nothing is); the edge lies in [low, high]
    while np.any(low < high):
        middle = (low + high + 1) // 2
        lower, upper = proportion_limits(np.maximum(middle, 0), n, method=method, level=level)
        narrow = upper - lower <= width
        low, high = np.where(narrow, middle, low), np.where(narrow, high, np.minimum(middle - 1, high))
        high = np.maximum(high, low)
    left = 1.0 - binomial_at_least(low + 1, n, p)
    right = binomial_at_least(n - low, n, p)
    return np.where(low < 0, 0.0, np.where(2 * low >= n - 1, 1.0, left + right))


def _smallest_mean_width(p: float, width: float, method: SizeMethod, level: float, largest: int) -> int:
    """Smallest n whose mean width is narrow enough: halving, then a look at the sizes just below."""
    found = min(_first(lambda n: mean_width(n, p, method, level) <= width), largest)
    below = range(max(1, found - 20), found)
    return next((n for n in below if mean_width(n, p, method, level) <= width), found)


def mean_width(n: int, p: float, method: SizeMethod, level: float) -> float:
    """Mean width of the interval of n patients; counts beyond 12 standard deviations are left out."""
    reach = 12.0 * math.sqrt(n * p * (1.0 - p)) + 30.0
    x = np.arange(max(0, math.floor(n * p - reach)), min(n, math.ceil(n * p + reach)) + 1)
    low, high = proportion_limits(x, n, method=method, level=level)
    return float(np.sum(binomial_pmf(x, n, p) * (high - low)))


def binomial_coverage(
    n: int,
    p: float,
    *,
    method: Literal["wilson", "clopper-pearson", "agresti-coull", "wald"] = "wilson",
    level: float = 0.95,
    half_width: float = 0.1,
) -> IntervalPerformance:
    """Exact coverage and width of a binomial confidence interval, by enumeration of its n + 1 outcomes.

    Parameters
    ----------
    n, p
        Patients and true proportion.
    method, level
        Interval and its nominal level.
    half_width
        An interval is called narrow enough when its width is at most twice this.
    """
    require(n >= 1, f"n = {n} must be at least 1")
    require_probability(p=p, level=level)
    require_positive(half_width=half_width)
    x = np.arange(n + 1)
    low, high = binomial_limits(x, np.full_like(x, n), method=method, level=level)
    return _performance(n, p, low, high, half_width)


def incidence_interval_performance(
    n: int,
    p: float,
    *,
    interval: Literal["cloglog", "arcsin"] = "cloglog",
    level: float = 0.95,
    half_width: float = 0.1,
    edges: Literal["exact", "degenerate"] = "exact",
) -> IntervalPerformance:
    """Exact coverage and width of a transformed interval of a cumulative incidence that nobody is censored before.

    Parameters
    ----------
    n, p
        Patients and true incidence at the horizon.
    interval, level
        Transformation and nominal level.
    half_width
        An interval is called narrow enough when its width is at most twice this.
    edges
        Interval at 0 and n events, where the transformations are infinite: ``exact`` (Clopper-Pearson, what the
        estimators here do) or ``degenerate`` (the single point, as some software prints).

    Notes
    -----
    Without censoring the Aalen-Johansen estimate is x / n with variance p (1 - p) / n, so that the n + 1 outcomes
    can be enumerated.
    """
    require(n >= 1, f"n = {n} must be at least 1")
    require_probability(p=p, level=level)
    require_positive(half_width=half_width)
    estimate = np.arange(n + 1) / n
    low, high = limits(estimate, np.sqrt(estimate * (1.0 - estimate) / n), interval=interval, level=level)
    margin = float(exact_margin(n, level=level)) if edges == "exact" else 0.0
    low[0], high[0], low[n], high[n] = 0.0, margin, 1.0 - margin, 1.0
    return _performance(n, p, low, high, half_width)


def _performance(n: int, p: float, low: FloatArray, high: FloatArray, half_width: float) -> IntervalPerformance:
    weight, width = binomial_pmf(np.arange(n + 1), n, p), high - low
    covered = float(weight[(low <= p) & (p <= high)].sum())
    return IntervalPerformance(covered, float(weight @ width), float(weight[width <= 2.0 * half_width + 1e-12].sum()))
