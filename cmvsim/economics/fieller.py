"""Interval of an incremental cost-effectiveness ratio by Fieller's theorem, or the reason why there is none.

The limits are the ratios R for which increments of cost - R x effect are not significantly different from 0: a quadratic in R
(Fieller EC, J R Stat Soc B 1954;16:175-185; Willan AR, O'Brien BJ, Health Econ 1996;5:297-305). Where the increment of effect
is not significantly different from 0 the set of such ratios is not an interval, and none is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from cmvsim.core.records import FloatArray


class Bounded(StrEnum):
    """What the set of ratios looks like."""

    INTERVAL = "interval"
    OUTSIDE = "all ratios but those between two limits"
    ALL = "all ratios"
    UNDEFINED = "no ratio: the increment of effect is 0"


@dataclass(frozen=True, slots=True)
class Fieller:
    """Interval of a ratio.

    Attributes
    ----------
    ratio
        Increment of cost by increment of effect; NaN where undefined.
    low, high
        Limits; NaN unless `bounded` is an interval.
    """

    ratio: float
    low: float
    high: float
    bounded: Bounded
    level: float

    @property
    def refused(self) -> str:
        """Why there is no interval; empty where there is one."""
        if self.bounded is Bounded.INTERVAL:
            return ""
        if self.bounded is Bounded.UNDEFINED:
            return str(self.bounded)
        return f"unbounded at {100 * self.level:g}%: the increment of effect may be 0 ({self.bounded})"


def fieller(mean: ArrayLike, covariance: ArrayLike, level: float = 0.95) -> Fieller:
    """Fieller's interval of a ratio of two means.

    Parameters
    ----------
    mean
        (increment of cost, increment of effect).
    covariance
        (2, 2) of these two numbers: of the draws for parameter uncertainty, of the means over patients (covariance of the
        patients / patients) for sampling error.
    """
    (a, b), v = np.asarray(mean, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    nothing = float("nan")
    if b == 0:
        return Fieller(nothing, nothing, nothing, Bounded.UNDEFINED if v[1, 1] == 0 else Bounded.ALL, level)
    square = float(norm.isf((1 - level) / 2)) ** 2
    first, half, last = b * b - square * v[1, 1], a * b - square * v[0, 1], a * a - square * v[0, 0]
    discriminant = half * half - first * last
    ratio = float(a / b)
    if first > 0:
        root = float(np.sqrt(max(discriminant, 0.0)))
        return Fieller(ratio, float((half - root) / first), float((half + root) / first), Bounded.INTERVAL, level)
    return Fieller(ratio, nothing, nothing, Bounded.OUTSIDE if discriminant > 0 else Bounded.ALL, level)


def fieller_of_draws(cost: FloatArray, effect: FloatArray, level: float = 0.95) -> Fieller:
    """The interval for (draws,) increments of cost and effect taken as normal: their spread is the uncertainty."""
    return fieller([cost.mean(), effect.mean()], np.cov(cost, effect), level)


def fieller_of_patients(cost: FloatArray, effect: FloatArray, level: float = 0.95) -> Fieller:
    """The interval for (patients,) paired increments of cost and effect: the error of their means is the uncertainty."""
    return fieller([cost.mean(), effect.mean()], np.cov(cost, effect) / cost.size, level)
