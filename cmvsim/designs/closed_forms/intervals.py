"""Confidence intervals by themselves: a proportion, a Poisson rate, a difference of two proportions."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincinv

from cmvsim.core.errors import InputError
from cmvsim.core.records import FloatArray
from cmvsim.designs.closed_forms.basics import require, require_positive, require_probability
from cmvsim.estimators import limits, proportion_limits
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.score import score_difference_limits

BinomialMethod = Literal["wilson", "clopper-pearson", "agresti-coull", "wald"]
BINOMIAL_METHODS: tuple[BinomialMethod, ...] = ("wilson", "clopper-pearson", "agresti-coull", "wald")
DifferenceMethod = Literal["newcombe", "miettinen-nurminen", "agresti-caffo", "plus-four", "wald"]
DIFFERENCE_METHODS: tuple[DifferenceMethod, ...] = ("newcombe", "miettinen-nurminen", "agresti-caffo", "plus-four", "wald")


def binomial_limits(
    x: ArrayLike, n: ArrayLike, *, method: BinomialMethod = "wilson", level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Confidence limits of a proportion: the estimators' intervals, and Wald's.

    Parameters
    ----------
    x, n
        Events and patients, integers of shapes that broadcast.
    method
        ``wald`` is p ± z sqrt(p (1-p) / n), clipped to [0, 1]; the others as in
        :func:`cmvsim.estimators.proportion_limits`.
    level
        Confidence level, two-sided.
    """
    events, size = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64))
    require(bool(np.all((events >= 0) & (events <= size) & (size >= 1))), "every x must be between 0 and its n >= 1")
    require_probability(level=level)
    if method != "wald":
        return proportion_limits(x, n, method=method, level=level)
    p = events / size
    return limits(p, np.sqrt(p * (1.0 - p) / size), interval="plain", level=level)


def poisson_limits(events: int, exposure: float = 1.0, level: float = 0.95) -> tuple[float, float]:
    """Exact confidence limits of a rate from a Poisson count.

    Parameters
    ----------
    events
        Events counted.
    exposure
        Person-time (or any other exposure) in which they were.
    level
        Confidence level, two-sided.

    Notes
    -----
    Garwood, Biometrika 28 (1936) 437-442, by gamma quantiles; the lower limit is 0 with no event.
    """
    require(events >= 0, f"events = {events} must not be negative")
    require_positive(exposure=exposure)
    require_probability(level=level)
    tail = (1.0 - level) / 2.0
    low = float(gammaincinv(events, tail)) if events else 0.0
    return low / exposure, float(gammaincinv(events + 1, 1.0 - tail)) / exposure


def risk_difference_limits(
    x1: ArrayLike,
    n1: ArrayLike,
    x2: ArrayLike,
    n2: ArrayLike,
    *,
    method: DifferenceMethod = "newcombe",
    level: float = 0.95,
) -> tuple[FloatArray, FloatArray]:
    """Confidence limits of x1/n1 - x2/n2 of two independent arms.

    Parameters
    ----------
    x1, n1, x2, n2
        Events and patients of the two arms, of shapes that broadcast.
    method
        ``newcombe`` (hybrid of Wilson intervals), ``miettinen-nurminen`` (score), ``agresti-caffo`` (Wald after
        z²/4 events and z²/4 non-events are added to each arm, as Stata's rdci), ``plus-four`` (the same with one of
        each, as the paper rounds it and most software computes it) or ``wald``; clipped to [-1, 1].
    level
        Confidence level, two-sided.

    Notes
    -----
    Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10; Miettinen and Nurminen, Statistics in Medicine 4
    (1985) 213-226, with their factor N / (N - 1); Agresti and Caffo, The American Statistician 54 (2000) 280-288.
    """
    a, m, b, k = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (x1, n1, x2, n2)))
    require(bool(np.all((m >= 1) & (k >= 1))), "each arm needs at least one patient")
    require(bool(np.all((a >= 0) & (b >= 0) & (a <= m) & (b <= k))), "every x must be between 0 and its n")
    z = normal_quantile(level)
    if method == "newcombe":
        return _newcombe(a, m, b, k, level)
    if method == "miettinen-nurminen":
        return score_difference_limits(a, m, b, k, z=z)
    if method == "agresti-caffo":
        return _wald_difference(a + z * z / 4.0, m + z * z / 2.0, b + z * z / 4.0, k + z * z / 2.0, z)
    if method == "plus-four":
        return _wald_difference(a + 1.0, m + 2.0, b + 1.0, k + 2.0, z)
    if method == "wald":
        return _wald_difference(a, m, b, k, z)
    raise InputError(f"unknown method {method!r}; allowed: {', '.join(DIFFERENCE_METHODS)}")


def _wald_difference(a: FloatArray, m: FloatArray, b: FloatArray, k: FloatArray, z: float) -> tuple[FloatArray, FloatArray]:
    p1, p2 = a / m, b / k
    half = z * np.sqrt(p1 * (1.0 - p1) / m + p2 * (1.0 - p2) / k)
    return np.maximum(p1 - p2 - half, -1.0), np.minimum(p1 - p2 + half, 1.0)


def _newcombe(a: FloatArray, m: FloatArray, b: FloatArray, k: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    p1, p2 = a / m, b / k
    low1, high1 = proportion_limits(a, m, method="wilson", level=level)
    low2, high2 = proportion_limits(b, k, method="wilson", level=level)
    return p1 - p2 - np.hypot(p1 - low1, high2 - p2), p1 - p2 + np.hypot(high1 - p1, p2 - low2)
