"""The load of an episode: natural course, controlled course, and the assay's report (model.md 6, 7)."""

from __future__ import annotations

import math

from numba import njit

INF = math.inf


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
def clearance(v0: float, peak: float, plateau_end: float, decay: float,
              knot_time: float, knot_value: float, knot_slope: float) -> float:
    """Time at which the smaller of both courses falls below v0 if nothing else happens (+inf if never)."""
    cleared = INF
    if plateau_end < INF:
        cleared = plateau_end + (peak - v0) / decay
    if knot_time < INF and knot_slope < 0.0:
        cleared = min(cleared, knot_time + max(knot_value - v0, 0.0) / -knot_slope)
    return cleared


@njit(cache=True, error_model="numpy")
def three_digits(x: float) -> float:
    """A positive number at three significant digits, as laboratories report it.

    Dividing or multiplying by an exact power of ten makes the nearest double of the decimal number, so that the value
    reads back from a table unchanged.
    """
    e = 2 - int(math.floor(math.log10(x)))
    if e >= 0:
        p = 10.0**e
        return math.floor(x * p + 0.5) / p
    p = 10.0**-e
    return math.floor(x / p + 0.5) * p
