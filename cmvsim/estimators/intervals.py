"""Confidence limits for a probability from an estimate and its standard error, on a transformed scale.

The names
---------
``plain``
    p ± z se, clipped to [0, 1]; R survfit's ``conf.type = "plain"``.
``log``
    on log p, upper limit clipped to 1; R survfit's ``"log"``, for survival and for state probabilities alike.
``loglog``
    on log(-log p); what R survfit calls ``"log-log"`` and applies to whatever it estimates: the survival in a
    Kaplan-Meier curve, but the *incidence itself* in an Aalen-Johansen curve.
``cloglog``
    on log(-log(1 - p)), the complementary log-log of p; what R's etm and the planning formulas of the field
    use for a cumulative incidence. For a Kaplan-Meier survival S = 1 - p this is R survfit's ``"log-log"`` of
    S.
``logit``, ``arcsin``
    R survfit's conf types of those names.

``loglog`` and ``cloglog`` of the same incidence differ: 0.040 with se 0.0078 gives (0.026, 0.057) and (0.027,
0.058).

A transformation that is infinite at 0 or at 1 has no limits there: NaN, where R prints NA. The estimators
replace those by documented exact bounds and say so in their status; here they stay visible.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray

Interval = Literal["plain", "log", "loglog", "cloglog", "logit", "arcsin"]
INTERVALS: tuple[str, ...] = get_args(Interval)


@lru_cache(maxsize=64)
def normal_quantile(level: float) -> float:
    """Two-sided standard normal quantile, e.g. 1.959964 for a level of 0.95 (Wichura's AS 241, as R's qnorm).

    Raises
    ------
    ValueError
        If `level` is not strictly between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be strictly between 0 and 1, not {level!r}")
    return NormalDist().inv_cdf(1.0 - (1.0 - level) / 2.0)


def limits(
    estimate: ArrayLike, se: ArrayLike, *, interval: Interval = "cloglog", level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Confidence limits of a probability.

    Parameters
    ----------
    estimate, se
        Probability and its standard error on the plain scale; any shapes that broadcast.
    interval
        Scale of the normal approximation, see the module's docstring.
    level
        Confidence level, two-sided.

    Returns
    -------
    low, high
        float64 of the broadcast shape. NaN where the scale is infinite: at 0 (``log``), at 0 and 1
        (``loglog``, ``cloglog``, ``logit``, ``arcsin``), and where estimate or se is NaN. ``plain`` is
        defined everywhere.

    Raises
    ------
    ValueError
        If `interval` or `level` is not allowed.

    Notes
    -----
    Delta method on each scale, the formulas of R's ``survival:::survfit_confint`` (survival 3.5) written with
    the plain standard error, and the complementary log-log of R's etm.
    """
    z = normal_quantile(level)
    p, s = np.broadcast_arrays(np.asarray(estimate, dtype=np.float64), np.asarray(se, dtype=np.float64))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if interval == "plain":
            low, high = _clip(p - z * s), _clip(p + z * s)
        elif interval == "log":
            low, high = _log(p, z * s)
        elif interval == "loglog":
            low, high = _loglog(p, z * s)
        elif interval == "cloglog":
            upper, lower = _loglog(1.0 - p, z * s)
            low, high = 1.0 - lower, 1.0 - upper
        elif interval == "logit":
            low, high = _logit(p, z * s)
        elif interval == "arcsin":
            low, high = _arcsin(p, z * s)
        else:
            raise ValueError(f"unknown interval {interval!r}; allowed: {', '.join(INTERVALS)}")
    return low, high


def exact_margin(n: ArrayLike, *, level: float = 0.95) -> FloatArray:
    """Clopper-Pearson's distance from the edge when none (or all) of `n` had the event: 1 - (alpha/2)^(1/n).

    `n` may be a fractional effective size; 0 gives 1, so that nothing is excluded.
    """
    size = np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(np.log((1.0 - level) / 2.0) / size), dtype=np.float64)


def _clip(p: FloatArray) -> FloatArray:
    return np.minimum(np.maximum(p, 0.0), 1.0)


def _log(p: FloatArray, half: FloatArray) -> tuple[FloatArray, FloatArray]:
    factor = np.exp(half / p)
    return p / factor, np.minimum(p * factor, 1.0)


def _loglog(p: FloatArray, half: FloatArray) -> tuple[FloatArray, FloatArray]:
    log_p = np.log(p)
    log_p = np.where((p > 0.0) & (p < 1.0), log_p, np.nan)
    factor = np.exp(half / (p * -log_p))
    return np.exp(log_p * factor), np.exp(log_p / factor)


def _logit(p: FloatArray, half: FloatArray) -> tuple[FloatArray, FloatArray]:
    odds = np.where((p > 0.0) & (p < 1.0), p / (1.0 - p), np.nan)
    factor = np.exp(half / (p * (1.0 - p)))
    low, high = odds / factor, odds * factor
    return low / (1.0 + low), np.where(np.isinf(high), 1.0, high / (1.0 + high))


def _arcsin(p: FloatArray, half: FloatArray) -> tuple[FloatArray, FloatArray]:
    inside = np.where((p > 0.0) & (p < 1.0), p, np.nan)
    angle, step = np.arcsin(np.sqrt(inside)), half / (2.0 * np.sqrt(inside * (1.0 - inside)))
    low = np.sin(np.maximum(angle - step, 0.0)) ** 2
    return low, np.sin(np.minimum(angle + step, np.pi / 2.0)) ** 2
