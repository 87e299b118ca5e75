"""Visits as made, before anybody knows what they show."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cmvsim.simulation.kernels import layout as at

Vector = NDArray[np.float64]
Table = NDArray[np.float64]
Codes = NDArray[np.int8]


@njit(cache=True, nogil=True, error_model="numpy")
def plan_visits(
    days: Vector,
    moved: Table,
    jitter: float,
    missed: Table,
    attendance: float,
    until: Vector,
    time: Table,
    code: Codes,
    load: Table,
    last: Vector,
) -> None:
    """Fill `time`, `code` and `load` (V, P): NaN and "none" where no sample is taken, else "not detected".

    `last` (P,) becomes the time of the last sample, -inf if there is none.
    `moved` and `missed` hold uniforms by visit after infusion; they are empty if visits are made on the day, or all.
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
            time[v, i], load[v, i] = t, math.nan
            code[v, i] = at.NONE if math.isnan(t) else at.NOT_DETECTED
            last[i] = max(last[i], t)  # NaN is never larger
