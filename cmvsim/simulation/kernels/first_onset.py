"""First onset of every patient: the loop that decides who needs a course at all."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cmvsim.simulation.kernels.hazard import INF, not_yet, spend

Vector = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def first_onsets(
    clock: Vector,
    rate: Vector,
    s_start: Vector,
    s_stop: Vector,
    c_start: Vector,
    c_stop: Vector,
    origin: float,
    scale: float,
    shape: float,
    s_log: float,
    s_wash: float,
    c_log: float,
    c_wash: float,
    step: float,
    horizon: float,
    onset: Vector,
) -> None:
    """Fill `onset` (P,) with the first onset time, +inf beyond the horizon.

    Most patients never reactivate; an upper bound of their cumulative hazard tells so without walking the pieces.
    """
    survival = not_yet(horizon, origin, scale, shape)
    reach = 1.0 - survival
    highest = math.exp(max(s_log, 0.0)) * math.exp(max(c_log, 0.0))
    for i in range(clock.shape[0]):
        bound = rate[i] * reach
        if s_start[i] < horizon or c_start[i] < horizon:
            bound *= highest
        if bound * (1.0 + 1e-12) < clock[i]:
            onset[i] = INF
            continue
        onset[i] = spend(
            origin,
            horizon,
            survival,
            clock[i],
            rate[i],
            origin,
            scale,
            shape,
            s_start[i],
            s_stop[i],
            s_log,
            s_wash,
            c_start[i],
            c_stop[i],
            c_log,
            c_wash,
            step,
        )[0]
