"""The load of an episode: natural course, controlled course, and the assay's report (model.md 6, 7)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from cmvsim.simulation.kernels import layout as at

INF = math.inf
POWERS_OF_TEN = np.array([float(f"1e{k}") for k in range(23)])  # all that doubles hold exactly


@njit(cache=True, error_model="numpy")
def natural(t: float, onset: float, v0: float, growth: float, peak: float, plateau_end: float, decay: float) -> float:
    """Log10 load at t >= onset without treatment."""
    rising = v0 + growth * (t - onset)
    if rising < peak:
        return rising
    if t <= plateau_end:
        return peak
    return peak - decay * (t - plateau_end)


@njit(cache=True, error_model="numpy")
def controlled(t: float, knot_time: float, knot_value: float, knot_slope: float) -> float:
    """Upper bound on the log10 load set by treatment (+inf before it acts)."""
    if knot_time == INF:
        return INF
    return knot_value + knot_slope * (t - knot_time)


@njit(cache=True, error_model="numpy")
def clearance(
    v0: float, peak: float, plateau_end: float, decay: float, knot_time: float, knot_value: float, knot_slope: float
) -> float:
    """Time at which the smaller of both courses falls below v0 if nothing else happens (+inf if never)."""
    cleared = INF
    if plateau_end < INF:
        cleared = plateau_end + (peak - v0) / decay
    if knot_time < INF and knot_slope < 0.0:
        cleared = min(cleared, knot_time + max(knot_value - v0, 0.0) / -knot_slope)
    return cleared


@njit(cache=True, error_model="numpy")
def rounded(x: float, log10: float) -> float:
    """:func:`three_digits` of a number whose logarithm is at hand, to ten digits or more.

    Dividing or multiplying by an exact power of ten makes the nearest double of the decimal number, so that the value
    reads back from a table unchanged.
    """
    if abs(log10 - math.floor(log10 + 0.5)) < 1e-9:  # too near a power of ten for the floor of an approximation
        log10 = math.log10(x)
    e = 2 - int(math.floor(log10))  # noqa: RUF046 -- numba's floor is a float
    if e >= 0:
        p = POWERS_OF_TEN[e] if e <= 22 else 10.0**e
        return math.floor(x * p + 0.5) / p
    p = POWERS_OF_TEN[-e] if e >= -22 else 10.0**-e
    return math.floor(x / p + 0.5) * p


@njit(cache=True, error_model="numpy")
def three_digits(x: float) -> float:
    """A positive number at three significant digits, as laboratories report it."""
    return rounded(x, math.log10(x))


@njit(cache=True, error_model="numpy")
def realised(
    t: float,
    onset: float,
    v0: float,
    growth: float,
    peak: float,
    plateau_end: float,
    decay: float,
    knot_time: float,
    knot_value: float,
    knot_slope: float,
) -> float:
    """Realised log10 load in plasma: the smaller of both courses."""
    return min(natural(t, onset, v0, growth, peak, plateau_end, decay), controlled(t, knot_time, knot_value, knot_slope))


@njit(cache=True, error_model="numpy")
def reported(log10: float, lod: float, lloq: float, log10_lod: float, log10_lloq: float) -> tuple[int, float]:
    """What the assay says of a sample with this log10 load, measurement error included: code and reported value.

    Rounding to three digits moves a value by less than 0.0022 log10, so that the value itself is needed only near a
    limit or above both.
    """
    if log10 < log10_lod - 0.01:
        return at.NOT_DETECTED, math.nan
    if log10_lod + 0.01 < log10 < log10_lloq - 0.01:
        return at.BELOW_LLOQ, math.nan
    value = rounded(10.0**log10, log10)
    if value >= lloq:
        return at.QUANTIFIED, value
    return (at.BELOW_LLOQ if value >= lod else at.NOT_DETECTED), math.nan
