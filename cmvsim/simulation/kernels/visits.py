"""Samples as planned, before anybody knows what they show: visits of the protocol, and tests that are made anyway."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cmvsim.simulation.kernels import layout as at

Vector = NDArray[np.float64]
Rows = NDArray[np.int64]
Table = NDArray[np.float64]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]


@njit(cache=True, nogil=True, error_model="numpy")
def plan_visits(
    days: Vector,
    moved: Table,
    jitter: float,
    missed: Table,
    attendance: float,
    follows: Flags,
    until: Vector,
    time: Table,
    code: Codes,
    load: Table,
    last: Vector,
) -> None:
    """Fill the first rows of `time`, `code` and `load`: NaN and "none" where no sample is taken, else "not detected".

    `follows` (P,) says who follows the protocol (empty: everybody); `last` (P,) becomes the time of the last sample,
    -inf if there is none. `moved` and `missed` hold uniforms by visit after infusion; they are empty if visits are made
    on the day, or all.
    """
    first = 0  # visits at or before infusion, which are made on the day and have no uniforms
    while first < days.size and days[first] <= 0.0:
        first += 1
    last[:] = -math.inf
    for v in range(days.size):
        u = v - first
        for i in range(until.size):
            t = days[v]
            if u >= 0:
                if moved.size > 0:
                    t += math.floor(moved[u, i] * (2.0 * jitter + 1.0)) - jitter
                if t > until[i] or (missed.size > 0 and missed[u, i] >= attendance):
                    t = math.nan
            if follows.size > 0 and not follows[i]:
                t = math.nan
            time[v, i], load[v, i] = t, math.nan
            code[v, i] = at.NONE if math.isnan(t) else at.NOT_DETECTED
            last[i] = max(last[i], t)  # NaN is never larger


@njit(cache=True, nogil=True, error_model="numpy")
def plan_tests(
    days: Rows,
    odds: Vector,
    u: Table,
    own: Vector,
    ratios: Vector,
    start: Table,
    stop: Table,
    until: Vector,
    visits: int,
    time: Table,
    code: Codes,
    load: Table,
    due: Flags,
    last: Vector,
) -> None:
    """Fill the rows after `visits` with the tests that clinicians ask for whatever was found, and `due` (D, P).

    `own` (P,) are a patient's odds ratios, NaN for whom no test is asked for; a ratio of `ratios` (W,) acts while a
    window `start`, `stop` (W, P) contains the day. No test on the day of a visit.
    """
    at_visit = np.zeros(until.size, np.int64)
    for d in range(days.size):
        t, row = float(days[d]), visits + d
        for i in range(until.size):
            v = at_visit[i]
            while v < visits and not time[v, i] >= t:  # also past visits that were not made
                v += 1
            at_visit[i] = v
            wanted = False
            if not math.isnan(own[i]) and t <= until[i] and not (v < visits and time[v, i] == t):
                o = odds[d] * own[i]
                for w in range(ratios.size):
                    if start[w, i] <= t < stop[w, i]:
                        o *= ratios[w]
                wanted = u[d, i] * (1.0 + o) < o
            due[d, i] = wanted
            time[row, i], load[row, i] = t if wanted else math.nan, math.nan
            code[row, i] = at.NOT_DETECTED if wanted else at.NONE
            if wanted:
                last[i] = max(last[i], t)
