"""Time alive weighted by the expected index, along the course of every patient."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

INF = math.inf
NODE = 0.5 - 0.5 / math.sqrt(3.0)
"""First of the two Gauss-Legendre nodes of [0, 1]; the other is its mirror image."""
Vector = NDArray[np.float64]
Table = NDArray[np.float64]
Codes = NDArray[np.int64]


@njit(cache=True, nogil=True, error_model="numpy")
def quality_adjusted(
    until: Vector,
    stratum: Codes,
    patient: Vector,
    young: NDArray[np.bool_],
    start: Table,
    stop: Table,
    state: Codes,
    group: Codes,
    days: Vector,
    mean: Table,
    shift: NDArray[np.float64],
    curves: Table,
    lowest: float,
    step: float,
    total: Vector,
) -> None:
    """Fill `total` (P,) with the integral of the expected index over [0, until).

    Parameters
    ----------
    until
        (P,) end of each patient's time.
    patient
        (P,) what the patient adds to the latent mean.
    start, stop, state
        (M, P) windows of the states and (M,) the row of `shift` that each belongs to; windows of one group stand together.
    group
        (states,) of a group only the largest shift counts.
    days, mean, shift
        (K,), (strata, K), (states, strata, K): latent mean and shifts, linear between days, constant outside.
    curves
        (2, points) expected index of adult and young patients over latent health from `lowest` on in steps of `step`.
    """
    rows, k_days = state.size, days.size
    cuts, mine, acting = np.empty(2 * rows + k_days + 2), np.empty(rows, np.int64), np.empty(rows, np.int64)
    for i in range(until.size):
        end = until[i]
        total[i] = 0.0
        if not end > 0.0:
            continue
        q = 0  # windows of this patient, few of all rows
        for m in range(rows):
            if start[m, i] < end and stop[m, i] > 0.0:
                mine[q] = m
                q += 1
        n = _breaks(cuts, end, i, start, stop, mine[:q], days)
        curve = curves[1] if young[i] else curves[0]
        s, last = stratum[i], curve.size - 2
        for j in range(n - 1):
            a, width = cuts[j], cuts[j + 1] - cuts[j]
            if width <= 0.0:
                continue
            inside = 0  # windows open or close at the ends of a piece only
            for r in range(q):
                m = mine[r]
                if start[m, i] <= a and a < stop[m, i]:
                    acting[inside] = state[m]
                    inside += 1
            for side in range(2):
                t = a + width * (NODE if side == 0 else 1.0 - NODE)
                low, part = _place(days, t)
                up = min(low + 1, k_days - 1)
                health = patient[i] + (1.0 - part) * mean[s, low] + part * mean[s, up]
                worst, of = -INF, -1
                for r in range(inside):
                    c = acting[r]
                    added = (1.0 - part) * shift[c, s, low] + part * shift[c, s, up]
                    if group[c] != of:
                        if of >= 0:
                            health += worst
                        of, worst = group[c], added
                    elif added > worst:
                        worst = added
                if of >= 0:
                    health += worst
                x = (health - lowest) / step
                x = min(max(x, 0.0), float(last + 1))
                k = min(int(x), last)
                total[i] += 0.5 * width * (curve[k] + (x - k) * (curve[k + 1] - curve[k]))


@njit(cache=True, nogil=True, error_model="numpy")
def _breaks(cuts: Vector, end: float, i: int, start: Table, stop: Table, mine: Codes, days: Vector) -> int:
    """Gather in order of time 0, `end` and what lies between of the days and of the windows `mine`; return their number."""
    cuts[0], cuts[1], n = 0.0, end, 2
    for k in range(days.size):
        if 0.0 < days[k] < end:
            n = _insert(cuts, n, days[k])
    for m in mine:
        if start[m, i] > 0.0:
            n = _insert(cuts, n, start[m, i])
        if 0.0 < stop[m, i] < end:
            n = _insert(cuts, n, stop[m, i])
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _insert(cuts: Vector, n: int, time: float) -> int:
    """Put a time in its place."""
    j = n
    while cuts[j - 1] > time:
        cuts[j] = cuts[j - 1]
        j -= 1
    cuts[j] = time
    return n + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _place(days: Vector, t: float) -> tuple[int, float]:
    """Day of the path before `t`, and the part of the way to the next one."""
    if t <= days[0]:
        return 0, 0.0
    last = days.size - 1
    if t >= days[last]:
        return last, 0.0
    k = 0
    while days[k + 1] <= t:
        k += 1
    return k, (t - days[k]) / (days[k + 1] - days[k])
