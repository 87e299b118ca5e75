"""First onset of every patient whose clock may ring: the loop that decides who needs a course at all."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cmvsim.simulation.kernels.hazard import not_yet, spend

Vector = NDArray[np.float64]
Table = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def first_onsets(
    clock: Vector,
    rate: Vector,
    windows: Table,
    factors: Table,
    origin: float,
    scale: float,
    shape: float,
    horizon: float,
    onset: Vector,
) -> None:
    """Fill `onset` (C,) with the first onset time, +inf beyond the horizon; `windows` (4 F, C) as in the kernel's traits."""
    survival = not_yet(horizon, origin, scale, shape)
    traits = np.empty(windows.shape[0])
    for i in range(clock.shape[0]):
        for j in range(traits.size):
            traits[j] = windows[j, i]
        onset[i] = spend(origin, horizon, survival, clock[i], rate[i], origin, scale, shape, traits, 0, factors)[0]
