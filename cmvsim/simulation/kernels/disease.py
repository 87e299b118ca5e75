"""CMV disease: the hazard integrated in closed form over the linear pieces of the load (model.md 9)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cmvsim.simulation.kernels import layout as at
from cmvsim.simulation.kernels.hazard import INF

Vector = NDArray[np.float64]
LN10 = math.log(10.0)
NEAR = 1e-9  # a crossing of both courses nearer than this is where we stand


@njit(cache=True, error_model="numpy")
def linear_piece(s: Vector, x: Vector, p: Vector, t: float, end: float) -> tuple[float, float, float]:
    """End of the linear piece of the realised load that begins at t (at most `end`), its value at t, and its slope."""
    top = s[at.ONSET] + (s[at.PEAK] - p[at.V0]) / x[at.GROWTH]
    if t < top:
        value, slope, end = p[at.V0] + x[at.GROWTH] * (t - s[at.ONSET]), x[at.GROWTH], min(end, top)
    elif t < s[at.PLATEAU_END]:
        value, slope, end = s[at.PEAK], 0.0, min(end, s[at.PLATEAU_END])
    else:
        value, slope = s[at.PEAK] - s[at.DECAY] * (t - s[at.PLATEAU_END]), -s[at.DECAY]
    if s[at.KNOT_TIME] < INF:
        bound = s[at.KNOT_VALUE] + s[at.KNOT_SLOPE] * (t - s[at.KNOT_TIME])
        if slope != s[at.KNOT_SLOPE]:
            crossing = t + (bound - value) / (slope - s[at.KNOT_SLOPE])
            if t + NEAR < crossing < end:
                end = crossing
        half = 0.5 * (end - t)
        if bound + s[at.KNOT_SLOPE] * half < value + slope * half:
            value, slope = bound, s[at.KNOT_SLOPE]
    return end, value, slope


@njit(cache=True, error_model="numpy")
def spend_disease(s: Vector, x: Vector, p: Vector, t: float, until: float, residual: float) -> tuple[float, float]:
    """Spend the clock of disease in the running episode from t until `until`, while nothing else happens.

    Returns the time of disease (+inf if the clock outlasts `until`) and what is left of the clock.
    """
    while t < until:
        end, ratio = until, 1.0
        if t < x[at.LETERMOVIR_FROM]:
            end = min(end, x[at.LETERMOVIR_FROM])
        elif t < x[at.LETERMOVIR_TO]:
            end, ratio = min(end, x[at.LETERMOVIR_TO]), x[at.LETERMOVIR_DISEASE]
        end, value, slope = linear_piece(s, x, p, t, end)
        h = p[at.DISEASE_HAZARD] * ratio * 10.0 ** (p[at.DISEASE_SLOPE] * (value - p[at.DISEASE_REFERENCE]))
        c = p[at.DISEASE_SLOPE] * slope * LN10
        increment = h * (end - t) if c == 0.0 else h * math.expm1(c * (end - t)) / c
        if increment >= residual and h > 0.0:
            onset = t + residual / h if c == 0.0 else t + math.log1p(residual * c / h) / c
            return min(max(onset, t), end), 0.0
        residual -= increment
        t = end
    return INF, residual
