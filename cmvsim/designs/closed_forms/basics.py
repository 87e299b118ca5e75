"""What the closed forms share: quantiles, binomial probabilities, rounding, and refusals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, gammaln, ndtr, ndtri, xlog1py, xlogy

from cmvsim.core.errors import InputError
from cmvsim.core.records import FloatArray


def require(condition: bool, message: str) -> None:
    """Refuse arguments that describe no study.

    Raises
    ------
    InputError
        With `message`, unless `condition` holds.
    """
    if not condition:
        raise InputError(message)


def require_probability(**values: float) -> None:
    """Refuse values that are not strictly between 0 and 1."""
    for name, value in values.items():
        require(0.0 < value < 1.0, f"{name} = {value:g} must lie strictly between 0 and 1")


def require_positive(**values: float) -> None:
    """Refuse values that are not positive and finite."""
    for name, value in values.items():
        require(0.0 < value < math.inf, f"{name} = {value:g} must be positive")


def upper_quantile(probability: float) -> float:
    """Standard normal quantile with `probability` above it."""
    return -float(ndtri(probability))


def critical_value(alpha: float, sides: int) -> float:
    """Normal critical value of a test at level `alpha` with one or two sides."""
    require_probability(alpha=alpha)
    require(sides in (1, 2), f"sides = {sides} must be 1 or 2")
    return upper_quantile(alpha / sides)


def require_power(power: float, alpha: float, sides: int) -> None:
    """Refuse a power that the test has without any effect."""
    require_probability(power=power, alpha=alpha)
    require(power > alpha / sides, f"power = {power:g} must be above the level of the test")


def normal_cdf(x: float) -> float:
    """Standard normal distribution function."""
    return float(ndtr(x))


def whole_patients(n: float) -> int:
    """Round up to whole patients; a rounding error of 1e-9 does not cost a patient."""
    return max(1, math.ceil(n - 1e-9))


def binomial_pmf(x: ArrayLike, n: ArrayLike, p: float) -> FloatArray:
    """P(X = x) for X ~ binomial(n, p), broadcast; 0 outside 0..n."""
    k, size = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64))
    inside = (k >= 0) & (k <= size)
    at = np.where(inside, k, 0.0)
    log = gammaln(size + 1) - gammaln(at + 1) - gammaln(size - at + 1) + xlogy(at, p) + xlog1py(size - at, -p)
    return np.where(inside, np.exp(log), 0.0)


def binomial_at_least(x: ArrayLike, n: ArrayLike, p: float) -> FloatArray:
    """P(X >= x) for X ~ binomial(n, p), broadcast; x may lie outside 0..n."""
    k, size = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64))
    inside = (k >= 1) & (k <= size)
    at = np.where(inside, k, 1.0)
    tail = betainc(at, np.where(inside, size - at + 1.0, 1.0), p)
    return np.where(inside, tail, np.where(k < 1, 1.0, 0.0))
