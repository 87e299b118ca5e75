"""Exact inversion of the piecewise cumulative onset hazard (model.md 5)."""

from __future__ import annotations

import math

from numba import njit

INF = math.inf


@njit(cache=True, error_model="numpy")
def window_ratio(t: float, start: float, stop: float, log_ratio: float, washout: float, step: float) -> float:
    """Hazard ratio of one course at time t: full while it lasts, declining on the log scale in steps afterwards."""
    if t < start or log_ratio == 0.0:
        return 1.0
    if t < stop:
        return math.exp(log_ratio)
    since = t - stop
    if since >= washout:
        return 1.0
    return math.exp(log_ratio * (1.0 - math.floor(since / step) * step / washout))


@njit(cache=True, error_model="numpy")
def next_change(t: float, start: float, stop: float, washout: float, step: float) -> float:
    """First time after t at which the ratio of a course changes (+inf if never)."""
    if t < start:
        return start
    if t < stop:
        return stop
    since = t - stop
    if since >= washout:
        return INF
    return min(stop + (math.floor(since / step) + 1.0) * step, stop + washout)


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
    s_start: float,
    s_stop: float,
    s_log: float,
    s_wash: float,
    c_start: float,
    c_stop: float,
    c_log: float,
    c_wash: float,
    step: float,
) -> tuple[float, float]:
    """Spend the exponential clock from t until `until`.

    Returns the onset time (+inf if the clock outlasts `until`) and what is left of the clock. `rate` is the amplitude
    times all factors that are constant on [t, until). `survival_until` is ``not_yet(until)``: most patients have a
    single piece, which ends at a horizon common to all.
    """
    survival = not_yet(t, origin, scale, shape)
    while t < until:
        b = min(until, next_change(t, s_start, s_stop, s_wash, step), next_change(t, c_start, c_stop, c_wash, step))
        h = rate * window_ratio(t, s_start, s_stop, s_log, s_wash, step)
        h = h * window_ratio(t, c_start, c_stop, c_log, c_wash, step)
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


@njit(cache=True, error_model="numpy")
def advance(
    t: float,
    until: float,
    residual: float,
    rate: float,
    origin: float,
    scale: float,
    shape: float,
    s_start: float,
    s_stop: float,
    s_log: float,
    s_wash: float,
    c_start: float,
    c_stop: float,
    c_log: float,
    c_wash: float,
    step: float,
) -> tuple[float, float]:
    """:func:`spend` where the survival at the end is not at hand."""
    return spend(
        t,
        until,
        not_yet(until, origin, scale, shape),
        residual,
        rate,
        origin,
        scale,
        shape,
        s_start,
        s_stop,
        s_log,
        s_wash,
        c_start,
        c_stop,
        c_log,
        c_wash,
        step,
    )
