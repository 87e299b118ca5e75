"""Exact inversion of the piecewise cumulative onset hazard (model.md 5)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cmvsim.simulation.kernels import layout as at

INF = math.inf
Vector = NDArray[np.float64]
Table = NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def log_factor(t: float, traits: Vector, first: int, factors: Table) -> float:
    """Log of the product of all factors at t: full within a window, declining in steps over its wash-out.

    The windows of factor f are at ``traits[first + 4 f:]``: start, stop, log ratio, and the one from which it declines
    after the window; `factors` (F, 2) holds the wash-out and the length of its steps.
    """
    total = 0.0
    for f in range(factors.shape[0]):
        i = first + at.TRAITS_PER_FACTOR * f
        if t < traits[i + at.F_START]:
            continue
        since = t - traits[i + at.F_STOP]
        if since < 0.0:
            total += traits[i + at.F_LOG]
        elif since < factors[f, at.WASHOUT]:
            step = factors[f, at.STEP]
            total += traits[i + at.F_AFTER] * (1.0 - math.floor(since / step) * step / factors[f, at.WASHOUT])
    return total


@njit(cache=True, error_model="numpy")
def next_change(t: float, traits: Vector, first: int, factors: Table) -> float:
    """First time after t at which a factor changes (+inf if never)."""
    change = INF
    for f in range(factors.shape[0]):
        i = first + at.TRAITS_PER_FACTOR * f
        start, stop, washout = traits[i + at.F_START], traits[i + at.F_STOP], factors[f, at.WASHOUT]
        if t < start:
            change = min(change, start)
        elif t < stop:
            change = min(change, stop)
        else:
            since = t - stop
            if since < washout:
                step = factors[f, at.STEP]
                change = min(change, stop + (math.floor(since / step) + 1.0) * step, stop + washout)
    return change


@njit(cache=True, error_model="numpy")
def not_yet(t: float, origin: float, scale: float, shape: float) -> float:
    """Survival of the onset-time law at t."""
    x = (t - origin) / scale
    if x <= 0.0:
        return 1.0
    return math.exp(-(x**shape))


@njit(cache=True, error_model="numpy")
def spend(
    t: float,
    until: float,
    survival_until: float,
    residual: float,
    rate: float,
    origin: float,
    scale: float,
    shape: float,
    traits: Vector,
    first: int,
    factors: Table,
) -> tuple[float, float]:
    """Spend the exponential clock from t until `until`.

    Returns the onset time (+inf if the clock outlasts `until`) and what is left of the clock. `rate` is the amplitude
    times all that is constant on [t, until). `survival_until` is ``not_yet(until)``: most patients have a single piece,
    which ends at a horizon common to all.
    """
    survival = not_yet(t, origin, scale, shape)
    while t < until:
        b = min(until, next_change(t, traits, first, factors))
        h = rate * math.exp(log_factor(t, traits, first, factors))
        after = survival_until if b == until else not_yet(b, origin, scale, shape)
        increment = h * (survival - after)
        if increment >= residual and h > 0.0:
            left = survival - residual / h
            if left <= 0.0:
                return b, 0.0
            onset = origin + scale * (-math.log(left)) ** (1.0 / shape)
            return min(max(onset, t), b), 0.0
        residual -= increment
        survival = after
        t = b
    return INF, residual
