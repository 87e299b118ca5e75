"""Contrasts of two independent estimates of a risk: difference, ratio, and the number needed to treat.

For risks at a horizon from Aalen-Johansen or Kaplan-Meier estimates, whose standard errors know of censoring. For
complete counts :func:`cmvsim.estimators.risk_difference` has better small-sample limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile


def difference_of_risks(first: Estimates, second: Estimates, *, level: float = 0.95) -> Estimates:
    """Difference `first` - `second` of two independent estimates with a plain standard error, one per replicate.

    Parameters
    ----------
    first, second
        Of the same shape, `se_scale` plain.
    level
        Confidence level, two-sided.

    Returns
    -------
    Estimates
        Normal limits, clipped to [-1, 1]. Where one estimate is 0 or 1 its standard error is 0 and the normal
        approximation claims too much: its own limits (exact ones, by the promise of ``NO_EVENTS`` and
        ``ALL_EVENTS``) are then combined with the other's as Newcombe (1998) combines two intervals; these
        replicates need `level` to be that of both estimates, otherwise they are ``NOT_ESTIMABLE``. Where either
        input is not usable, the status is its, and ``NOT_ESTIMABLE`` or worse goes before ``EMPTY``.

    Raises
    ------
    ValueError
        If shapes differ, a standard error is not plain, or `level` is not allowed.
    """
    z = normal_quantile(level)
    _check(first, second)
    estimate = first.estimate - second.estimate
    se = np.hypot(first.se, second.se)
    low, high = estimate - z * se, estimate + z * se
    edge = _at_edge(first) | _at_edge(second)
    same_level = first.level == second.level == level
    low[edge] = (estimate - np.hypot(first.estimate - first.ci_low, second.ci_high - second.estimate))[edge]
    high[edge] = (estimate + np.hypot(first.ci_high - first.estimate, second.estimate - second.ci_low))[edge]
    status = _status(first, second)
    status[(status == Status.OK) & edge & (not same_level)] = Status.NOT_ESTIMABLE
    low, high = np.maximum(low, -1.0), np.minimum(high, 1.0)
    return _finish(first, second, estimate, se, low, high, status, level, "difference", "plain")


def ratio_of_risks(first: Estimates, second: Estimates, *, level: float = 0.95) -> Estimates:
    """Ratio `first` / `second` of two independent estimates, normal on the log scale, one per replicate.

    Parameters
    ----------
    first, second, level
        As for :func:`difference_of_risks`.

    Returns
    -------
    Estimates
        `se` on the log scale. ``NOT_ESTIMABLE`` where either estimate is 0, or both are 1.

    Raises
    ------
    ValueError
        If shapes differ, a standard error is not plain, or `level` is not allowed.
    """
    z = normal_quantile(level)
    _check(first, second)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        estimate = first.estimate / second.estimate
        se = np.hypot(first.se / first.estimate, second.se / second.estimate)
        low, high = estimate * np.exp(-z * se), estimate * np.exp(z * se)
    status = _status(first, second)
    none = (first.estimate == 0.0) | (second.estimate == 0.0) | (se == 0.0)
    status[(status == Status.OK) & none] = Status.NOT_ESTIMABLE
    return _finish(first, second, estimate, se, low, high, status, level, "ratio", "log")


@dataclass(frozen=True, slots=True)
class NumberNeeded:
    """Numbers needed to treat, one per replicate.

    Attributes
    ----------
    estimate
        1 / risk difference: positive if the first risk is the larger; infinite where they are equal.
    ci_low, ci_high
        Reciprocals of the limits of the difference, smaller magnitude first if they have one sign. If the interval
        of the difference holds 0 (`through_infinity`) the numbers needed are all those *outside* (ci_low, ci_high):
        from ci_high up through infinity and from minus infinity up to ci_low (Altman 1998).
    through_infinity
        Whether the interval runs through infinity.
    status
        That of the difference.
    level
        Confidence level.
    """

    estimate: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    through_infinity: BoolArray
    status: IntArray
    level: float


def number_needed_to_treat(difference: Estimates) -> NumberNeeded:
    """Number needed to treat from a risk difference and its limits.

    Parameters
    ----------
    difference
        Risk without treatment minus risk with it: positive numbers are then to benefit, negative ones to harm.

    Returns
    -------
    NumberNeeded
        NaN where the difference has none.

    Notes
    -----
    Altman, BMJ 317 (1998) 1309-1312.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = 1.0 / np.abs(difference.estimate) * np.where(difference.estimate < 0.0, -1.0, 1.0)
        from_low, from_high = 1.0 / difference.ci_low, 1.0 / difference.ci_high
    through = (difference.ci_low <= 0.0) & (difference.ci_high >= 0.0)
    # a limit of exactly 0 is infinite on the side that the interval comes from
    from_low = np.where(difference.ci_low == 0.0, -np.inf, from_low)
    from_high = np.where(difference.ci_high == 0.0, np.inf, from_high)
    low, high = np.where(through, from_low, from_high), np.where(through, from_high, from_low)
    return NumberNeeded(estimate, low, high, through, difference.status.copy(), difference.level)


def _check(first: Estimates, second: Estimates) -> None:
    if first.estimate.shape != second.estimate.shape:
        raise ValueError(f"estimates must have one shape, not {first.estimate.shape} and {second.estimate.shape}")
    if (first.se_scale, second.se_scale) != ("plain", "plain"):
        raise ValueError(f"standard errors must be plain, not {first.se_scale} and {second.se_scale}")


def _at_edge(estimates: Estimates) -> BoolArray:
    return np.asarray((estimates.status == Status.NO_EVENTS) | (estimates.status == Status.ALL_EVENTS))


def _status(first: Estimates, second: Estimates) -> IntArray:
    """OK where both are usable, else the graver of the two codes."""
    graver = np.maximum(first.status, second.status)
    return np.where(graver <= Status.ALL_EVENTS, int(Status.OK), graver).astype(np.int64)


def _finish(
    first: Estimates,
    second: Estimates,
    estimate: FloatArray,
    se: FloatArray,
    low: FloatArray,
    high: FloatArray,
    status: IntArray,
    level: float,
    what: str,
    scale: str,
) -> Estimates:
    fine = status == Status.OK
    estimate, se, low, high = (np.where(fine, v, np.nan) for v in (estimate, se, low, high))
    n, events = first.n + second.n, first.events + second.events
    method = f"{what} of: {first.method}" + ("" if first.method == second.method else f" and {second.method}")
    return Estimates(estimate, se, low, high, n, events, status, level, method, se_scale=scale)
