"""Exact inversion of a piecewise constant hazard that windows multiply: infections (model.md 11) and death (12)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

INF = math.inf
Vector = NDArray[np.float64]
Table = NDArray[np.float64]
Codes = NDArray[np.int64]


@njit(cache=True, error_model="numpy")
def highest_ratio(t: float, until: float, start: Table, stop: Table, factor: Codes, ratio: Vector, i: int) -> float:
    """Upper bound on the product of the ratios that patient `i` meets in [t, until)."""
    highest, counted = 1.0, -1
    for m in range(factor.size):
        if factor[m] != counted and start[m, i] < until and stop[m, i] > t:
            counted = factor[m]
            highest *= max(ratio[counted], 1.0)
    return highest


@njit(cache=True, error_model="numpy")
def piece(
    t: float, until: float, start: Table, stop: Table, factor: Codes, ratio: Vector, i: int, rate: float
) -> tuple[float, float]:
    """Hazard at t, windows included, and the next time at which a window of patient `i` opens or closes.

    Windows of one factor stand together; while several are open the factor counts once. A window that never opens has
    start +inf or NaN.
    """
    b, counted = until, -1
    for m in range(factor.size):
        opens, closes = start[m, i], stop[m, i]
        if opens > t:
            b = min(b, opens)
        elif opens <= t and closes > t:
            b = min(b, closes)
            if factor[m] != counted:
                counted = factor[m]
                rate *= ratio[counted]
    return rate, b


@njit(cache=True, nogil=True, error_model="numpy")
def event_times(
    begin: Vector,
    clock: Vector,
    rate: Vector,
    cuts: Vector,
    hazard: Vector,
    start: Table,
    stop: Table,
    factor: Codes,
    ratio: Vector,
    until: float,
    event: Vector,
) -> None:
    """Fill `event` (P,) with the time at which the hazard has spent `clock` since `begin`; +inf after `until`.

    The hazard is rate[i] x hazard[period] x the ratios of the open windows. Period k ends before cuts[k]; the last has
    no end. `start` and `stop` are (M, P), `factor` (M,) is each row's index into `ratio`. Most patients have no event;
    an upper bound of their cumulative hazard tells so without walking the pieces.
    """
    ceiling = 1.0 + 1e-12
    for f in range(ratio.size):
        ceiling *= max(ratio[f], 1.0)
    for i in range(clock.size):
        event[i] = INF
        t, left = begin[i], clock[i]
        if not t < until:
            continue
        reach, k, a = 0.0, 0, t
        while k < cuts.size and cuts[k] < until:
            if cuts[k] > a:
                reach += hazard[k] * (cuts[k] - a)
                a = cuts[k]
            k += 1
        reach += hazard[k] * (until - a)
        if rate[i] * reach * ceiling < left:  # without a look at the windows
            continue
        if rate[i] * reach * highest_ratio(t, until, start, stop, factor, ratio, i) * (1.0 + 1e-12) < left:
            continue
        k = 0
        while t < until:
            while k < cuts.size and cuts[k] <= t:
                k += 1
            b = min(until, cuts[k]) if k < cuts.size else until
            h, b = piece(t, b, start, stop, factor, ratio, i, rate[i] * hazard[k])
            end = t + left / h
            if end <= b:
                event[i] = end
                break
            left = max(left - h * (b - t), 0.0)
            t = b
