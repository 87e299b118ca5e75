"""Tests of one sample against a fixed value: exact binomial and Student's t."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.designs.closed_forms.basics import (
    binomial_at_least,
    require,
    require_positive,
    require_power,
    require_probability,
)

LARGEST_SCAN = 300_000


@dataclass(frozen=True, slots=True)
class BinomialTest:
    """An exact one-sided binomial test of n patients.

    Attributes
    ----------
    n
        Patients.
    critical
        Reject when the events are at least (side "greater") or at most (side "less") this many; n + 1 or -1
        where the test can never reject.
    side
        "greater" when p1 > p0, else "less".
    attained
        Type I error, never above alpha.
    power
        Probability of rejecting when the proportion is p1.
    """

    n: int
    critical: int
    side: str
    attained: float
    power: float


@dataclass(frozen=True, slots=True)
class BinomialSizes:
    """Sample sizes of an exact test, whose power is a sawtooth in n.

    Attributes
    ----------
    first
        Smallest n with the power wanted; a larger n may fall short of it.
    stable
        Smallest n from which every larger n has the power wanted.
    """

    first: int
    stable: int


def binomial_critical(n: ArrayLike, p0: float, alpha: float) -> IntArray:
    """Smallest c with P(X >= c | p0) <= alpha, for every n; n + 1 where no count is that rare."""
    size = np.asarray(n, dtype=np.int64)
    low, high = np.zeros_like(size), size + 1  # P(X >= n + 1) = 0 always does
    while np.any(low < high):
        middle = (low + high) // 2
        rare = binomial_at_least(middle, size, p0) <= alpha
        high = np.where(rare, middle, high)
        low = np.where(rare, low, np.minimum(middle + 1, high))
    return high


def binomial_test(n: int, p0: float, p1: float, alpha: float = 0.025) -> BinomialTest:
    """Critical value, attained level and power of the exact one-sided binomial test.

    Parameters
    ----------
    n
        Patients.
    p0, p1
        Proportion under the null hypothesis and under the alternative; the side follows from their order.
    alpha
        One-sided level.

    Notes
    -----
    Enumeration of the binomial distribution; A'Hern, Statistics in Medicine 20 (2001) 859-866.
    """
    require(n >= 1, f"n = {n} must be at least 1")
    _check(p0, p1, alpha)
    greater = p1 > p0
    null, alternative = (p0, p1) if greater else (1.0 - p0, 1.0 - p1)
    c = int(binomial_critical(n, null, alpha))
    attained, power = float(binomial_at_least(c, n, null)), float(binomial_at_least(c, n, alternative))
    return BinomialTest(n, c if greater else n - c, "greater" if greater else "less", attained, power)


def binomial_test_sizes(p0: float, p1: float, alpha: float = 0.025, power: float = 0.8) -> BinomialSizes:
    """First and stable sample size of the exact one-sided binomial test.

    Parameters
    ----------
    p0, p1, alpha
        As for :func:`binomial_test`.
    power
        Power wanted.

    Raises
    ------
    InputError
        If p0 = p1, or they are so near that more than 300,000 sizes would have to be looked at.

    Notes
    -----
    Every n is looked at up to the one from which Chernoff's inequality guarantees the power; so `stable` is exact and
    not the end of a scan.
    """
    _check(p0, p1, alpha)
    require_probability(power=power)
    bound = _chernoff_size(p0, p1, alpha, 1.0 - power)
    require(bound <= LARGEST_SCAN, f"p0 = {p0:g} and p1 = {p1:g} are too near for an exact search")
    reached = _power(np.arange(1, math.ceil(bound) + 1), p0, p1, alpha) >= power
    short = np.flatnonzero(~reached)
    return BinomialSizes(int(np.argmax(reached)) + 1, int(short[-1]) + 2 if short.size else 1)


def _chernoff_size(p0: float, p1: float, alpha: float, beta: float) -> float:
    """Size from which a threshold q between p0 and p1 has both tails below alpha and beta: exp(-n KL(q, p))."""

    def divergence(q: float, p: float) -> float:
        return q * math.log(q / p) + (1.0 - q) * math.log((1.0 - q) / (1.0 - p))

    null, alternative = p0, p1
    for _ in range(100):
        q = (null + alternative) / 2.0
        if divergence(q, p0) * math.log(1.0 / beta) < divergence(q, p1) * math.log(1.0 / alpha):
            null = q
        else:
            alternative = q
    shortest = min(divergence(q, p0) / math.log(1.0 / alpha), divergence(q, p1) / math.log(1.0 / beta))
    return 1.0 / shortest + 1.0 if shortest > 0 else math.inf


def _power(n: IntArray, p0: float, p1: float, alpha: float) -> FloatArray:
    null, alternative = (p0, p1) if p1 > p0 else (1.0 - p0, 1.0 - p1)
    return binomial_at_least(binomial_critical(n, null, alpha), n, alternative)


def _check(p0: float, p1: float, alpha: float) -> None:
    require_probability(p0=p0, p1=p1, alpha=alpha)
    require(p0 != p1, f"p1 = {p1:g} must differ from p0")


def t_test_power(n: float, difference: float, sd: float, alpha: float = 0.05, sides: int = 2) -> float:
    """Power of the one-sample t test, by the noncentral t distribution.

    Parameters
    ----------
    n
        Patients, at least 2.
    difference
        Mean under the alternative minus the mean under the null hypothesis.
    sd
        Standard deviation.
    alpha, sides
        Level and whether it is shared by two sides; with two, rejections on the wrong side count.

    Notes
    -----
    Noncentrality sqrt(n) difference / sd; e.g. Julious, Sample Sizes for Clinical Trials (2010), ch. 3.
    """
    from scipy import stats

    require(n >= 2, f"n = {n:g} must be at least 2")
    require_positive(sd=sd)
    require_probability(alpha=alpha)
    require(sides in (1, 2), f"sides = {sides} must be 1 or 2")
    shift, df = math.sqrt(n) * abs(difference) / sd, n - 1
    critical = float(stats.t.isf(alpha / sides, df))
    upper = float(stats.nct.sf(critical, df, shift)) if shift > 0 else alpha / sides
    if sides == 1:
        return upper
    lower = float(stats.nct.cdf(-critical, df, shift)) if shift > 0 else alpha / 2
    return upper + (lower if math.isfinite(lower) else 0.0)


def t_test_patients(difference: float, sd: float, alpha: float = 0.05, power: float = 0.8, sides: int = 2) -> int:
    """Smallest n with which the one-sample t test has the power; arguments as for :func:`t_test_power`."""
    require_power(power, alpha, sides)
    require_positive(sd=sd)
    require(difference != 0, "the difference of the means must not be 0")
    low, high = 1, 2
    while t_test_power(high, difference, sd, alpha, sides) < power:
        low, high = high, high * 2
        require(high <= 2**30, "the difference is too small against the standard deviation")
    while high - low > 1:
        middle = (low + high) // 2
        if t_test_power(middle, difference, sd, alpha, sides) < power:
            low = middle
        else:
            high = middle
    return high
