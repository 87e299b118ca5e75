"""What we do not know of one number, kept inside the range of its quantity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special, stats

from cmvsim.core.records import FloatArray
from cmvsim.core.value import Uncertain

EDGE = 1e-9
"""A probability strictly between 0 and 1 stays so: at 0 or 1 a hazard or a logit has no value."""
_Z = float(special.ndtri(0.975))


@dataclass(frozen=True)
class Marginal:
    """A distribution of :class:`cmvsim.core.value.Uncertain`, truncated to the range of its quantity.

    An ``interval95`` is read on the log scale where the quantity is positive, both limits are, and the value lies nearer to
    their geometric mean than to their arithmetic mean (intervals of ratios, loads and durations are symmetric there); on the
    plain scale otherwise. Truncation is by inversion of the probability between the bounds: no draw is thrown away, and none
    piles up at a bound.

    Attributes
    ----------
    distribution
        As stated.
    value
        Used by ordinary runs; it decides the scale of an interval.
    low, high
        Range of the quantity; infinite where it has no end.
    whole
        Whether only whole numbers are allowed.
    """

    distribution: Uncertain
    value: float
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False

    @cached_property
    def on_log_scale(self) -> bool:
        """Whether an ``interval95`` is one of the logarithm."""
        a, b = self.distribution.parameters
        if self.distribution.kind != "interval95" or self.low < 0 or a <= 0 or b <= 0 or self.value <= 0:
            return False
        return abs(self.value - math.sqrt(a * b)) < abs(self.value - (a + b) / 2)

    def quantile(self, u: FloatArray, high: FloatArray | float = math.inf) -> FloatArray:
        """Invert uniforms.

        Parameters
        ----------
        u
            In (0, 1), any shape.
        high
            A further upper bound, for each or for all: a part is no more than the whole.
        """
        top = np.minimum(high, self.high)
        below = self._probability(np.asarray(self.low, dtype=np.float64))
        above = self._probability(top)
        found = np.asarray(self._quantile(below + u * (above - below)), dtype=np.float64)
        found = np.clip(found, self.low, np.maximum(top, self.low))
        return np.clip(np.round(found), self.low, top) if self.whole else found

    def interval95(self, high: float = math.inf) -> tuple[float, float]:
        """Central 95%."""
        low, top = self.quantile(np.array([0.025, 0.975]), high)
        return float(low), float(top)

    def _quantile(self, u: FloatArray) -> FloatArray:
        if not self.on_log_scale:
            return self.distribution.quantile(u)
        a, b = np.log(self.distribution.parameters)
        logs: FloatArray = (a + b) / 2 + (b - a) / (2 * _Z) * special.ndtri(u)
        return np.exp(logs)

    def _probability(self, x: FloatArray) -> FloatArray:
        """Distribution function before truncation."""
        kind, (a, b) = self.distribution.kind, self.distribution.parameters
        if kind == "beta":
            return np.asarray(stats.beta.cdf(x, a, b))
        if kind == "gamma":
            return np.asarray(stats.gamma.cdf(x, a, scale=b))
        if kind == "lognormal" or self.on_log_scale:
            centre, spread = (math.log(a), b) if kind == "lognormal" else _normal(math.log(a), math.log(b))
            with np.errstate(divide="ignore"):
                x = np.log(np.maximum(x, 0.0))
        else:
            centre, spread = (a, b) if kind == "normal" else _normal(a, b)
        if spread == 0:
            return (x >= centre).astype(np.float64)
        return np.asarray(special.ndtr((x - centre) / spread))


def _normal(low: float, high: float) -> tuple[float, float]:
    """Mean and standard deviation of the normal law whose central 95% is the interval."""
    return (low + high) / 2, (high - low) / (2 * _Z)
